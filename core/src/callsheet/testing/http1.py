"""HTTP/1.1 as a server reads it (RFC 9112), refusing what is not exactly right."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from attrs import field, frozen

__all__ = ["BadRequest", "Incoming", "head_bytes", "read_request"]

LIMIT = 64 * 1024
"""Bytes: a block of headers must be shorter."""
MAX_BODY = 256 * 1024 * 1024
_LINE = re.compile(r"([A-Z]+) (/\S*) HTTP/1\.1")
_HANDSHAKE = b"\x16"
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class BadRequest(Exception):
    """What arrived is no HTTP/1.1, or not in order. The connection can't be used any longer."""


@frozen
class Incoming:
    """A request, its body complete and out of its chunks."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)

    @property
    def keep_alive(self) -> bool:
        return not any(name.lower() == "connection" and "close" in value.lower() for name, value in self.headers)


async def read_request(reader: asyncio.StreamReader, go_on: Callable[[], Awaitable[None]]) -> Incoming | None:
    """The next request of a connection; None at its end. `go_on` sends "100 Continue" to a client that waits for it.

    A client that leaves in the middle of a request is no violation: asyncio.IncompleteReadError.
    """
    beginning = await reader.read(1)
    if not beginning:
        return None
    if beginning == _HANDSHAKE:  # it would wait for an answer, and this for an empty line
        raise BadRequest("a TLS handshake came where plain HTTP is spoken")
    try:
        head = beginning + await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("the block of headers is too large") from None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    request_line = _LINE.fullmatch(first)
    if request_line is None:
        raise BadRequest(f"{first[:100]!r} is no request line")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise BadRequest(f"a line of the headers is none, after {[name for name, _ in headers][-1:]}")
        headers.append((name, value.strip(" \t")))
    if ("expect", "100-continue") in {(name.lower(), value.lower()) for name, value in headers}:
        await go_on()
    body = await _read_body(reader, headers)
    return Incoming(request_line.group(1), request_line.group(2), headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: Sequence[tuple[str, str]]) -> bytes:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    encodings = [value.lower() for name, value in headers if name.lower() == "transfer-encoding"]
    if len(lengths) + len(encodings) > 1 or any(value != "chunked" for value in encodings):
        raise BadRequest("a body has one length, or is chunked")
    if encodings:
        return await _read_chunks(reader)
    if not lengths:
        return b""
    if not lengths[0].isascii() or not lengths[0].isdigit() or int(lengths[0]) > MAX_BODY:
        raise BadRequest(f"{lengths[0][:40]!r} is no length, or too great a one")
    return await reader.readexactly(int(lengths[0]))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while True:
        line = (await reader.readuntil(b"\r\n"))[:-2]
        if not _SIZE.fullmatch(line):
            raise BadRequest(f"{line[:40]!r} is no length of a chunk")
        size = int(line, 16)
        total += size
        if total > MAX_BODY:
            raise BadRequest("the body is too great")
        piece = await reader.readexactly(size + 2)
        if piece[-2:] != b"\r\n":
            raise BadRequest("a chunk is longer than it said")
        if not size:
            return b"".join(pieces)
        pieces.append(piece[:-2])


def head_bytes(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    """The head of an answer."""
    from http import HTTPStatus

    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
