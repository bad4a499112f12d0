"""Routes without anything variable in them are found at once. Starlette tries one route after the other, each by a pattern."""

from __future__ import annotations

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FixedPaths"]


class FixedPaths:
    """Stands before a Starlette router, which is asked for everything else."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._apps: dict[str, ASGIApp] = {}
        for route in router.routes:
            # Those with methods of their own have to say which there are.
            if isinstance(route, Route) and "{" not in route.path and route.methods is None:
                self._apps.setdefault(route.path, route.app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._apps.get(scope["path"]) if scope["type"] == "http" else None
        if app is None:
            # Where there is an app Starlette raises its errors; else it answers them in its own way.
            app = self._router
            scope["app"] = self
        await app(scope, receive, send)
