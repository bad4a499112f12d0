"""Google's errors: `{"error": {code, message, status, details}}`, google.rpc.Status in JSON.

`status` is the name of the error's kind, such as RESOURCE_EXHAUSTED; `code` repeats the HTTP status. Inside an operation
`code` is the kind's number instead, and there is no name.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from callsheet import APIError, APIStatusError, CallsheetError, Reply, envelope_error
from callsheet.envelope import error_in_answer
from callsheet.jsontext import encode

__all__ = ["kind_of", "read_error", "read_error_in_answer"]

KINDS = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""google.rpc.Code, by number."""
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


def read_error(reply: Reply) -> APIStatusError:
    """The exception for an error answer. What is not Google's is read as anybody's."""
    said, document = _said(reply)
    if said is None:
        return envelope_error(reply)
    error = envelope_error(evolve(reply, content=encode(document)))
    error.code = kind_of(said) or error.code
    error.param = error.param or _field(said)
    error.retry_after = _retry_delay(said) if error.retry_after is None else error.retry_after
    if _quota_of_a_day(said):
        error.should_retry = False
    return error


def read_error_in_answer(said: object, body: object) -> APIError:
    """The exception for an error that came among the events of an answer."""
    error = error_in_answer(said, body)
    if isinstance(said, dict):
        error.code = kind_of(said) or error.code
    return error


def kind_of(said: dict[str, Any]) -> str | None:
    """The name of an error's kind, by its name or its number."""
    status, code = said.get("status"), said.get("code")
    if isinstance(status, str) and status:
        return status
    if isinstance(code, bool) or not isinstance(code, int):
        return code if isinstance(code, str) and code else None
    return KINDS[code] if 0 < code < len(KINDS) else str(code)


def _said(reply: Reply) -> tuple[dict[str, Any] | None, object]:
    """The error, and the document it is in. Endpoints that may stream put that into a list."""
    try:
        document: object = reply.json()
    except CallsheetError:
        return None, None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    said = document.get("error") if isinstance(document, dict) else None
    return (said, document) if isinstance(said, dict) else (None, document)


def _details(said: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    details = said.get("details")
    listed = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return [one for one in listed if str(one.get("@type")).rpartition("/")[2] == f"google.rpc.{kind}"]


def _listed(details: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    lists = [one[name] for one in details if isinstance(one.get(name), list)]
    return [item for one in lists for item in one if isinstance(item, dict)]


def _field(said: dict[str, Any]) -> str | None:
    fields = [one.get("field") for one in _listed(_details(said, "BadRequest"), "fieldViolations")]
    return next((name for name in fields if isinstance(name, str) and name), None)


def _retry_delay(said: dict[str, Any]) -> float | None:
    """Seconds, from "3s" or "3.5s"."""
    for one in _details(said, "RetryInfo"):
        if isinstance(delay := one.get("retryDelay"), str) and (match := _SECONDS.fullmatch(delay)):
            return float(match[1])
    return None


def _quota_of_a_day(said: dict[str, Any]) -> bool:
    """Whether what is used up comes back tomorrow, whatever `retryDelay` says."""
    quotas = [one.get("quotaId") for one in _listed(_details(said, "QuotaFailure"), "violations")]
    return any(isinstance(name, str) and "PerDay" in name for name in quotas)
