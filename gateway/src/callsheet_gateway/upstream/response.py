"""Answers on one connection, read by httptools: heads, bodies, and what may not be."""

from __future__ import annotations

import httptools

__all__ = ["MAX_HEAD", "ProtocolError", "ResponseReader"]

MAX_HEAD = 64 * 1024
"""Bytes of an answer's head, the 1xx heads before it included."""


class ProtocolError(Exception):
    """What the server sent is no answer. Its text names no content."""


class ResponseReader:
    """Reads one answer after the other, each begun by `begin`.

    `status` is 0 until the head is whole; then `headers` are there, with lower-case names. `pieces` is the part of the
    body that nobody has taken, `buffered` its size in bytes. `done` says that the answer is whole, `keep` that the
    connection may be used again after it.
    """

    __slots__ = (
        "_bodyless",
        "_head_size",
        "_lines",
        "_parser",
        "buffered",
        "done",
        "headers",
        "keep",
        "pieces",
        "status",
        "to_end",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._lines: list[tuple[bytes, bytes]] = []
        self.begin("")

    def begin(self, method: str) -> None:
        """Expect the answer to a request."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.done = self.keep = self.to_end = False
        self._head_size = 0
        self._bodyless = method == "HEAD"

    def feed(self, data: bytes) -> None:
        """Take bytes in as they came. ProtocolError when they can't be what was asked for."""
        parser = self._parser
        if parser is None:
            return
        if not self.status:
            self._head_size += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            reason = error.__context__
            raise reason if isinstance(reason, ProtocolError) else ProtocolError(f"no valid HTTP: {error}") from None
        except httptools.HttpParserError as error:
            raise ProtocolError(f"no valid HTTP: {error}") from None
        if not self.status and self._head_size > MAX_HEAD:
            raise ProtocolError(f"headers of more than {MAX_HEAD:,} bytes")
        if self.done and self._bodyless:
            # The parser would wait for the body that the headers announce, and that HEAD's answer does not have.
            self._parser = httptools.HttpResponseParser(self)

    def end(self) -> None:
        """The server has closed the connection in good order: that ends a body of unknown length."""
        if self.status and self.to_end:
            self.done = True

    def take(self) -> bytes:
        """The part of the body that has come."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pieces, self.buffered = [], 0
        return data

    def close(self) -> None:
        """Let go of the parser, which holds on to this object."""
        self._parser = None

    # What httptools calls:

    def on_message_begin(self) -> None:
        if self.done:
            raise ProtocolError("an answer that nobody asked for")
        self._lines = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # afterwards come the trailers of chunked bodies, which are of no use here
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status == 101:
            raise ProtocolError("a change of protocol that nobody asked for")
        if status < 200:
            return  # the answer is still to come
        lines = self._lines
        if sum(len(name) + len(value) + 4 for name, value in lines) > MAX_HEAD:
            raise ProtocolError(f"headers of more than {MAX_HEAD:,} bytes")
        headers: dict[str, str] = {}
        for raw_name, raw_value in lines:
            name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        coding = headers.get("transfer-encoding", "").lower()
        if coding not in {"", "chunked"}:
            raise ProtocolError("a transfer encoding that nobody asked for")
        empty = self._bodyless or status in {204, 304}
        self.to_end = not empty and not coding and "content-length" not in headers
        self.keep = parser.should_keep_alive()
        self.headers, self.status, self.done = headers, status, self._bodyless

    def on_body(self, body: bytes) -> None:
        if self.done:
            raise ProtocolError("a body where none can be")
        self.pieces.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self.done = True


def _text(value: bytes) -> str:
    """A header's value. Beyond ASCII it is what it can be read as: UTF-8, or Latin-1 as once was the standard."""
    if not value.isascii():
        try:
            return value.decode().strip(" \t")
        except UnicodeDecodeError:
            pass
    return value.decode("latin-1").strip(" \t")
