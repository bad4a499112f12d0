"""Streams at a reader's pace. They wait by the call's transport, so that they run in sync and in async programs alike.

They don't wait by `io.sleep`: that ends with the call's deadline, and a call is over when its stream begins.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice

from attrs import define, field

from callsheet import IO, Event
from callsheet_local.scribe.script import Beat, Script
from callsheet_local.scribe.shelf import Kept

__all__ = ["Followed", "Paced"]

_LOOK_SECONDS = 0.5


def _nothing() -> None:
    return None


@define(eq=False)
class Paced:
    """Events, each with the seconds after the beginning at which it is due."""

    _io: IO
    _timed: Iterator[tuple[Event, float]]
    _on_early_end: Callable[[], None] = _nothing
    _began: float = field(factory=time.monotonic)
    _ended: bool = False

    async def __anext__(self) -> Event:
        found = next(self._timed, None)
        if found is None:
            self._ended = True
            raise StopAsyncIteration
        event, due = found
        wait = self._began + due - time.monotonic()
        if wait > 0:
            await self._io.transport.sleep(wait)
        return event

    async def aclose(self) -> None:
        """Tell that nobody listens any more. Nothing is awaited here: who closes a stream is often being cancelled."""
        if not self._ended:
            self._ended = True
            self._on_early_end()


@define(eq=False)
class Followed:
    """The events of a kept response from one on, as its clock brings them. Somebody may cancel it meanwhile."""

    _io: IO
    _kept: Kept
    _look: Callable[[], Awaitable[Kept]]
    _given: int = 0
    _looked: float = field(factory=time.monotonic)
    _script: Script = field(init=False)
    _beats: Iterator[Beat] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._play(self._kept.script)

    def _play(self, script: Script) -> None:
        # A reader may say that it was given more events than there are: what is left then is nothing.
        self._script, self._beats = script, islice(script.beats(), min(self._given, sys.maxsize), None)

    async def __anext__(self) -> Event:
        beat = next(self._beats, None)
        if beat is None:
            raise StopAsyncIteration
        while (wait := self._kept.due(beat) - self._io.now()) > 0:
            await self._io.transport.sleep(min(wait, _LOOK_SECONDS))
            if time.monotonic() - self._looked < _LOOK_SECONDS:
                continue
            self._looked, self._kept = time.monotonic(), await self._look()
            if self._kept.script.document["status"] == "cancelled" and self._script.document["status"] != "cancelled":
                self._play(self._kept.ended(self._given))
                return await self.__anext__()
        self._given += 1
        return Event.of(beat.type, beat.document)

    async def aclose(self) -> None:
        """Nothing to end: the response goes on without its reader."""
