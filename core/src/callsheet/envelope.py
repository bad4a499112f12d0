"""Answers as documents, and the errors in them, in OpenAI's spelling: the contract's default."""

from __future__ import annotations

from typing import Any

from callsheet import headers as hints
from callsheet.errors import APIError, APIResponseValidationError, APIStatusError, CallsheetError, status_error
from callsheet.exchange import Reply

__all__ = ["NO_USE_IN_RETRYING", "envelope_error", "error_in_answer", "reply_error", "whole"]

NO_USE_IN_RETRYING = {"insufficient_quota", "credit_balance_exhausted"}
"""A used-up quota does not come back by asking again."""


def whole(reply: Reply, *one_of: str) -> dict[str, Any]:
    """The document of an answer, which has at least one of these fields. Some servers put an error there, with status 200."""
    document = reply.document()
    error = document.get("error")
    if any(document.get(name) if error else name in document for name in one_of):
        return document
    if error:
        raise error_in_answer(error, document, reply.request_id)
    raise APIResponseValidationError(
        f"the provider answered {reply.status} with a document that has no {' and no '.join(one_of)}",
        request_id=reply.request_id,
    )


def error_in_answer(said: object, body: object, request_id: str | None = None) -> APIError:
    """The exception for an error that came inside an answer of status 200: as an object, or as a text."""
    fields: dict[str, Any] = said if isinstance(said, dict) else {"message": said if isinstance(said, str) else None}
    code, param = fields.get("code") or fields.get("type"), fields.get("param")
    return APIError(
        str(fields.get("message") or "the provider broke its answer off without saying why"),
        code=None if code is None else str(code),
        param=param if isinstance(param, str) else None,
        body=body,
        request_id=request_id,
        should_retry=False if code in NO_USE_IN_RETRYING else None,
    )


def envelope_error(reply: Reply) -> APIStatusError:
    """Read OpenAI's `{"error": {message, code, param}}`, and what is found in its place in the wild.

    That is: `error` as a plain string, `{"statusCode": ..., "message": ...}` (API Management), `{"detail": ...}`
    (FastAPI, a text or a list), a text, and nothing at all.
    """
    try:
        document: Any = reply.json()
    except CallsheetError:
        document = None
    inner = document.get("error", document) if isinstance(document, dict) else document
    fields: dict[str, Any] = (
        inner if isinstance(inner, dict) else {"message": inner if isinstance(inner, str) else None}
    )
    said = fields.get("message") or fields.get("detail") or fields.get("title")
    code = fields.get("code")
    if isinstance(said, list):
        said, code = _problems(said, code)
    param = fields.get("param")
    return reply_error(
        reply,
        None if said is None else str(said),
        code=None if code is None else str(code),
        param=param if isinstance(param, str) else None,
    )


def _problems(said: list[Any], code: Any) -> tuple[str | None, Any]:
    """FastAPI's list of what is wrong with a request: where, in which words, and of which type."""
    told = [one for one in said if isinstance(one, dict) and one.get("msg")]
    places = [".".join(str(step) for step in one.get("loc") or () if step is not None) for one in told]
    words = [f"{place}: {one['msg']}" if place else str(one["msg"]) for place, one in zip(places, told, strict=True)]
    return "; ".join(words) or None, code or (told[0].get("type") if told else None)


def reply_error(
    reply: Reply, message: str | None = None, *, code: str | None = None, param: str | None = None
) -> APIStatusError:
    """The error of an answer's status, with what its headers tell: request id, Retry-After, x-should-retry.

    For a `Provider.error` whose vendor spells errors in another way. Without a message it says what can be said.
    """
    try:
        document: Any = reply.json()
    except CallsheetError:
        document = None
    return status_error(
        reply.status,
        message or _silent(reply),
        code=code,
        param=param,
        body=document,
        request_id=reply.request_id,
        retry_after=hints.retry_after(reply.headers),
        should_retry=hints.should_retry(reply.headers),
    )


def _silent(reply: Reply) -> str:
    """What to say of an error that does not explain itself."""
    if 300 <= reply.status < 400:
        where = reply.headers.get("location", "nowhere").partition("?")[0]
        return f"the provider answered {reply.status} and points to {where[:200]}; is the base URL right (https, path)?"
    kind = reply.headers.get("content-type", "no content type").partition(";")[0]
    hint = "; is the base URL right?" if reply.status in {404, 405} or kind == "text/html" else ""
    return f"the provider answered {reply.status} without saying why ({len(reply.content)} bytes of {kind}){hint}"
