"""How much work may go into one reply. Counted in steps, not in seconds: the same conversation gets the same answer."""

from __future__ import annotations

from typing import Any

from attrs import define

__all__ = ["Budget", "Exhausted"]

_MOST_WORK = 150_000
_SHORT = 16


class Exhausted(Exception):
    """The schema is too deep, too large or contradicts itself, or has used up the work that is done for a reply."""


@define
class Budget:
    """What is left of the work for a reply. Schemas and texts are strangers': all of a reply's calls share one."""

    left: int = _MOST_WORK

    def spend(self, work: int) -> None:
        """Pay before the work is done. Exhausted when there is not enough left."""
        self.left -= work
        if self.left < 0:
            raise Exhausted("a schema that takes too much work")

    def spend_on(self, value: Any) -> int:
        """Pay for a look at all of a value, or for a copy of it. Returns what it cost."""
        before, waiting = self.left, [value]
        while waiting:
            one = waiting.pop()
            self.spend(1 + len(one) // _SHORT if isinstance(one, str) else 1)
            if isinstance(one, dict):
                waiting.extend(one.values())
            elif isinstance(one, list):
                waiting.extend(one)
        return before - self.left
