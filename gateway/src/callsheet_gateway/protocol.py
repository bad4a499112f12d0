"""HTTP as uvicorn speaks it, for clients that take their time: the head of a request has a time and a size."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Protocol"]

HEAD_SECONDS = 10.0
"""From a connection's beginning, or a request's first byte, to the end of its head."""
HEAD_BYTES = 64 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. It is closed if the head of a request does not come in time, or is too large."""

    head_seconds = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._head_size += len(data)
        super().data_received(data)
        if self._waiting is not None and self._head_size > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
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

    def _cut(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._wait()  # the answer to the request before is still on its way
        else:
            self.transport.abort()
