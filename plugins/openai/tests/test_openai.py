"""The first operations, against a real server on loopback: what is sent, and what is made of the answers."""

import json
from email.parser import BytesParser

import pytest
from plugins.conftest import VIDEO

from callsheet import (
    APIResponseValidationError,
    AuthenticationError,
    Client,
    InternalServerError,
    MissingCredentials,
    RateLimitError,
    UnsupportedOperation,
)


@pytest.fixture
def client(upstream):
    settings = {"organization": "org-1", "project": "proj-1"}
    with Client("openai/any-model", api_key="sk-test-1234", base_url=upstream.url, settings=settings) as made:
        yield made


def form(headers, body):
    """The parts of a multipart body, read by the standard library: name -> (filename, type, content)."""
    message = BytesParser().parsebytes(b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
    return {
        part.get_param("name", header="content-disposition"): (
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()
    }


def test_json_when_no_file_goes_along(client, upstream):
    video = client.generate_video(prompt="a cat", seconds=8, size="1280x720", extra_body={"seed": 7})
    assert (video.status, video.meta.request_id, video.meta.provider) == ("queued", "req_1", "openai")
    [(method, path, headers, body)] = upstream.seen
    assert (method, path) == ("POST", "/v1/videos")
    assert json.loads(body) == {"model": "any-model", "prompt": "a cat", "seconds": "8", "size": "1280x720", "seed": 7}
    assert headers["authorization"] == "Bearer sk-test-1234"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


def test_a_form_when_a_file_goes_along(client, upstream):
    client.generate_video(prompt="a cat", seconds="4", input_reference=("fråme.png", b"\x89PNG"))
    [(_, _, headers, body)] = upstream.seen
    parts = form(headers, body)
    assert parts["input_reference"][1:] == ("image/png", b"\x89PNG")
    assert {name: part[2] for name, part in parts.items() if name != "input_reference"} == {
        "model": b"any-model",
        "prompt": b"a cat",
        "seconds": b"4",
    }


def test_get_video_asks_for_the_providers_own_id(client, upstream):
    video = client.generate_video(prompt="a cat")
    upstream.answer = (200, {**VIDEO, "status": "failed", "error": {"code": "moderation_blocked", "message": "no"}})
    again = client.get_video(video_id=video.id)
    assert upstream.seen[-1][:2] == ("GET", "/v1/videos/video_123")
    assert again.id == video.id
    assert again.error.code == "moderation_blocked"
    client.get_video(video_id="a/../b?c", provider="openai")
    assert upstream.seen[-1][1] == "/v1/videos/a%2F..%2Fb%3Fc"


def test_errors_and_what_is_no_video(client, upstream):
    upstream.answer = (
        401,
        {"error": {"message": "Incorrect API key", "type": "x", "param": None, "code": "invalid_api_key"}},
    )
    with pytest.raises(AuthenticationError, match="Incorrect API key") as caught:
        client.generate_video(prompt="a cat")
    assert (caught.value.code, caught.value.request_id, caught.value.provider) == ("invalid_api_key", "req_1", "openai")
    for nonsense in ([], {"object": "video"}, "x"):
        upstream.answer = (200, nonsense)
        with pytest.raises(APIResponseValidationError, match="no Video|no object") as unreadable:
            client.generate_video(prompt="a cat")
        assert unreadable.value.should_retry is False  # it may have been accepted, and was sent once
    assert len(upstream.seen) == 4


def test_a_key_that_the_upstream_quotes_is_not_in_the_error(client, upstream):
    upstream.answer = (
        401,
        {"error": {"message": "Incorrect API key provided: sk-test-1234.", "code": "sk-test-1234", "param": None}},
    )
    with pytest.raises(AuthenticationError, match=r"provided: \[secret\]") as caught:
        client.generate_video(prompt="a cat")
    assert "sk-test" not in f"{caught.value} {vars(caught.value)} {caught.value!r}"


def test_a_rate_limit_is_a_refusal_and_asked_again(client, upstream, monkeypatch):
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)
    upstream.answer = (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
    with pytest.raises(RateLimitError, match="slow down"):
        client.generate_video(prompt="a cat")
    assert len(upstream.seen) == 3
    upstream.answer = (503, {"error": {"message": "overloaded"}})
    with pytest.raises(InternalServerError) as caught:
        client.generate_video(prompt="a cat")
    assert (len(upstream.seen), caught.value.should_retry) == (4, False)


def test_what_is_not_there_yet_refuses(client):
    with pytest.raises(UnsupportedOperation, match="provider 'openai' does not implement edit"):
        client.edit(video="video_1", provider="openai", prompt="x")


def test_no_key_no_request(upstream, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MissingCredentials, match="OPENAI_API_KEY"):
        Client("openai/m", base_url=upstream.url).generate_video(prompt="x")
    assert not upstream.seen
