"""All routes. Most are the operation table's: a body, a query and a path make a request; its result is the answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import anyio
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from callsheet import Meta, Stream
from callsheet.operations import OPERATIONS, Operation
from callsheet_gateway import admin, listings, realtime, spend
from callsheet_gateway.bodies import document_of, known_query
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.downloads import video_content
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Endpoint, Face, unless_gone
from callsheet_gateway.health import Health
from callsheet_gateway.idempotency import HEADER, claim, done_once
from callsheet_gateway.openapi import openapi_document
from callsheet_gateway.principal import Principal, let_in
from callsheet_gateway.progress import video_events
from callsheet_gateway.protocol import gone_in
from callsheet_gateway.records import MAKES
from callsheet_gateway.request_record import record_of
from callsheet_gateway.streaming import Begun, EventResponse, chat_frames, response_frames, with_model

__all__ = ["api_routes"]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Access = Literal["anybody", "key", "token", "operator", "admin"]
"""Whom a route is for: `token` is for those with an ephemeral key, too; `operator` for those with the master key; `admin`
likewise, and nobody where no key is asked for."""
_NOT_OFFERED = ("/responses/compact", "/responses/input_tokens")
"""What OpenAI's clients know and the contract does not: they stand where an id could."""
_HOT = {"/chat/completions", "/responses"}
"""What is asked for most is looked for first."""
_CHANGING = {"POST", "DELETE"}
PREFIXES = ("/v1", "")
"""Clients' base URLs end in /v1, or don't."""


def api_routes(face: Face) -> list[Route]:
    """The API's routes, with and without /v1, those with fixed paths before those with an id in their place."""
    table: dict[str, dict[str, Handler]] = {}
    for operation in OPERATIONS.values():
        table.setdefault(operation.route, {})[operation.method] = _endpoint(face, operation)
    table[OPERATIONS["list_videos"].route]["GET"] = _bound(listings.videos, face)
    table[OPERATIONS["mint_realtime_secret"].route] = {"POST": _bound(realtime.client_secrets, face)}
    table[OPERATIONS["relay_sdp"].route] = {"POST": _bound(realtime.relay, face)}
    table["/videos/{video_id}/edits"] = {"POST": _of_path(face, OPERATIONS["edit"])}
    table["/videos/{video_id}/events"] = {"GET": _bound(video_events, face)}
    health = Health()
    looked_at = {
        "/models": listings.models,
        "/models/{model:path}": listings.model,
        "/providers": listings.providers,
        "/health/live": health.live,
        "/health/ready": health.ready,
        "/metrics": health.metrics,
        "/openapi.json": openapi_document,
        OPERATIONS["download_video"].route: video_content,
    }
    for path, function in looked_at.items():
        # HEAD where it is cheap. Elsewhere it would do all the work, or follow a stream to its end.
        table[path] = dict.fromkeys(("GET", "HEAD"), _bound(function, face))
    table |= {path: _bound_all(methods, face) for path, methods in (admin.ROUTES | spend.ROUTES).items()}
    for path in _NOT_OFFERED:
        table[path] = {"POST": _not_offered}
    paths = sorted(table, key=lambda path: ("{" in path, path not in _HOT))
    named = {(operation.route, operation.method): name for name, operation in OPERATIONS.items()}
    named["/videos/{video_id}/edits", "POST"] = "edit"
    routes = []
    for path in paths:
        names = {method: named.get((path, method), f"{method} {path.replace(':path', '')}") for method in table[path]}
        methods = _Methods(table[path], names, face, _access_of(path))
        routes += [Route(prefix + path, methods) for prefix in PREFIXES]
    return routes


def _access_of(path: str) -> Access:
    if path in {"/health/live", "/health/ready", "/openapi.json"}:
        return "anybody"
    if path == "/metrics":
        return "operator"
    if path == OPERATIONS["relay_sdp"].route:
        return "token"
    return "admin" if path in admin.ROUTES else "key"


@frozen
class _Methods:
    """All methods of a path, as an ASGI application: a wrong one is told the right ones, whatever other paths would fit.

    Who calls is found out here: the route is known then, and nothing of the body has been read.
    """

    handlers: dict[str, Handler]
    names: dict[str, str]
    face: Face
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self.handlers.get(request.method)
        if handler is None:
            raise HTTPException(405, headers={"Allow": ", ".join(self.handlers)})
        name = record_of(request).route = self.names[request.method]
        limits = scope["state"]["limits"] = self.face.state.limits
        under_way: AbstractContextManager[None] = nullcontext()
        if self.access == "token" and realtime.shows_token(request):
            pass  # it says itself in whose name it is good
        elif self.access != "anybody":
            let_in(request, principal := self.face.door.admit(request.headers))
            self._check(principal)
            settings = self.face.settings
            # Whoever watches the gateway hears from it also when it is full.
            of_all = None if self.access == "operator" else settings.max_requests
            under_way = limits.requests.one(principal, settings.max_requests_per_key, of_all)
        with under_way:
            # What makes something goes on even where this task is cancelled: at the gateway's end, say.
            work = self._work(request, handler, name)
            response = await (self.face.drain.finished(work) if name in MAKES else work)
            await response(scope, receive, send)

    def _work(self, request: Request, handler: Handler, name: str) -> Coroutine[Any, Any, ASGIApp]:
        if request.method not in _CHANGING or HEADER not in request.headers:
            return handler(request)
        operation = OPERATIONS.get(name)
        given_up = operation is not None and name not in MAKES
        return done_once(request, handler, self.face.state.answers, operation, given_up=given_up)

    def _check(self, principal: Principal) -> None:
        if self.access == "operator" and not principal.admin:
            raise Refused(403, "this takes the master key", "admin_only")
        if self.access == "admin" and (self.face.door.open or not principal.admin):
            raise Refused(403, "this takes the master key of a gateway that asks for keys", "admin_only")


async def _not_offered(request: Request) -> Response:
    path = request.url.path
    raise Refused(501, f"{path} is no operation of Callsheet's: no provider here can do it", "unsupported_operation")


def _bound(function: Endpoint, face: Face) -> Handler:
    async def handler(request: Request) -> Response:
        return await function(face, request)

    return handler


def _bound_all(methods: dict[str, Endpoint], face: Face) -> dict[str, Handler]:
    return {method: _bound(function, face) for method, function in methods.items()}


def _endpoint(face: Face, operation: Operation) -> Handler:
    async def handler(request: Request) -> Response:
        if operation.method != "POST":
            fields = {**known_query(operation.name, request), **request.path_params}
            await claim(request, fields)
            return await _answer(face, operation, fields, request)
        async with document_of(request, operation.request, face.settings) as document:
            return await _answer(face, operation, {**document, **request.path_params}, request)

    return handler


def _of_path(face: Face, operation: Operation) -> Handler:
    """The older spelling of an edit, whose video is named in the path."""

    async def handler(request: Request) -> Response:
        async with document_of(request, operation.request, face.settings) as document:
            fields = {**document, "video": {"id": request.path_params["video_id"]}}
            return await _answer(face, operation, fields, request)

    return handler


async def _answer(face: Face, operation: Operation, fields: dict[str, Any], request: Request) -> Response:
    result = await face.call(operation.name, fields, request)
    asked = fields.get("model") if isinstance(fields.get("model"), str) else None
    if isinstance(result, Stream):
        return await _stream(face, operation, result, asked, request.scope)
    meta = getattr(result, "meta", None)
    headers = _headers(meta) if isinstance(meta, Meta) else {}
    if (cost := record_of(request).cost) is not None:
        headers["x-callsheet-cost"] = f"{cost // 1_000_000}.{cost % 1_000_000:06}"  # dollars
    return JSONDocument(face.document(result, asked), headers=headers)


async def _stream(face: Face, operation: Operation, stream: Stream, asked: str | None, scope: Scope) -> Response:
    stream = with_model(stream, lambda upstream: asked or face.model_name(stream.meta, upstream))
    frames = chat_frames if operation.name == "chat_completions" else response_frames
    try:
        begun = await unless_gone(Begun.of(stream, scope), gone_in(scope))
    except BaseException:
        with anyio.CancelScope(shield=True):  # where the client had gone already nobody has asked for the first event
            await stream.aclose()
        raise
    return EventResponse(frames(begun), stream)


def _headers(meta: Meta) -> dict[str, str]:
    """What a provider said beside its answer, as far as clients use it."""
    headers = {name: value for name, value in meta.limits.items() if value.isascii() and value.isprintable()}
    if meta.poll_after is not None:
        headers["openai-poll-after-ms"] = str(round(meta.poll_after * 1000))
    return headers
