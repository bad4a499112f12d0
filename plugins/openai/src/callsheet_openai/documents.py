"""What all parts of the codec share: answers as documents, and queries."""

from __future__ import annotations

from typing import Any

from callsheet import APIError, APIResponseValidationError, Reply

__all__ = ["error_in_answer", "receipt", "several", "whole"]


def whole(reply: Reply, *one_of: str) -> dict[str, Any]:
    """The document of an answer, which has at least one of these fields. Some servers put an error there, with status 200."""
    document = reply.document()
    if any(name in document for name in one_of):
        return document
    if error := document.get("error"):
        raise error_in_answer(error, document)
    raise APIResponseValidationError(
        f"the provider answered {reply.status} with a document that has no {' and no '.join(one_of)}",
        request_id=reply.request_id,
    )


def error_in_answer(said: object, body: object) -> APIError:
    """The exception for an error that came inside an answer of status 200: as an object, or as a text."""
    fields: dict[str, Any] = said if isinstance(said, dict) else {"message": said if isinstance(said, str) else None}
    code, param = fields.get("code") or fields.get("type"), fields.get("param")
    return APIError(
        str(fields.get("message") or "the provider broke its answer off without saying why"),
        code=None if code is None else str(code),
        param=param if isinstance(param, str) else None,
        body=body,
    )


def receipt(reply: Reply, id: str, kind: str) -> dict[str, Any]:
    """What is answered to a deletion. Some servers answer with nothing at all: then the status is all there is to say."""
    return reply.document() if reply.content.strip() else {"id": id, "object": kind, "deleted": True}


def several(name: str, values: list[str] | None) -> dict[str, object]:
    """A query parameter that has several values, spelled as OpenAI's SDK does."""
    return {f"{name}[]": values} if values else {}
