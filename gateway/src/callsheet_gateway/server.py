"""Uvicorn as `callsheet serve` runs it: it says when it takes requests, and ends in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from callsheet_gateway.drain import Drain
from callsheet_gateway.protocol import Protocol

__all__ = ["Server"]

_FAREWELL = 1.0
"""Seconds that requests get to say that they were cut off."""
_LOOK = 0.05
_AT_ONCE = 1.5
"""Seconds after a second signal at which the process ends, whatever hangs."""


def _spare_the_collector() -> None:
    """Have the garbage collector pass over what is there for good, and look less often: requests leave hardly any behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


class Server(uvicorn.Server):
    """The first signal begins the end: SIGTERM keeps the door open for `notice` seconds, so that whoever sends requests
    here sees at /health/ready that he shall not; then what is under way gets `grace` seconds. A second one ends it now.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Drain,
        ready: Callable[[], None],
        say: Callable[[str], None],
        *,
        notice: float,
        grace: float,
    ) -> None:
        super().__init__(config)
        self.cut_off = 0
        """How many requests were not finished."""
        self._drain, self._ready, self._say, self._notice, self._grace = drain, ready, say, notice, grace
        self._terminated = False
        logging.getLogger("uvicorn.error").addFilter(self._is_news)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            _spare_the_collector()
            self._ready()

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = self._drain.forced = True
            hard = threading.Timer(_AT_ONCE, os._exit, (1,))
            hard.daemon = True
            hard.start()
        self.should_exit = self._drain.begun = True
        self._terminated = sig == signal.SIGTERM

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(round(self._notice / _LOOK) if self._terminated else 0):
            if not self.force_exit:
                await asyncio.sleep(_LOOK)
        if (under_way := len(self.server_state.tasks)) and not self.force_exit:
            what = "1 request is" if under_way == 1 else f"{under_way} requests are"
            self._say(f"{what} under way: they get {self._grace:g} seconds. Once more ends it at once.")
        farewell = asyncio.create_task(self._end_requests())
        await super().shutdown(sockets)
        farewell.cancel()

    async def _end_requests(self) -> None:
        """At the end of the grace: streams and calls are told, what does not listen is cancelled."""
        await asyncio.sleep(self._grace)
        self._drain.over = True
        self.cut_off = len(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.end()
        await asyncio.sleep(_FAREWELL)
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(_FAREWELL)  # they have an answer still
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Leaves out the tracebacks of what was cut off at the end."""
        cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not cut_off and not self._drain.forced
