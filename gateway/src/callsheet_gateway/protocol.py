"""HTTP as uvicorn speaks it, for clients that take their time, and for those that leave.

The head of a request has a time and a size, and so has the silence of a client that does not take its answer. Who waits for
an upstream in the name of a client hears when that has gone.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from starlette.types import Message, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from callsheet_gateway.settings import GatewaySettings

__all__ = ["Gone", "Left", "Protocol", "gone_in"]

T = TypeVar("T")
HEAD_SECONDS = 10.0
"""From a connection's beginning, or a request's first byte, to the end of its head."""
HEAD_BYTES = 64 * 1024
TRAILER_BYTES = 8 * 1024
_CONFIRMED = 120
"""Where `tcpi_bytes_acked` stands in Linux' `struct tcp_info`."""
_PAUSE = 1.0
"""Seconds for which a stream to nobody stands still, if nobody ends it."""


class Gone:
    """Tells that a client has left, to who asks for it; or, if `ending`, that the gateway is about to leave.

    It stands in a request's state, as `gone`.
    """

    def __init__(self) -> None:
        self.ending = self.left = False
        self._callback: Callable[[], object] | None = None

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """What work comes to. Left if the client leaves before, or the gateway ends: the work is cancelled.

        Once, as asyncio does it: a cancel scope for each request costs more than the routing of it. Such work may wait
        for a part of its own in the same way.
        """
        task = asyncio.current_task()
        if task is None or self._is_over():
            work.close()
            raise Left
        before, self._callback = self._callback, task.cancel
        try:
            return await work
        except asyncio.CancelledError:
            if not self._is_over() or task.uncancel():
                raise
            raise Left from None
        finally:
            self._callback = before

    def _is_over(self) -> bool:
        return self.left or self.ending

    def tell(self) -> None:
        if self._callback is not None:
            self._callback()


class Left(Exception):
    """The client has left, or the gateway is about to."""


def gone_in(scope: Scope) -> Gone | None:
    """The Gone of a request's scope. None under another server than ours."""
    gone: Gone | None = scope.get("state", {}).get("gone")
    return gone


class Protocol(HttpToolsProtocol):
    """One connection. It is closed if the head of a request does not come in time, or is too large, or if nothing of what
    waits to be sent was taken in `unread_seconds`.
    """

    head_seconds = HEAD_SECONDS
    unread_seconds = 180.0
    _waiting: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _came_to = (0, b"")
    """How far the sending had come when that was looked at last."""
    _head_size = 0
    _trailer_size = 0
    _running: RequestResponseCycle | None = None
    """What is being answered, or was last. Uvicorn's `cycle` is the request that came last: a client need not wait for
    one answer before it sends the next request."""

    @classmethod
    def of(cls, settings: GatewaySettings) -> type[Protocol]:
        """The protocol with the limits that were set."""
        return type(cls.__name__, (cls,), {"unread_seconds": settings.unread_seconds})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        self._stop_watching()
        super().connection_lost(exc)
        if self._running is None:
            return
        # Uvicorn says it to `cycle` only.
        self._running.disconnected = not self._running.response_complete
        self._running.message_event.set()
        gone = self._running.scope["state"]["gone"]
        gone.left = True
        gone.tell()

    def end(self) -> None:
        """Tell who works for the client that the gateway ends."""
        if self._running is not None:
            gone = self._running.scope["state"]["gone"]
            gone.ending = True
            gone.tell()

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._head_size += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._waiting is not None and self._head_size > HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        elif self._trailer_size > TRAILER_BYTES:
            self.transport.abort()
        elif self._waiting is None and not self._answering():
            self._wait()  # what came, such as an empty line, has stopped uvicorn's own clock and begun nothing

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._waiting is not None:
            super().on_header(name, value)
        else:  # behind a body in chunks: nobody reads it
            self._trailer_size += len(name) + len(value)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # A large body's last piece may have stopped the reading, and nobody asks for more of it.
        self.flow.resume_reading()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._trailer_size = 0
        self.scope["state"]["gone"] = Gone()
        if self._waiting is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._heard()
        super().on_headers_complete()
        if len(self.pipeline) == 1:
            # Uvicorn stops reading when a request has to wait for an answer before it, and who does not read does not
            # hear that the client leaves. A second one stops it.
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch()  # where the connection is closed, too: it waits until all of it is taken

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, lambda scope, receive, _send: app(scope, receive, partial(_send_to, cycle)))

    def _watch(self) -> None:
        if self._taking is None:
            self._came_to = _came_to(self.transport)
            self._taking = asyncio.get_running_loop().call_later(self.unread_seconds, self._look)

    def _look(self) -> None:
        """Cut a client that has taken nothing since the last look. One that takes a little may go on."""
        self._taking = None
        if not self.transport.get_write_buffer_size():
            return
        if _came_to(self.transport) == self._came_to:
            self.transport.abort()
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _wait(self) -> None:
        self._head_size = 0
        self._waiting = asyncio.get_running_loop().call_later(self.head_seconds, self._cut)

    def _heard(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # there is none before the first request
        return cycle is not None and not cycle.response_complete

    def _cut(self) -> None:
        if self._answering():
            self._wait()  # the answer to the request before is still on its way
        else:
            self.transport.abort()


def _came_to(transport: asyncio.Transport) -> tuple[int, bytes]:
    """How far the sending has come: what waits here, and how many bytes the client's machine has confirmed.

    The first alone will not do: the system holds megabytes for a client, and asks for more when a third of them is gone. For
    a slow client that takes minutes.
    """
    waiting, connection = transport.get_write_buffer_size(), transport.get_extra_info("socket")
    if sys.platform != "linux" or connection.fileno() < 0:
        return waiting, b""
    return waiting, connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)[_CONFIRMED:]


def _send_to(cycle: RequestResponseCycle, message: Message) -> Awaitable[None]:
    if cycle.flow.write_paused or cycle.disconnected:
        return _send_when_there_is_room(cycle, message)
    return cycle.send(message)  # type: ignore[arg-type]  # the same


async def _send_when_there_is_room(cycle: RequestResponseCycle, message: Message) -> None:
    """Wait for a slow client. If it has gone, stand still to be cancelled.

    Cancelling reaches a task where it waits. Uvicorn's own `send` returns at once for a client that has gone; and a stream
    from an upstream that is fast never waits, since the next piece is there whenever the loop comes round. It would go on to
    its end.
    """
    if not cycle.disconnected:
        await cycle.flow.drain()
    if not cycle.disconnected:
        await cycle.send(message)  # type: ignore[arg-type]  # the same
    elif message.get("more_body"):
        await asyncio.sleep(_PAUSE)
