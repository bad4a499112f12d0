"""The ASGI application: routes, who may call them, and what is ended when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from callsheet import AsyncClient
from callsheet_gateway.errors import HANDLERS
from callsheet_gateway.face import Face
from callsheet_gateway.guard import Guard
from callsheet_gateway.pages import page_routes
from callsheet_gateway.routes import api_routes
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State

__all__ = ["make_app"]

_EXPOSED = (
    "location", "x-request-id", "openai-poll-after-ms", "retry-after", "retry-after-ms", "x-should-retry", "etag",
    "content-range",
)  # fmt: skip


def make_app(client: AsyncClient, settings: GatewaySettings | None = None, state: State | None = None) -> ASGIApp:
    """A gateway over a client's router. Client and state are closed with the application.

    Without a `state` ids, keys and what is known of jobs live as long as the application.
    """
    settings = settings or GatewaySettings()
    state = state or State.passing()
    face = Face(client, settings, state)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            async with client:
                yield
        finally:
            state.close()

    middleware = []
    if settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["*"],
                expose_headers=_EXPOSED,
                max_age=600,
            )
        )
    app = Starlette(
        routes=[*api_routes(face), *page_routes()],
        middleware=middleware,
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    # Outside of everything: the answer to a bug has a request id, too.
    return Guard(app, settings.cors_origins, own_machine=face.door.open, most=settings.max_requests)
