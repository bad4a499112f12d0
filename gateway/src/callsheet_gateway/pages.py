"""The pages in the browser: static files in this package, under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["page_routes"]

FOLDER = Path(__file__).parent / "pages"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    # Pages are part of the program: after an upgrade the new ones are wanted.
    "cache-control": "no-cache",
}


class _Static(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def page_routes() -> list[BaseRoute]:
    """`/` leads to the realtime tester, which is the only page yet."""
    return [
        Route("/", _home),
        Route("/realtime", _realtime),
        Mount("/static", _Static(directory=FOLDER / "static")),
    ]


async def _home(_request: Request) -> Response:
    return RedirectResponse("/realtime", 307)


async def _realtime(_request: Request) -> Response:
    return FileResponse(FOLDER / "realtime.html", headers=HEADERS)
