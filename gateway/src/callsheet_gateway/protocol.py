"""HTTP as uvicorn speaks it, for clients that take their time, and for those that leave.

The head of a request has a time and a size. Who waits for an upstream in the name of a client hears when that has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Gone", "Protocol"]

HEAD_SECONDS = 10.0
"""From a connection's beginning, or a request's first byte, to the end of its head."""
HEAD_BYTES = 64 * 1024
TRAILER_BYTES = 8 * 1024


class Gone:
    """Tells that a client has left, to who asks for it. It stands in a request's state, as `gone`."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None

    @contextmanager
    def told(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call a function if the client leaves before the context ends."""
        self._callback = callback
        try:
            yield
        finally:
            self._callback = None

    def tell(self) -> None:
        if self._callback is not None:
            self._callback()


class Protocol(HttpToolsProtocol):
    """One connection. It is closed if the head of a request does not come in time, or is too large."""

    head_seconds = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None
    _head_size = 0
    _trailer_size = 0
    _gone: Gone | None = None
    """Of the request that came last: one before it on the same connection is finished, or is not waited for any more."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)
        if self._gone is not None:
            self._gone.tell()

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

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._gone, self._trailer_size = Gone(), 0
        self.scope["state"]["gone"] = self._gone
        if self._waiting is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._heard()
        super().on_headers_complete()

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
