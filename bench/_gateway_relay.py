"""The floor of bench/gateway.py: a Starlette application that passes everything on, over the gateway's own HTTP client.

    python bench/_gateway_relay.py UPSTREAM_URL

What the gateway costs beyond this is what it does: routing, keys, providers, documents. Prints its port when it is ready.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from callsheet.io import Body, Incoming, Outgoing
from callsheet_gateway.upstream import UpstreamTransport

PATIENCE = 60.0


def relay(upstream: str) -> Starlette:
    transport = UpstreamTransport()

    async def pieces(incoming: Incoming) -> AsyncIterator[bytes]:
        try:
            while piece := await incoming.read(time.monotonic() + PATIENCE):
                yield piece
        finally:
            await incoming.aclose()

    async def pass_on(request: Request) -> Response:
        content = await request.body()
        headers = {
            "content-length": str(len(content)),
            "content-type": "application/json",
            "authorization": "Bearer sk-x",
        }
        body = Body([content], "application/json")
        outgoing = Outgoing("POST", upstream + request.url.path, headers, body, time.monotonic() + PATIENCE)
        incoming = await transport.open(outgoing)
        kind = incoming.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            return StreamingResponse(pieces(incoming), incoming.status, media_type=kind)
        whole = b"".join([piece async for piece in pieces(incoming)])
        return Response(whole, incoming.status, media_type=kind)

    return Starlette(routes=[Route("/{path:path}", pass_on, methods=["POST"])])


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(relay(sys.argv[1]), log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])
