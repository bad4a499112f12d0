"""How the gateway is: for whoever watches it. Nothing here asks a provider."""

from __future__ import annotations

import logging
import sqlite3
import time

from starlette.requests import Request
from starlette.responses import Response

from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.face import Face

__all__ = ["live", "metrics", "ready"]

log = logging.getLogger("callsheet.gateway")

_GOOD_FOR = 1.0
"""Seconds: who asks more often hears what was found last."""


async def live(_face: Face, _request: Request) -> Response:
    """GET /health/live: 200 as long as the server answers at all."""
    return JSONDocument({"status": "ok"})


async def ready(face: Face, _request: Request) -> Response:
    """GET /health/ready: 503 where requests shall go elsewhere: the gateway is ending, or can't write anything down."""
    if face.drain.begun:
        return JSONDocument({"status": "ending"}, 503)
    asked, fine = face.checked
    if time.monotonic() - asked > _GOOD_FOR:
        fine = await _writable(face)
        face.checked = (time.monotonic(), fine)
    return JSONDocument({"status": "ready"}) if fine else JSONDocument({"status": "database can't be written"}, 503)


async def metrics(face: Face, _request: Request) -> Response:
    """GET /metrics: figures in Prometheus' text format. Where keys are asked for it takes the master key."""
    return Response(face.metrics.document(), media_type="text/plain; version=0.0.4")


async def _writable(face: Face) -> bool:
    try:
        await face.state.resources.probe()
    except (sqlite3.Error, OSError) as error:
        log.critical("the database can't be written: %s", type(error).__name__)
        return False
    return True
