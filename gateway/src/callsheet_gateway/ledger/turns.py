"""Work at several accounts at once, so that one whose answers take for ever holds up none of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import define, field

__all__ = ["Turns"]

log = logging.getLogger("callsheet.gateway")

AT_ONCE = 8
A_MOMENT = 1.0
"""Seconds to wait for what was begun, before the others have their next turn: most of it is over by then."""


@define(eq=False)
class Turns:
    """Tasks by account: one at each, and a few at all."""

    _running: dict[str, asyncio.Task[None]] = field(factory=dict, init=False)
    _last: dict[str, int] = field(factory=dict, init=False)
    """By account: the number of its last turn."""
    _count: int = field(default=0, init=False)

    async def take(self, works: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Begin what is to be done at accounts, where nothing is under way yet; who was not on for longest is first.

        Returns when that is over, or in a moment: it goes on, then.
        """
        begun = []
        for account in sorted(works, key=lambda one: self._last.get(one, 0)):
            if account not in self._running and len(self._running) < AT_ONCE:
                self._count += 1
                self._last[account] = self._count
                begun.append(asyncio.create_task(self._do(account, works[account])))
                self._running[account] = begun[-1]
        if begun:
            await asyncio.wait(begun, timeout=A_MOMENT)

    async def end(self) -> None:
        """Give up what is under way."""
        running = [*self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _do(self, account: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            # Whatever it is, tomorrow's charges have to be looked after, too. The words may hold anything.
            log.error("looking after the charges: %s", type(error).__name__)  # noqa: TRY400  no traceback: see above
        finally:
            self._running.pop(account, None)
