"""How the gateway is: for whoever watches it. Nothing here asks a provider."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response

from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.face import Face

__all__ = ["Health"]

log = logging.getLogger("callsheet.gateway")

_GOOD_FOR = 1.0
"""Seconds: who asks more often hears what was found last."""


@define(eq=False)
class Health:
    """Answers whether the gateway lives, takes requests, and what it has done."""

    _looked_at: float = field(default=-math.inf, init=False)
    _look: asyncio.Future[bool] | None = field(default=None, init=False)

    async def live(self, _face: Face, _request: Request) -> Response:
        """GET /health/live: 200 as long as the server answers at all."""
        return JSONDocument({"status": "ok"})

    async def ready(self, face: Face, _request: Request) -> Response:
        """GET /health/ready: 503 where requests shall go elsewhere: the gateway ends, or can't write anything down."""
        if face.drain.begun:
            return JSONDocument({"status": "ending"}, 503)
        if self._look is None or time.monotonic() - self._looked_at > _GOOD_FOR:
            self._looked_at, self._look = time.monotonic(), asyncio.ensure_future(_writable(face))
        # However many ask, one looks: anybody may, and it writes.
        if await asyncio.shield(self._look):
            return JSONDocument({"status": "ready"})
        return JSONDocument({"status": "database can't be written"}, 503)

    async def metrics(self, face: Face, _request: Request) -> Response:
        """GET /metrics: figures in Prometheus' text format. Where keys are asked for it takes the master key."""
        return Response(face.metrics.document(), media_type="text/plain; version=0.0.4")


async def _writable(face: Face) -> bool:
    try:
        await face.state.resources.probe()
    except (sqlite3.Error, OSError) as error:
        log.critical("the database can't be written: %s", type(error).__name__)
        return False
    return True
