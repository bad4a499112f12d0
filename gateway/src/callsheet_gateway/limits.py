"""How much one key may have under way at once, so that nobody takes all. What is more is refused at once, never queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field
from starlette.requests import Request

from callsheet_gateway.errors import Refused
from callsheet_gateway.principal import Principal
from callsheet_gateway.spool import Memory, Spool

__all__ = ["Limits", "UnderWay", "limits_of", "too_busy"]


@define(eq=False)
class UnderWay:
    """What is under way of one kind. `total` is how many there are, by whomever.

    The master key, and whoever calls a gateway that asks for no key, are counted and not bound: they are the gateway's own.
    `named` is what the refusal calls them.
    """

    named: str
    again_after: float = 1.0
    total: int = field(default=0, init=False)
    _of_key: Counter[str] = field(factory=Counter, init=False)

    @contextmanager
    def one(self, principal: Principal, most: int, of_all: int | None = None) -> Iterator[None]:
        """Count one more, as long as the context lasts. Refused if the key has `most` already (429), or there are `of_all`
        by everybody together (503).
        """
        key = principal.key
        if key is not None and self._of_key[key] >= most:
            refusal = Refused(
                429,
                f"this key has {most} {self.named} under way, which is the most at once: wait until one has ended, and"
                " give each program a key of its own",
                f"too_many_{self.named}",
            )
            refusal.retry_after = self.again_after
            raise refusal
        if of_all is not None and self.total >= of_all:
            raise too_busy(f"{of_all} {self.named}")
        self.total += 1
        if key is not None:
            self._of_key[key] += 1
        try:
            yield
        finally:
            self.total -= 1
            if key is not None:
                self._of_key[key] -= 1
                if not self._of_key[key]:
                    del self._of_key[key]  # keys come and go


@define(eq=False)
class Limits:
    """What the callers of one gateway have under way, on its disk, and in its memory."""

    spool: Spool
    memory: Memory = field(factory=Memory, init=False)
    requests: UnderWay = field(factory=lambda: UnderWay("requests"), init=False)
    uploads: UnderWay = field(factory=lambda: UnderWay("uploads", again_after=5.0), init=False)


def too_busy(what: str) -> Refused:
    """The refusal where `what` is under way already, and is the most that may be."""
    refusal = Refused(503, f"{what} are under way, which is the most: come back in a moment", "too_busy")
    refusal.retry_after = 1.0
    return refusal


def limits_of(request: Request) -> Limits:
    """The limits that a request is under."""
    limits: Limits = request.state.limits
    return limits
