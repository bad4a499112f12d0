"""The gateway's end: what is under way is finished, new requests go elsewhere, and what was bought is not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import define, field

__all__ = ["Drain"]

T = TypeVar("T")


@define(eq=False)
class Drain:
    """How far the end has come. `begun`: nobody shall send more; `over`: what is under way is cut off; `forced`: now."""

    begun: bool = False
    over: bool = False
    forced: bool = False
    _work: set[asyncio.Task[Any]] = field(factory=set, init=False)

    async def finished(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work that goes on to its end even where who waits for it is cancelled: it may have been paid for."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    async def settled(self) -> None:
        """Wait for such work, unless the end is forced."""
        while self._work and not self.forced:
            await asyncio.wait(self._work, timeout=0.1)
