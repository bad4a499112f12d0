"""Secrets to look for in texts, the ways in which an upstream may quote them, and how an error is looked through."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from core.tests.server import Answer, bytes_answer, json_answer, reset_before_headers, sse_answer

__all__ = ["EPHEMERAL", "KEY", "TOKEN", "check", "clean", "event", "logs", "quotes", "whole"]

KEY, TOKEN, EPHEMERAL = "sk-canary-51c0ffee", "gw-canary-0dd5ea50", "ek_canary_7ea5e77e"
SECRETS = (KEY, TOKEN, EPHEMERAL)
PARTS = tuple(secret[:14] for secret in SECRETS)
"""What a text that was cut off in the middle of a secret would show."""


def event(document: Any) -> Answer:
    return sse_answer(f"event: error\ndata: {json.dumps(document)}\n\n".encode())


def quotes(*secrets: str) -> dict[str, Answer]:
    """All the ways in which an upstream may say what it was shown."""
    said = f"Incorrect API key provided: {', '.join(secrets)}."
    path = "/".join(secrets)
    page = f"<html>{said}</html>".encode()
    error = {"message": said, "type": said, "code": secrets[0], "param": secrets[-1], secrets[0]: secrets[-1]}
    escaped = json.dumps({"error": error}).replace("sk-", "\\u0073k-").replace("ek_", "\\u0065k_").encode()
    return {
        "error": json_answer({"error": error}, 401),
        "error as a text": json_answer({"error": said}, 500),
        "detail": json_answer({"detail": said}, 422),
        "escaped": bytes_answer(escaped, 403, content_type="application/json"),
        "HTML": bytes_answer(page, 502, content_type="text/html"),
        "HTML, 200": bytes_answer(page, 200, content_type="text/html"),
        "redirect": bytes_answer(b"", 302, location=f"/sign-in/{path}?{path}"),
        "redirect elsewhere": bytes_answer(b"", 307, location=f"ftp://elsewhere.example/{path}"),
        "bad redirect": bytes_answer(b"", 307, location=f"http://[{path}"),
        "error, 200": json_answer({"error": error}),
        "error as a text, 200": json_answer({"error": said}),
        "error event": event({"type": "error", "error": error}),
        "flat error event": event({**error, "type": "error"}),
        "error event as a text": event({"error": said}),
        "the name of a field": json_answer({secrets[0]: said, "status": 7}),
        "a kind": bytes_answer(b"x", 200, content_type=f"x/{path}"),
        "a request's id": json_answer({"error": {"message": "No."}}, 400, x_request_id=secrets[0]),
        "broken off": reset_before_headers,
    }


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged, though not what HTTP libraries say to those who debug them."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.INFO, logger=name)
    yield caplog
    # Not caplog.records: by now those are of the teardown only.
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    clean(*[f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in records])


def clean(*texts: object) -> None:
    for text in texts:
        shown = text.decode("latin-1") if isinstance(text, bytes) else str(text)
        found = [part for part in PARTS if part in shown]
        assert not found, f"{found} in {shown[:3000]}"


def check(error: BaseException) -> None:
    """An error, what is attached to it, and how it came about."""
    while_at_it: BaseException | None = error
    while while_at_it is not None:
        clean(while_at_it, repr(while_at_it), while_at_it.args, vars(while_at_it))
        while_at_it = while_at_it.__cause__ or while_at_it.__context__
    clean("".join(traceback.format_exception(error)), pickle.dumps(error), copy.copy(error))


async def whole(asked: Any) -> None:
    """Wait for a result, and read it to its end if it comes in pieces."""
    result = await asked
    if hasattr(result, "__aiter__"):
        async with result:
            async for _ in result:
                pass
