"""What goes wrong, as OpenAI's clients expect to be told."""

import asyncio
import json
import time
from contextlib import nullcontext

import pytest
from gateway.tests.odd import Odd, over

from callsheet import errors as e
from callsheet_gateway.errors import ErrorAnswers
from callsheet_gateway.guard import Guard
from callsheet_gateway.limits import UnderWay


@pytest.fixture(scope="module")
def http():
    with over(Odd) as client:
        yield client


def asked(http, error, monkeypatch):
    def fail(_request):
        raise error

    monkeypatch.setitem(Odd.does, "generate_video", fail)
    return http.post("/videos", json={"model": "odd/m", "prompt": "a"})


@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (e.BadRequestError("no", param="size", code="invalid_size"), 400, "invalid_request_error", {}),
        (e.AuthenticationError("no", code="invalid_api_key"), 401, "authentication_error", {}),
        (e.PermissionDeniedError("no"), 403, "permission_error", {}),
        (e.ConflictError("busy", retry_after=2), 409, "invalid_request_error", {"retry-after": "2"}),
        (e.RateLimitError("slow", retry_after=0.25), 429, "rate_limit_error", {"retry-after": "1", "retry-after-ms": "250"}),
        (e.status_error(507, "full", should_retry=False), 507, "server_error", {"x-should-retry": "false"}),
        (e.status_error(307, "moved"), 502, "server_error", {}),
        (e.APIConnectionError("gone", should_retry=False), 502, "server_error", {"x-should-retry": "false"}),
        (e.APITimeoutError("late"), 504, "server_error", {}),
        (e.APIResponseValidationError("odd"), 502, "server_error", {}),
        (e.MissingCredentials("no key: set X"), 401, "authentication_error", {}),
        (e.UnsupportedOperation("odd", "generate_video"), 501, "server_error", {"x-should-retry": "false"}),
        (e.NotFoundError("none", request_id="up\r\nx: 1"), 404, "invalid_request_error", {"x-upstream-request-id": "upx: 1"}),
    ],
)  # fmt: skip
def test_the_envelope(http, monkeypatch, error, status, kind, headers):
    answer = asked(http, error, monkeypatch)
    assert answer.status_code == status
    said = answer.json()["error"]
    assert said == {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x" not in answer.headers


def test_why_a_prompt_was_filtered_is_passed_on(http, monkeypatch):
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    body = {"error": {"code": "content_filter", "innererror": inner, "secret_of_theirs": 1}}
    said = asked(http, e.BadRequestError("no", code="content_filter", body=body), monkeypatch).json()["error"]
    assert said["innererror"] == inner
    assert "secret_of_theirs" not in said
    odd = e.BadRequestError("no", body={"error": {"innererror": "x"}})
    assert "innererror" not in asked(http, odd, monkeypatch).json()["error"]


def test_a_bug_says_nothing_of_itself(http, monkeypatch, caplog):
    answer = asked(http, ZeroDivisionError("sk-secret"), monkeypatch)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "sk-secret" not in answer.text
    [line] = [record.getMessage() for record in caplog.records if record.name == "callsheet.gateway"]
    assert line.startswith(f"{answer.headers['x-request-id']} POST '/v1/videos': ZeroDivisionError at test_errors.py:")


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize(
    ("error", "code"),
    [(ZeroDivisionError("sk-secret"), "internal_error"), (e.APIConnectionError("cut", sent=True, code="cut"), "cut")],
)
def test_what_fails_when_the_answer_has_begun_is_taken_down(caplog, error, code, more):
    """It can't be told any more; not even that is left where all of the answer was sent."""

    async def app(scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": more})
        raise error

    async def nothing(*_message):
        return {"type": "http.request"}

    told = []
    guard = Guard(ErrorAnswers(app), admitted=UnderWay("requests"), told=[told.append])
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": [(b"host", b"127.0.0.1")]}
    with pytest.raises(type(error)) if more else nullcontext():
        asyncio.run(guard(scope, nothing, nothing))
    assert [record.error for record in told] == [code]
    assert ("ZeroDivisionError at test_errors.py" in caplog.text) == (code == "internal_error")
    assert "sk-secret" not in caplog.text


def test_a_bug_does_not_cut_the_next_request_off(http, monkeypatch):
    def our_port():
        with http.stream("GET", "/models") as answer:
            answer.read()  # or the client gives the connection up
            return answer.extensions["network_stream"].get_extra_info("client_addr")

    before = our_port()
    assert asked(http, ZeroDivisionError(), monkeypatch).status_code == 500
    time.sleep(0.2)  # for the server to cut what it promised to keep
    assert our_port() == before


def test_what_a_provider_does_not_do(http):
    answer = http.post("/videos/edits", json={"video": {"id": "video_x"}, "prompt": "a"})
    assert answer.status_code == 404  # whose id would it be?
    answer = http.get("/responses/resp_x")
    assert answer.status_code == 404
    answer = http.post("/videos/characters", data={"name": "Luna"}, files={"video": b"0"})
    assert answer.status_code == 501
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "unsupported_operation"
    assert "odd" in answer.json()["error"]["message"]
    assert http.get("/providers").json()["data"][0]["operations"]["create_character"] == "not offered"


@pytest.mark.parametrize(
    ("document", "param", "words"),
    [
        ({}, "prompt", "prompt: Field required"),
        ({"prompt": ""}, "prompt", "the prompt is empty"),
        ({"prompt": 5}, "prompt", "a text is wanted, not int"),
        ({"prompt": "a\ud800b"}, "prompt", "half a character"),
        ({"prompt": "a", "seconds": "soon"}, "seconds", "whole seconds are wanted"),
        ({"prompt": "a", "size": "big"}, "size", "WIDTHxHEIGHT"),
        ({"prompt": "a", "input_reference": 5}, "input_reference", "a file is wanted"),
        ({"prompt": "a", "input_reference": "/etc/passwd"}, "input_reference", "a file is wanted, not a str"),
        ({"prompt": "a", "characters": [{"name": "x"}]}, "characters", "Field required"),
        ({"prompt": "a", "model": 5}, "model", "string"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(http, document, param, words):
    answer = http.post("/videos", content=json.dumps(document), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["error"]["param"] == param
    assert words in answer.json()["error"]["message"]
