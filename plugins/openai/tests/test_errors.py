"""What an error answer becomes, and whether the request may be sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import field, frozen
from core.tests.conftest import Mode
from core.tests.server import Exchange, Server, bytes_answer, error_answer, json_answer
from plugins.openai.tests import conftest
from plugins.openai.tests.calls import CALLS, RESPONSE, VIDEO, Canned, serve_all

import callsheet
from callsheet import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    VideoFailedError,
)

pytestmark = pytest.mark.usefixtures("at_once")

FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt.", "type": None, "param": "prompt",
        "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
    }
}  # fmt: skip
DEPLOYMENT = {
    "error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}
}


def said(code: str | None, type: str = "invalid_request_error", param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": "As it was said.", "type": type, "param": param, "code": code}}


@frozen
class Row:
    """An error answer, what it is raised as, and how often a lookup and a video job are asked for."""

    status: int
    document: object
    kind: type[APIError]
    code: str | None = None
    param: str | None = None
    lookups: int = 1
    jobs: int = 1
    message: str = "As it was said."
    headers: dict[str, str] = field(factory=dict)


GO, STOP = {"x_should_retry": "true"}, {"x_should_retry": "false"}
QUOTA, CREDIT = "insufficient_quota", "credit_balance_exhausted"
ROWS = [
    Row(400, said("context_length_exceeded", param="input"), BadRequestError, "context_length_exceeded", "input"),
    Row(400, said("moderation_blocked", "image_generation_user_error"), BadRequestError, "moderation_blocked"),
    Row(400, FILTER, BadRequestError, "content_filter", "prompt", message="The response was filtered due to the prompt."),
    Row(400, said(None), BadRequestError, lookups=3, headers=GO),
    Row(404, said("not_found"), NotFoundError, "not_found", lookups=3, headers=GO),
    Row(401, said("invalid_api_key"), AuthenticationError, "invalid_api_key"),
    Row(401, {"error": {"code": "401", "message": "Access denied."}}, AuthenticationError, "401", message="Access denied."),
    Row(401, {"statusCode": 401, "message": "Access denied."}, AuthenticationError, message="Access denied."),
    Row(403, said("unsupported_country_region_territory"), PermissionDeniedError, "unsupported_country_region_territory"),
    Row(404, said("model_not_found", param="model"), NotFoundError, "model_not_found", "model"),
    Row(404, DEPLOYMENT, NotFoundError, "DeploymentNotFound", message=str(DEPLOYMENT["error"]["message"])),
    Row(408, said("timeout"), APIStatusError, "timeout", lookups=3),
    Row(409, said("conflict"), ConflictError, "conflict", lookups=3),
    Row(410, said(None), APIStatusError),
    Row(422, said(None, param="seconds"), UnprocessableEntityError, None, "seconds"),
    Row(425, said(None), APIStatusError),
    Row(429, said("rate_limit_exceeded", "requests"), RateLimitError, "rate_limit_exceeded", lookups=3, jobs=3),
    Row(429, said("slow_down"), RateLimitError, "slow_down", lookups=3, jobs=3),
    Row(429, {"error": {"code": "429", "message": "Please retry."}}, RateLimitError, "429", None, 3, 3, "Please retry."),
    Row(429, said(QUOTA, QUOTA), RateLimitError, QUOTA),
    Row(429, said(None, QUOTA), RateLimitError),
    Row(429, {"error": {"message": "Used up.", "type": QUOTA, "code": 429}}, RateLimitError, "429", message="Used up."),
    Row(429, said(CREDIT), RateLimitError, CREDIT),
    Row(429, said(CREDIT), RateLimitError, CREDIT, headers=GO),
    Row(429, said("slow_down"), RateLimitError, "slow_down", headers=STOP),
    Row(500, said(None, "server_error"), InternalServerError, lookups=3),
    Row(500, {"error": {"code": 500, "message": "Oops."}}, InternalServerError, "500", lookups=3, message="Oops."),
    Row(502, {"error": "bad gateway"}, InternalServerError, lookups=3, message="bad gateway"),
    Row(503, said("server_is_overloaded", "service_unavailable_error"), InternalServerError, "server_is_overloaded", lookups=3),
    Row(503, said("server_is_overloaded"), InternalServerError, "server_is_overloaded", lookups=3, jobs=3, headers=GO),
    Row(503, said("server_is_overloaded"), InternalServerError, "server_is_overloaded", headers=STOP),
    Row(504, {"detail": "upstream timed out"}, InternalServerError, lookups=3, message="upstream timed out"),
    Row(507, {"error": {"message": None, "code": "full"}}, InternalServerError, "full", None, 3, message="answered 507"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.status}-{row.code}")
@pytest.mark.parametrize("name", ["get_video", "generate_video"])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_every_status(client: Any, server: Server, row: Row, name: str) -> None:
    headers = {"x_request_id": "req_1", "retry_after": "7", **row.headers}
    serve_all(server, json_answer(row.document, row.status, **headers))
    with pytest.raises(APIError) as caught:
        await CALLS[name].ask(client)
    error = caught.value
    assert type(error) is row.kind
    assert row.message in error.message
    assert (error.status_code, error.code, error.param) == (row.status, row.code, row.param)
    assert (error.request_id, error.provider, error.retry_after) == ("req_1", "openai", 7.0)
    assert error.body == row.document
    assert len(server.seen) == (row.lookups if name == "get_video" else row.jobs)
    again = error.should_retry
    if (row.status == 429 and QUOTA in str(row.document)) or row.code == CREDIT:
        assert again is False
    elif name == "generate_video" and row.status in {408, 409, 500, 502, 503, 504, 507} and row.headers != GO:
        assert again is False  # nobody knows whether a job was begun
    else:
        assert again is {"true": True, "false": False}.get(row.headers.get("x_should_retry", ""))


@pytest.mark.parametrize("name", CALLS)
async def test_an_error_is_the_same_whatever_was_asked(client: Any, server: Server, name: str) -> None:
    serve_all(
        server, error_answer(403, "Not from there.", "unsupported_country_region_territory", x_request_id="req_1")
    )
    with pytest.raises(PermissionDeniedError, match="Not from there") as caught:
        await CALLS[name].ask(client)
    assert (caught.value.code, caught.value.request_id) == ("unsupported_country_region_territory", "req_1")
    (seen,) = server.seen
    assert (seen.method, seen.path) == (CALLS[name].method, f"/v1{CALLS[name].path}")


BILLED = [name for name, call in CALLS.items() if callsheet.OPERATIONS[name.partition(" ")[0]].billable]


@pytest.mark.parametrize("name", BILLED)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_what_may_have_begun_is_not_asked_for_twice(client: Any, server: Server, name: str) -> None:
    leaves_nothing = name.startswith(("responses", "chat"))  # not stored: a lost answer leaves but its price
    serve_all(server, error_answer(500))
    with pytest.raises(InternalServerError) as caught:
        await CALLS[name].ask(client)
    assert len(server.seen) == (3 if leaves_nothing else 1)
    assert caught.value.should_retry is (None if leaves_nothing else False)
    server.seen.clear()
    serve_all(server, error_answer(503, x_should_retry="true"), CALLS[name].answer)
    if name.startswith("relay"):  # of an offer nobody takes a second answer
        with pytest.raises(InternalServerError):
            await CALLS[name].ask(client)
    else:
        await CALLS[name].ask(client)
    assert len(server.seen) == (1 if name.startswith("relay") else 2)


@pytest.mark.parametrize("host", ["api.openai.com", "eu.api.openai.com", "API.OpenAI.com:443"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_openai_itself_has_no_videos_any_more(mode: Mode, name: str, host: str) -> None:
    canned = Canned(404, {"error": {"message": "Invalid URL.", "type": "x", "param": None, "code": None}})
    client = conftest.openai_client(mode, f"https://{host}/v1", transport=canned)
    with pytest.raises(NotFoundError, match=r"Invalid URL\.") as caught:
        await CALLS[name].ask(client)
    told = str(caught.value)
    retired = CALLS[name].path.startswith("/videos")
    assert ("2026-09-24" in told) == retired == ("base_url" in told) == ("another provider" in told)
    assert told == caught.value.message
    assert len(canned.seen) == 1


THERE = "https://api.openai.com/v1"


@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
@pytest.mark.parametrize(
    ("base", "status", "said", "told"),
    [
        (THERE, 400, {}, True),
        (THERE, 410, {}, True),
        (THERE, 400, {"code": "invalid_value", "param": "model"}, True),
        (THERE, 404, {"code": "model_not_found", "param": "model"}, True),
        (THERE, 404, {"code": "not_found"}, True),  # nothing was named: it is the operation that is not there
        (THERE, 500, {}, False),  # that passes
        (THERE, 401, {}, False),  # the key comes first
        (THERE, 429, {}, False),
        # Somebody looked at the request.
        (THERE, 400, {"code": "moderation_blocked", "type": "image_generation_user_error"}, False),
        (THERE, 400, {"type": "moderation_blocked"}, False),
        (THERE, 400, {"code": "content_filter", "param": None}, False),
        (THERE, 403, {"code": "content_policy_violation"}, False),
        (THERE, 400, {"code": "invalid_value", "param": "seconds"}, False),
        (THERE, 400, {"param": "prompt"}, False),
        ("https://api.openai.com.example/v1", 404, {}, False),
        ("https://notapi.openai.com/v1", 404, {}, False),
        ("https://example.com/api.openai.com/v1", 404, {}, False),
    ],
)
async def test_of_whom_retirement_is_told(mode: Mode, base: str, status: int, said: Any, told: bool) -> None:
    client = conftest.openai_client(mode, base, transport=Canned(status, {"error": {"message": "No.", **said}}))
    with pytest.raises(APIStatusError, match="No") as caught:
        await CALLS["generate_video"].ask(client)
    assert ("2026-09-24" in str(caught.value)) == told
    assert (str(caught.value) == "No.") != told


@pytest.mark.parametrize("code", ["not_found", "video_not_found", None, "404"])
@pytest.mark.parametrize("name", ["get_video", "download_video", "remix", "delete_video", "get_character"])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_an_id_that_somebody_looked_for(mode: Mode, name: str, code: str | None) -> None:
    canned = Canned(404, {"error": {"message": "No such thing.", "code": code}})
    with pytest.raises(NotFoundError) as caught:
        await CALLS[name].ask(conftest.openai_client(mode, THERE, transport=canned))
    assert (str(caught.value) == "No such thing.") == (code in {"not_found", "video_not_found"})


async def test_a_failed_job_is_a_video_and_an_error_only_to_who_waits(client: Any, server: Server) -> None:
    why = {
        "code": "moderation_blocked",
        "message": "Your request was blocked by our moderation system.",
        "param": "prompt",
    }
    server.on("/v1/videos", json_answer(VIDEO))
    server.on(f"/v1/videos/{VIDEO['id']}", json_answer({**VIDEO, "status": "failed", "error": why}))
    video = await client.generate_video(prompt="A fox", model="m-1")
    failed = await client.get_video(video_id=video)
    assert (failed.status, failed.finished, failed.error.wire()) == ("failed", True, why)
    with pytest.raises(VideoFailedError, match="moderation_blocked: Your request was blocked") as caught:
        await client.wait(video, poll=0.01)
    assert (caught.value.code, caught.value.video.id, caught.value.provider) == (
        "moderation_blocked",
        video.id,
        "openai",
    )


async def cut(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-length": "500", "content-type": "application/json"})
    await exchange.write(b'{"id": "video_1", "data": [], "output')
    await asyncio.sleep(0.02)
    exchange.keep = False


HTML = b"<!doctype html><html><title>Sign in</title></html>"
UNREADABLE = {
    "HTML": bytes_answer(HTML, content_type="text/html; charset=utf-8"),
    "nothing": bytes_answer(b"", content_type="application/json"),
    "nothing, and no type": bytes_answer(b""),
    "half of it": bytes_answer(b'{"id": "video_1", "status": ', content_type="application/json"),
    "an array": json_answer([]),
    "a text": json_answer("ok"),
    "null": json_answer(None),
    "another object": json_answer({"ok": True}),
    "no UTF-8": bytes_answer(b'{"id": "\xff\xfe"}', content_type="application/json"),
}


def unreadable() -> Iterator[tuple[str, str]]:
    """What can't be understood as the answer to what. To a hang-up anything is one; nothing is, to a deletion."""
    for name in set(CALLS) - {"hang_up"}:
        for what in UNREADABLE:
            bytes_too = name == "download_video" and what not in {"HTML", "an array"}
            receipt_too = name.startswith("delete") and "nothing" in what
            status_too = name == "delete_response" and what == "another object"
            if not (bytes_too or receipt_too or status_too):
                yield name, what


@pytest.mark.parametrize(("name", "what"), sorted(unreadable()))
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_an_answer_that_is_none(client: Any, server: Server, name: str, what: str) -> None:
    serve_all(server, UNREADABLE[what])
    with pytest.raises(APIResponseValidationError) as caught:
        await CALLS[name].ask(client)
    assert (caught.value.status_code, caught.value.provider) == (502, "openai")
    assert len(caught.value.message) < 250
    creates = callsheet.OPERATIONS[name.partition(" ")[0]].billable and not name.startswith(("responses", "chat"))
    streamed = (
        name.endswith("streamed") and what == "another object"
    )  # a whole answer, from a server that does not stream
    assert caught.value.should_retry is (False if creates or streamed else None)
    assert len(server.seen) == 1 or not creates


@pytest.mark.parametrize("name", ["generate_video", "get_video", "responses"])
async def test_an_answer_that_is_cut(client: Any, server: Server, name: str) -> None:
    serve_all(server, cut)
    with pytest.raises(APIConnectionError) as caught:
        await CALLS[name].ask(client)
    assert caught.value.sent
    assert len(server.seen) == (1 if name == "generate_video" else 3)


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/vnd.api+json", ""])
async def test_a_document_is_one_whatever_it_is_called(client: Any, server: Server, kind: str) -> None:
    serve_all(server, bytes_answer(json.dumps(VIDEO | RESPONSE).encode(), content_type=kind))
    assert (await CALLS["get_video"].ask(client)).seconds == "8"
    assert (await CALLS["responses"].ask(client)).output_text == "Paris."


DOCUMENTS = [name for name in CALLS if not name.startswith(("delete", "download", "relay", "hang"))]


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("error", [{"message": "No capacity.", "code": "busy", "param": "model"}, "No capacity."])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_an_error_with_status_200(client: Any, server: Server, name: str, error: Any) -> None:
    serve_all(server, json_answer({"error": error}))
    with pytest.raises(APIError, match=r"No capacity\.") as caught:
        await CALLS[name].ask(client)
    assert not isinstance(caught.value, APIStatusError)
    if isinstance(error, dict):
        assert (caught.value.code, caught.value.param) == ("busy", "model")
    if name == "generate_video":
        assert caught.value.should_retry is False
        assert len(server.seen) == 1
