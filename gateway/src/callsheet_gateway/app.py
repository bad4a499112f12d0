"""The ASGI application: routes, who may call them, and what is ended when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp

from callsheet import AsyncClient
from callsheet_gateway.access_log import AccessLog
from callsheet_gateway.drain import Drain
from callsheet_gateway.errors import ErrorAnswers
from callsheet_gateway.face import Face
from callsheet_gateway.fixed_paths import FixedPaths
from callsheet_gateway.guard import Guard
from callsheet_gateway.ledger.figures import charge_metrics
from callsheet_gateway.ledger.reconciler import reconciling
from callsheet_gateway.pages import page_routes
from callsheet_gateway.routes import api_routes
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.standing import standing_metrics
from callsheet_gateway.state import State

__all__ = ["make_app"]

_EXPOSED = (
    "location", "x-request-id", "openai-poll-after-ms", "retry-after", "retry-after-ms", "x-should-retry", "etag",
    "content-range", "idempotent-replayed", "x-callsheet-cost",
)  # fmt: skip


def make_app(
    client: AsyncClient,
    settings: GatewaySettings | None = None,
    state: State | None = None,
    drain: Drain | None = None,
    access_log: AccessLog | None = None,
) -> ASGIApp:
    """A gateway over a client's router. Client and state are closed with the application.

    Without a `state` ids, keys and what is known of jobs live as long as the application. `drain` is for a server that
    tells how its end goes on. Without an `access_log` there is none.
    """
    settings = settings or GatewaySettings()
    state = state or State.passing()
    face = Face(client, settings, state, drain or Drain())

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        try:
            async with client:
                face.ledger.recover()
                async with reconciling(face):
                    yield
                    await face.drain.settled()
                face.ledger.flush()
        finally:
            state.close()

    # A router and no Starlette application: that has three more layers around it, each with a `send` of its own.
    router = Router([*api_routes(face), *page_routes()], redirect_slashes=False, lifespan=lifespan)
    app: ASGIApp = ErrorAnswers(FixedPaths(router))
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
            max_age=600,
        )
    told = [state.limits.keys.over, face.metrics.tell, *([] if access_log is None else [access_log.tell])]
    # Outside of everything: the answer to a bug has a request id, too.
    guard = Guard(
        app,
        settings.cors_origins,
        admitted=state.limits.requests,
        own_machine=face.door.open,
        most=settings.max_requests,
        drain=face.drain,
        told=told,
    )
    face.metrics.also(lambda: charge_metrics(face.ledger))
    face.metrics.also(lambda: standing_metrics(client.router.models))
    show = face.metrics.gauge
    show("requests_in_progress", "Requests that are under way, streams included.", lambda: guard.under_way)
    show("draining", "1 while the gateway is ending.", lambda: face.drain.begun)
    show(
        "uploads_in_progress",
        "Forms and large JSON bodies that are being read or used.",
        lambda: state.limits.uploads.total,
    )
    show("spool_bytes", "Bytes of the files in them.", lambda: state.limits.spool.used)
    show("large_body_bytes", "Bytes of them in memory, beyond 1 MiB each.", lambda: state.limits.memory.used)
    show("database_writes_waiting", "Writes that wait for the database's writer.", lambda: state.database.waiting)
    if access_log is not None:
        show("access_log_dropped", "Lines of the access log that were lost.", lambda: access_log.writer.dropped)
    return guard
