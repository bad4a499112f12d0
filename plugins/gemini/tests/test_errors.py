"""Google's errors, as they are seen in the wild, and what is made of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from core.tests.server import Server, bytes_answer, json_answer
from plugins.gemini.tests.conftest import MODEL

from callsheet import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    MissingCredentials,
    NotFoundError,
    RateLimitError,
    Reply,
)
from callsheet_gemini import GeminiProvider, GeminiSettings
from callsheet_gemini.errors import read_error

START = "/models/veo-3.1-generate-preview:predictLongRunning"
RPC = "type.googleapis.com/google.rpc."
KEY_IS_WRONG = {
    "code": 400,
    "message": "API key not valid. Please pass a valid API key.",
    "status": "INVALID_ARGUMENT",
    "details": [{"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
}
LIMIT = {
    "code": 429,
    "message": "You exceeded your current quota.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {
            "@type": f"{RPC}QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerMinutePerProject", "quotaValue": "2"}],
        },
        {"@type": f"{RPC}Help", "links": []},
        {"@type": f"{RPC}RetryInfo", "retryDelay": "3.5s"},
    ],
}
DAILY = {**LIMIT, "details": [{"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerProject"}]}]}
FIELD = {
    "code": 400,
    "message": "The number value for `durationSeconds` is out of bound.",
    "status": "INVALID_ARGUMENT",
    "details": [{"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": "durationSeconds", "description": "..."}]}],
}


@pytest.mark.parametrize(
    ("said", "kind", "code", "param", "retry_after", "should_retry"),
    [
        (KEY_IS_WRONG, BadRequestError, "INVALID_ARGUMENT", None, None, None),
        (LIMIT, RateLimitError, "RESOURCE_EXHAUSTED", None, 3.5, False),  # Google does not promise that nothing began
        (DAILY, RateLimitError, "RESOURCE_EXHAUSTED", None, None, False),
        (FIELD, BadRequestError, "INVALID_ARGUMENT", "durationSeconds", None, None),
        ({"code": 404, "message": "no", "status": "NOT_FOUND"}, NotFoundError, "NOT_FOUND", None, None, None),
        (
            {"code": 401, "message": "no", "status": "UNAUTHENTICATED"},
            AuthenticationError,
            "UNAUTHENTICATED",
            None,
            None,
            None,
        ),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
async def test_errors(
    at: Any, server: Server, said: dict[str, Any], kind: type[APIStatusError], listed: bool, code: str, param: str | None,
    retry_after: float | None, should_retry: bool | None,
) -> None:  # fmt: skip
    document = {"error": said}
    server.on(START, json_answer([document] if listed else document, said["code"], x_request_id="req_1"))
    with pytest.raises(kind) as raised:
        await at(server.url).generate_video(prompt="A fox")
    error = raised.value
    assert (error.code, error.param, error.retry_after, error.should_retry) == (code, param, retry_after, should_retry)
    assert (error.body, error.request_id, error.provider) == (document, "req_1", "gemini")
    assert said["message"] in str(error)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Service Unavailable",
        b"[]",
        b"null",
        b'{"error": "plain"}',
        b'{"error": null}',
        b'{"detail": "x"}',
        b"[1, 2]",
    ],
)
async def test_errors_that_are_not_google_s(at: Any, server: Server, content: bytes) -> None:
    server.on(START, bytes_answer(content, 503, content_type="text/html"))
    with pytest.raises(InternalServerError) as raised:
        await at(server.url).generate_video(prompt="A fox")
    assert raised.value.should_retry is False


@pytest.mark.parametrize(
    "delay", ["3", 3, None, "s", "-3s", "3ms", "1e9s", "٣s", "999999999999s", {"seconds": 3}, ["3s"], "3s\n"]
)
def test_delays_that_are_none(delay: object) -> None:
    said = {"code": 429, "message": "x", "status": "Y", "details": [{"@type": f"{RPC}RetryInfo", "retryDelay": delay}]}
    assert read_error(Reply(429, {}, json.dumps({"error": said}).encode())).retry_after is None


def test_a_header_counts_before_the_document() -> None:
    reply = Reply(429, {"retry-after": "7"}, json.dumps({"error": LIMIT}).encode())
    assert read_error(reply).retry_after == 7


async def test_a_read_is_tried_again_after_the_delay(at: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "models/veo/operations/x"
    short = {**LIMIT, "details": [{"@type": f"{RPC}RetryInfo", "retryDelay": "0.01s"}]}
    server.on(f"/{name}", json_answer({"error": short}, 429), json_answer({"name": name}))
    video = await at(server.url).get_video(video_id=name, provider="gemini")
    assert (video.status, len(server.seen)) == ("in_progress", 2)


def test_retirement_is_explained_where_it_holds() -> None:
    document = json.dumps({"error": {"code": 404, "message": "no longer available", "status": "NOT_FOUND"}}).encode()
    there, elsewhere = (
        GeminiProvider(GeminiSettings()),
        GeminiProvider(GeminiSettings(base_url="https://a.example/v1beta")),
    )
    assert "2026-10-22" in str(there.error(Reply(404, {}, document, START)))
    assert "2026-10-22" not in str(elsewhere.error(Reply(404, {}, document, START)))
    assert "2026-10-22" not in str(there.error(Reply(404, {}, document, "/models/veo/operations/x")))
    assert "2026-10-22" not in str(there.error(Reply(400, {}, document, START)))


async def test_no_key(at: Any) -> None:
    with pytest.raises(MissingCredentials, match="GEMINI_API_KEY"):
        await at("https://one.example", api_key=None).generate_video(prompt="A fox", model=MODEL)
