"""The routes of OpenAI's wire that the fake serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from attrs import field, frozen

from callsheet.testing import characters, chat, realtime, responses, videos
from callsheet.testing.answers import Answer
from callsheet.testing.requests import FORM, JSON, SDP

__all__ = ["ROUTES", "Route", "find_route"]

_PAGE = ("limit", "order", "after")


@frozen
class Route:
    """One operation: `takes` are the content types of its body, `query` its query parameters."""

    method: str
    template: str
    handler: Callable[..., Answer] = field(repr=False)
    takes: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    body_needed: bool = field(default=False, kw_only=True)
    takes_ephemeral: bool = field(default=False, kw_only=True)

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    def match(self, segments: list[str]) -> list[str] | None:
        """The ids in a path, or None if the path is not this route's."""
        wanted = self.template.split("/")
        if len(wanted) != len(segments):
            return None
        pairs = list(zip(wanted, segments, strict=True))
        if any(name != segment for name, segment in pairs if not name.startswith("{")):
            return None
        return [unquote(segment) for name, segment in pairs if name.startswith("{")]


def _post(template: str, handler: Callable[..., Answer], *takes: str, **options: Any) -> Route:
    return Route("POST", template, handler, takes, body_needed=True, **options)


# Order matters: /videos/characters before /videos/{video_id}.
ROUTES: tuple[Route, ...] = (
    _post("/videos", videos.create, JSON, FORM),
    Route("GET", "/videos", videos.list_jobs, query=_PAGE),
    _post("/videos/edits", videos.edit, JSON, FORM),
    _post("/videos/extensions", videos.extend, JSON, FORM),
    _post("/videos/characters", characters.create, FORM),
    Route("GET", "/videos/characters/{character_id}", characters.get),
    Route("GET", "/videos/{video_id}", videos.look),
    Route("DELETE", "/videos/{video_id}", videos.delete),
    Route("GET", "/videos/{video_id}/content", videos.content, query=("variant",)),
    _post("/videos/{video_id}/remix", videos.remix, JSON, FORM),
    _post("/realtime/client_secrets", realtime.mint, JSON),
    _post("/realtime/calls", realtime.call, SDP, FORM, query=("model",), takes_ephemeral=True),
    Route("POST", "/realtime/calls/{call_id}/hangup", realtime.hang_up),
    _post("/responses", responses.create, JSON),
    Route("GET", "/responses/{response_id}", responses.get, query=("stream", "starting_after", "include", "include[]")),
    Route("DELETE", "/responses/{response_id}", responses.delete),
    Route("POST", "/responses/{response_id}/cancel", responses.cancel, (JSON,)),
    Route("GET", "/responses/{response_id}/input_items", responses.input_items, query=(*_PAGE, "include", "include[]")),
    _post("/chat/completions", chat.create, JSON),
)


def find_route(prefix: str, method: str, path: str) -> tuple[Route | None, list[str]]:
    """The route of a request and the ids in its path. A path is taken as it is: no slash more or less."""
    if not path.startswith(prefix + "/"):
        return None, []
    segments = path.removeprefix(prefix).split("/")
    for route in ROUTES:
        if route.method == method and (ids := route.match(segments)) is not None and all(ids):
            return route, ids
    return None, []
