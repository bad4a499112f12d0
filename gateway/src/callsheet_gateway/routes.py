"""All routes. Most are the operation table's: a body, a query and a path make a request; its result is the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from callsheet import Meta, Stream
from callsheet.operations import OPERATIONS, Operation
from callsheet_gateway import listings, realtime
from callsheet_gateway.bodies import document_of
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.downloads import video_content
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Face
from callsheet_gateway.openapi import openapi_document
from callsheet_gateway.progress import video_events
from callsheet_gateway.streaming import Begun, EventResponse, chat_frames, response_frames, with_model

__all__ = ["api_routes"]

Handler = Callable[[Request], Awaitable[Response]]
_NOT_OFFERED = ("/responses/compact", "/responses/input_tokens")
"""What OpenAI's clients know and the contract does not: they stand where an id could."""
PREFIXES = ("/v1", "")
"""Clients' base URLs end in /v1, or don't."""


def api_routes(face: Face) -> list[Route]:
    """The API's routes, with and without /v1, those with fixed paths before those with an id in their place."""
    table: dict[str, dict[str, Handler]] = {}
    for operation in OPERATIONS.values():
        table.setdefault(operation.route, {})[operation.method] = _endpoint(face, operation)
    table[OPERATIONS["mint_realtime_secret"].route] = {"POST": _bound(realtime.client_secrets, face)}
    table[OPERATIONS["relay_sdp"].route] = {"POST": _bound(realtime.relay, face)}
    table["/videos/{video_id}/edits"] = {"POST": _of_path(face, OPERATIONS["edit"])}
    table["/videos/{video_id}/events"] = {"GET": _bound(video_events, face)}
    looked_at = {
        "/models": listings.models,
        "/models/{model:path}": listings.model,
        "/providers": listings.providers,
        "/health/live": listings.live,
        "/openapi.json": openapi_document,
        OPERATIONS["download_video"].route: video_content,
    }
    for path, function in looked_at.items():
        # HEAD where it is cheap. Elsewhere it would do all the work, or follow a stream to its end.
        table[path] = dict.fromkeys(("GET", "HEAD"), _bound(function, face))
    for path in _NOT_OFFERED:
        table[path] = {"POST": _not_offered}
    paths = sorted(table, key=lambda path: "{" in path)
    return [Route(prefix + path, _Methods(table[path])) for prefix in PREFIXES for path in paths]


@frozen
class _Methods:
    """All methods of a path, as an ASGI application: a wrong one is told the right ones, whatever other paths would fit."""

    handlers: dict[str, Handler]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self.handlers.get(request.method)
        if handler is None:
            raise HTTPException(405, headers={"Allow": ", ".join(self.handlers)})
        response = await handler(request)
        await response(scope, receive, send)


async def _not_offered(request: Request) -> Response:
    path = request.url.path
    raise Refused(501, f"{path} is no operation of Callsheet's: no provider here can do it", "unsupported_operation")


def _bound(function: Callable[[Face, Request], Awaitable[Response]], face: Face) -> Handler:
    async def handler(request: Request) -> Response:
        return await function(face, request)

    return handler


def _endpoint(face: Face, operation: Operation) -> Handler:
    async def handler(request: Request) -> Response:
        if operation.method != "POST":
            return await _answer(face, operation, {**_query(operation, request), **request.path_params})
        async with document_of(request, operation.request, face.settings) as document:
            return await _answer(face, operation, {**document, **request.path_params})

    return handler


def _of_path(face: Face, operation: Operation) -> Handler:
    """The older spelling of an edit, whose video is named in the path."""

    async def handler(request: Request) -> Response:
        async with document_of(request, operation.request, face.settings) as document:
            return await _answer(face, operation, {**document, "video": {"id": request.path_params["video_id"]}})

    return handler


async def _answer(face: Face, operation: Operation, fields: dict[str, Any]) -> Response:
    result = await face.call(operation.name, fields)
    asked = fields.get("model") if isinstance(fields.get("model"), str) else None
    if isinstance(result, Stream):
        return await _stream(face, operation, result, asked)
    meta = getattr(result, "meta", None)
    return JSONDocument(face.document(result, asked), headers=_headers(meta) if isinstance(meta, Meta) else None)


async def _stream(face: Face, operation: Operation, stream: Stream, asked: str | None) -> Response:
    stream = with_model(stream, lambda upstream: asked or face.model_name(stream.meta, upstream))
    frames = chat_frames if operation.name == "chat_completions" else response_frames
    return EventResponse(frames(await Begun.of(stream)))


def _headers(meta: Meta) -> dict[str, str]:
    """What a provider said beside its answer, as far as clients use it."""
    headers = {name: value for name, value in meta.limits.items() if value.isascii() and value.isprintable()}
    if meta.poll_after is not None:
        headers["openai-poll-after-ms"] = str(round(meta.poll_after * 1000))
    return headers


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    """The query's fields that the operation knows; lists may be spelled `include=a&include=b` or `include[]=a`."""
    fields: dict[str, Any] = {}
    for name in operation.request.model_fields:
        values = [*request.query_params.getlist(name), *request.query_params.getlist(f"{name}[]")]
        if values:
            fields[name] = values if _is_list(operation.request.model_fields[name].annotation) else values[-1]
    return fields


def _is_list(annotation: Any) -> bool:
    options: Iterable[Any] = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else [annotation]
    return any(get_origin(option) is list for option in options)
