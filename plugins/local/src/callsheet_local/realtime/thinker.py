"""One thread beside the loop: what takes long is worked out there, and the loop thread goes on serving all calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

__all__ = ["Think", "Thinker"]

T = TypeVar("T")
_CLOSE_SECONDS = 2.0


class Think(Protocol):
    """How a session has something worked out. Cancel the future to give it up: what has not begun then never does."""

    def __call__(self, function: Callable[..., T], /, *args: object) -> asyncio.Future[T]: ...


class Thinker:
    """Works out one thing after the other, in one thread of its own.

    Not a ThreadPoolExecutor: the interpreter waits for those when it ends, however long they take.
    """

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def think(self, function: Callable[..., T], /, *args: object) -> asyncio.Future[T]:
        """Call a function there. The future is the running loop's."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            if future.cancelled():
                return
            settle: Callable[[], None]
            try:
                settle = partial(future.set_result, function(*args))
            except Exception as error:  # it is the asker's
                settle = partial(future.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_unless_done, future, settle)

        self._work.put(work)
        return future

    def close(self) -> None:
        """End the thread. One that is deep in thought ends by itself when it is through."""
        self._work.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _unless_done(future: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not future.done():
        settle()
