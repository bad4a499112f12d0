"""Asking a server by way of the transport itself, with no client above it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from callsheet.io import Body, Outgoing
from callsheet_gateway.upstream import UpstreamTransport


@frozen
class Answered:
    status: int
    headers: dict[str, str]
    content: bytes


def outgoing(
    url: str, method: str = "GET", body: Body | None = None, timeout: float = 5.0, headers: dict[str, str] | None = None
) -> Outgoing:
    return Outgoing(method, url, headers or {}, body, time.monotonic() + timeout)


@asynccontextmanager
async def upstream() -> AsyncIterator[UpstreamTransport]:
    transport = UpstreamTransport()
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(transport: UpstreamTransport, request: Outgoing) -> Answered:
    """Send a request and read its whole answer."""
    incoming = await transport.open(request)
    try:
        content = b""
        while piece := await incoming.read(request.deadline):
            content += piece
    finally:
        await incoming.aclose()
    return Answered(incoming.status, dict(incoming.headers), content)
