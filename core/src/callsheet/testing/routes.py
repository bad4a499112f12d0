"""The routes of OpenAI's wire, by their parts: vendors of their own often serve one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callsheet.testing import characters, chat, realtime, responses, videos
from callsheet.testing.answers import Answer
from callsheet.testing.route import FORM, JSON, SDP, Route

__all__ = ["CHAT", "REALTIME", "RESPONSES", "ROUTES", "VIDEOS"]

_PAGE = ("limit", "order", "after")


def _post(template: str, handler: Callable[..., Answer], *takes: str, **options: Any) -> Route:
    return Route("POST", template, handler, takes, body_needed=True, **options)


VIDEOS: tuple[Route, ...] = (
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
)
REALTIME: tuple[Route, ...] = (
    _post("/realtime/client_secrets", realtime.mint, JSON),
    _post("/realtime/calls", realtime.call, SDP, FORM, query=("model",), takes_ephemeral=True),
    Route("POST", "/realtime/calls/{call_id}/hangup", realtime.hang_up),
)
RESPONSES: tuple[Route, ...] = (
    _post("/responses", responses.create, JSON),
    Route("GET", "/responses/{response_id}", responses.get, query=("stream", "starting_after", "include", "include[]")),
    Route("DELETE", "/responses/{response_id}", responses.delete),
    Route("POST", "/responses/{response_id}/cancel", responses.cancel, (JSON,)),
    Route("GET", "/responses/{response_id}/input_items", responses.input_items, query=(*_PAGE, "include", "include[]")),
)
CHAT: tuple[Route, ...] = (_post("/chat/completions", chat.create, JSON),)
ROUTES = (*VIDEOS, *REALTIME, *RESPONSES, *CHAT)
