"""Errors as OpenAI's envelope: {"error": {"message", "type", "param", "code"}}, all four always there."""

from __future__ import annotations

import logging
import math
import sqlite3
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from callsheet import APIError, CallsheetError
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.request_record import record_in

__all__ = [
    "ErrorAnswers", "Refused", "ending", "envelope", "envelope_of", "error_response", "log_bug", "not_writable", "remember",
]  # fmt: skip

log = logging.getLogger("callsheet.gateway")

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {404: "unknown_route", 405: "method_not_allowed"}
_RETRIED = {408, 409, 429}
"""Statuses below 500 that OpenAI's clients send again by themselves."""


class Refused(CallsheetError):
    """A request that the gateway itself refuses, before any provider hears of it."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message, status_code=status, code=code, param=param)


def envelope(status: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The document of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def envelope_of(error: CallsheetError) -> dict[str, Any]:
    """The document of what the library raised. The words are the error's own: they hold no secret."""
    document = envelope(status_of(error), error.message, error.code, error.param)
    said = error.body.get("error") if isinstance(error, APIError) and isinstance(error.body, dict) else None
    if isinstance(said, dict) and isinstance(said.get("innererror"), dict):
        document["error"]["innererror"] = said["innererror"]  # why a prompt was filtered, for those who read it
    return document


def status_of(error: CallsheetError) -> int:
    """The status to answer with: a provider's redirects and oddities are failures of the provider."""
    status = error.status_code or 500
    return status if 400 <= status <= 599 else 502


def error_response(error: CallsheetError) -> Response:
    """An error as an answer, with what a client needs to know to try again, or not to."""
    status = status_of(error)
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))  # who comes too early comes in vain
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    should = error.should_retry if isinstance(error, APIError) else None
    if should is None and (status >= 500 or status in _RETRIED) and not isinstance(error, APIError):
        should = (
            error.retry_after is not None
        )  # not an upstream's: asking again would change nothing, if it is not said when
    if status == 401 and isinstance(error, Refused):
        headers["www-authenticate"] = "Bearer"
    if should is not None:
        headers["x-should-retry"] = "true" if should else "false"
    if error.request_id:
        headers["x-upstream-request-id"] = _printable(error.request_id)
    if error.provider:
        headers["x-callsheet-provider"] = _printable(error.provider)
    return JSONDocument(envelope_of(error), status, headers)


def remember(scope: Scope, error: CallsheetError) -> None:
    """Have an error in the record of its request."""
    record = record_in(scope)
    record.error = (error.code or type(error).__name__)[:80]


def _library_error(scope: Scope, error: CallsheetError) -> Response:
    remember(scope, error)
    return error_response(error)


def _http_error(scope: Scope, error: HTTPException) -> Response:
    words = {
        404: f"there is no {scope['path']} here; GET /openapi.json lists what there is",
        405: f"{scope['method']} is not what {scope['path']} takes",
    }
    message = words.get(error.status_code, str(error.detail))
    code = _CODES.get(error.status_code)
    record_in(scope).error = code or "http_error"
    headers: Mapping[str, str] = error.headers or {}
    if allowed := headers.get("Allow"):
        message += f"; it takes {allowed}"
    return JSONDocument(envelope(error.status_code, message, code), error.status_code, headers)


def not_writable() -> Refused:
    """The refusal where nothing can be written down: another process writes for too long, or the disk is full."""
    refusal = Refused(503, "the gateway's database can't be written now; nothing was done", "not_writable")
    refusal.retry_after = 5.0
    return refusal


def ending() -> Refused:
    """The refusal of what is cut off because the gateway ends."""
    refusal = Refused(503, "the gateway is ending, and this took too long: ask again in a moment", "ending")
    refusal.retry_after = 1.0
    return refusal


def _database_error(scope: Scope, error: Exception) -> Response:
    log_bug(scope, error)
    return _library_error(scope, not_writable())


def _bug(scope: Scope, error: Exception) -> Response:
    log_bug(scope, error)
    record_in(scope).error = "internal_error"
    message = "the gateway failed; its log names the place, under the id in x-request-id"
    return JSONDocument(envelope(500, message, "internal_error"), 500, {"x-should-retry": "false"})


def log_bug(scope: Scope, error: BaseException) -> None:
    """Write down where a bug is, without the words of the error: they may hold anything."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{last[0].filename.rpartition('/')[2]}:{last[0].lineno}" if last else "nowhere"
    record = scope.get("state", {}).get("record")
    id = record.id if record is not None else "-"
    log.error("%s %s %.200r: %s at %s", id, scope.get("method"), scope.get("path"), type(error).__name__, place)


def _printable(text: str) -> str:
    """A header's value: what an upstream says may hold anything."""
    return "".join(character for character in text if " " <= character <= "~")[:200]


_ANSWERS: Mapping[type[BaseException], Callable[[Scope, Any], Response]] = {
    CallsheetError: _library_error,
    HTTPException: _http_error,
    sqlite3.Error: _database_error,
    Exception: _bug,
}


class ErrorAnswers:
    """ASGI middleware: what an application raises becomes its answer, where that has not begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            answer = next(_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)
            response = answer(scope, error)  # which takes it down, also where nobody can be told any more
            if record_in(scope).first_byte is not None:
                raise
            await response(scope, receive, send)
