"""Connections that wait for their next request, and all that are open."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from attrs import define, field

from callsheet_gateway.upstream.connect import connect
from callsheet_gateway.upstream.connection import Connection
from callsheet_gateway.upstream.request import Origin

__all__ = ["IDLE_MOST", "IDLE_SECONDS", "Pool"]

IDLE_SECONDS = 15.0
"""How long a connection waits for its next request. Servers close idle ones, too: most after 60 seconds, some after 20."""
IDLE_MOST = 256
"""So many wait for one origin at most."""


@define(eq=False)
class Pool:
    """Connections to any number of origins. `trust` makes the TLS context when the first one needs it.

    The connection that was used last is used next: those that a burst has left over grow old, and are closed.
    """

    _trust: Callable[[], ssl.SSLContext]
    _idle: dict[Origin, deque[Connection]] = field(factory=dict, init=False)
    _open: set[Connection] = field(factory=set, init=False)
    _sweep: asyncio.TimerHandle | None = field(default=None, init=False)

    def take(self, origin: Origin) -> Connection | None:
        """An idle connection that can be used, or None."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin, deadline: float, where: str) -> Connection:
        """A new connection; see `connect` for the parameters and the errors."""
        trust = self._trust() if origin.scheme == "https" else None
        connection = await connect(origin, lambda: Connection(origin, self._forget), trust, deadline, where)
        if not connection.gone:
            self._open.add(connection)
        return connection

    async def give_back(self, connection: Connection) -> None:
        """The exchange is over: keep the connection for the next one, or close it when it can't serve another."""
        if not connection.free():
            await connection.close()
            return
        idle = self._idle.setdefault(connection.origin, deque())
        if len(idle) >= IDLE_MOST:
            idle.popleft().abort()
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_old)

    async def aclose(self) -> None:
        """Close every connection, and wait for that."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        connections = tuple(self._open)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.close()

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle and connection in idle:
            idle.remove(connection)

    def _close_old(self) -> None:
        """Close what has waited long enough, and look again when the next one will have."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        oldest = loop.time()
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since <= loop.time() - IDLE_SECONDS:
                idle.popleft().abort()
            if idle:
                oldest = min(oldest, idle[0].idle_since)
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = loop.call_later(max(0.01, oldest + IDLE_SECONDS - loop.time()), self._close_old)
