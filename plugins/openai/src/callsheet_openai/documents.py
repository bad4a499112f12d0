"""What all parts of the codec share: answers as documents, and queries."""

from __future__ import annotations

from typing import Any

from callsheet import APIError, APIResponseValidationError, Reply

__all__ = ["NO_USE_IN_RETRYING", "error_in_answer", "receipt", "several", "whole"]


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


def receipt(reply: Reply, id: str, kind: str) -> dict[str, Any]:
    """What is answered to a deletion. Some servers answer with nothing at all: then the status is all there is to say."""
    return reply.document() if reply.content.strip() else {"id": id, "object": kind, "deleted": True}


def several(name: str, values: list[str] | None) -> dict[str, object]:
    """A query parameter that has several values, spelled as OpenAI's SDK does."""
    return {f"{name}[]": values} if values else {}
