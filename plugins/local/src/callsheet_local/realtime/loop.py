"""One event loop in one daemon thread: where a provider's calls live, whoever asked for them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from callsheet_local.realtime.engine import Inline

__all__ = ["LoopThread"]

T = TypeVar("T")
_CLOSE_SECONDS = 5.0
_log = logging.getLogger("callsheet_local.realtime")


class LoopThread:
    """Runs coroutines for threads that wait. Not for use in a forked child: make another one there."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(Inline(max_workers=1))
        self._loop.set_exception_handler(_note)
        self._stopped = False
        self._stopping = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object, timeout: float) -> T:
        """Run a coroutine function there and wait for its result. TimeoutError, and its end, after so many seconds.

        RuntimeError if the loop is closed, CancelledError (that of concurrent.futures) if it is closed meanwhile.
        Whoever stops waiting can't know whether it was done already: see to that what it made is undone.
        """
        coroutine = function(*args)
        try:
            with self._stopping:  # what comes after the stop would never be run, nor ended
                if self._stopped:
                    raise RuntimeError("the loop is closed")
                future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except BaseException:
            coroutine.close()
            raise
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Call a function there soon, without waiting for that. Nothing happens if the loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run one more coroutine, end whatever else runs, and end the thread. Returns after ten seconds at the most."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the loop can't wait for its own end")
        with suppress(RuntimeError, TimeoutError):
            self.run(last, timeout=_CLOSE_SECONDS)
        with self._stopping:
            self._stopped = True
            self.post(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=_CLOSE_SECONDS))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001  asyncio's signature
    """What goes wrong in aiortc's own tasks ends one call at worst. Its words may quote an SDP: only its kind is logged."""
    _log.debug("%s: %s", context.get("message"), type(context.get("exception")).__name__)
