"""What comes back from a provider, well-formed or not, is a result or one of our errors."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import pickle
from typing import Any

import pytest
from core.tests.server import (
    Exchange,
    Server,
    bytes_answer,
    drip_body,
    error_answer,
    gzip_answer,
    json_answer,
    reset_in_body,
)
from core.tests.wire import Wire

from callsheet import (
    APIConnectionError,
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
)

TABLE = {
    400: BadRequestError,
    401: AuthenticationError,
    402: APIStatusError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: APIStatusError,
    409: ConflictError,
    413: APIStatusError,
    415: APIStatusError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    502: InternalServerError,
    503: InternalServerError,
    504: InternalServerError,
    529: InternalServerError,
}


async def test_error_statuses(client: Any, server: Server) -> None:
    for status, kind in TABLE.items():
        server.seen.clear()
        server.on(
            "/videos", error_answer(status, "rate limit, or so", "a_code", x_request_id="req_1", retry_after="200")
        )
        with pytest.raises(APIStatusError, match="rate limit, or so") as caught:
            await client.generate_video(prompt="A fox")
        error = caught.value
        assert type(error) is kind  # the status decides, never the words
        assert (error.status_code, error.code, error.request_id) == (status, "a_code", "req_1")
        assert (error.retry_after, error.provider) == (200.0, "wire")
        assert isinstance(error.body, dict)
        assert error.body["error"]["message"] == "rate limit, or so"
        assert len(server.seen) == 1
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(again), vars(again)) == (type(error), vars(error))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "without saying why"),
        (b"<html>502</html>", "without saying why"),
        (b'{"error": "plain words"}', "plain words"),
        (b'{"statusCode": 429, "message": "from the front door"}', "from the front door"),
        (b'{"error": {"message": "cut', "without saying why"),
        (b'{"error": null}', "without saying why"),
        (b"[]", "without saying why"),
        (b'"words"', "words"),
        (b"\xff\xfe\x00", "without saying why"),
    ],
)
async def test_error_bodies_found_in_the_wild(client: Any, server: Server, body: bytes, message: str) -> None:
    server.on("/videos", bytes_answer(body, 429, x_should_retry="false"))
    with pytest.raises(RateLimitError, match=message) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.should_retry is False


ENVELOPE = json.dumps({"error": {"message": "the message"}}).encode()


async def stalled_error(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(401, {"content-length": "1000"})
    await exchange.write(b'{"error": ')
    await exchange.gone()


async def reset_error(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(401, {"content-length": "1000"})
    await exchange.write(b'{"error": ')
    await asyncio.sleep(0.05)
    exchange.reset()


@pytest.mark.parametrize(
    "answer",
    [gzip_answer(ENVELOPE, 401), bytes_answer(b"x" * 3_000_000, 401), stalled_error, reset_error],
    ids=["gzip", "3 MB", "stalled", "reset"],
)
async def test_the_status_counts_though_its_body_can_not_be_had(client: Any, server: Server, answer: Any) -> None:
    server.on("/videos", answer)
    with pytest.raises(AuthenticationError):
        await client.generate_video(prompt="A fox", timeout=1.0)


UNREADABLE = {
    "empty": b"",
    "HTML": b"<!doctype html><title>Sign in</title>",
    "truncated": b'{"id": "v1", "sta',
    "invalid UTF-8": b'{"id": "\xff\xfe", "status": "queued"}',
    "deep": b'{"id":' + b"[" * 200_000,
    "gzip unannounced": gzip.compress(b'{"id": "v1", "status": "queued"}'),
    "list": b"[]",
    "null": b"null",
    "number": b"7",
    "no id": b'{"status": "queued"}',
    "wrong type": b'{"id": {"a": 1}, "status": "queued"}',
    "empty id": b'{"id": "", "status": "queued"}',
    "long id": b'{"id": "' + b"x" * 400 + b'", "status": "queued"}',
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_an_answer_that_makes_no_sense(client: Any, server: Server, kind: str) -> None:
    """The job may be running and costing: nobody may ask again blindly."""
    server.on("/videos", bytes_answer(UNREADABLE[kind], x_request_id="req_2", content_type="application/json"))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.should_retry is False
    assert caught.value.status_code == 502
    assert caught.value.provider == "wire"
    assert len(server.seen) == 1
    assert Wire.ios[-1].outcome == "maybe"
    if "id" not in kind:
        assert caught.value.request_id == "req_2"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"", b"<html>"])
async def test_a_document_that_is_no_object(client: Any, server: Server, body: bytes) -> None:
    server.on("/responses", bytes_answer(body))
    with pytest.raises(APIResponseValidationError):
        await client.responses(input="hi")


async def test_an_encoded_answer(client: Any, server: Server) -> None:
    server.on("/videos", gzip_answer(b'{"id": "v1", "status": "queued"}'))
    with pytest.raises(APIResponseValidationError, match="gzip"):
        await client.generate_video(prompt="A fox")


@pytest.mark.parametrize("name", ["identity", "Identity", ""])
async def test_identity_is_no_encoding(client: Any, server: Server, name: str) -> None:
    server.on("/videos", json_answer({"id": "v1", "status": "queued"}, content_encoding=name))
    assert (await client.generate_video(prompt="A fox")).status == "queued"


async def test_a_gzip_bomb_is_never_unpacked(client: Any, server: Server) -> None:
    server.on("/videos", gzip_answer(bytes(50_000_000)))
    with pytest.raises(APIResponseValidationError, match="gzip"):
        await client.generate_video(prompt="A fox")


async def test_an_answer_without_end(client: Any, server: Server) -> None:
    """32 MB are read, and no more."""
    sent = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.body()
        await exchange.head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
        block = b" " * 1_000_000
        while True:
            await exchange.chunk(block)
            sent += len(block)

    server.on("/videos", flood)
    with pytest.raises(APIResponseValidationError, match="longer than 33,554,432 bytes"):
        await client.generate_video(prompt="A fox", timeout=20)
    assert server.settled(0)
    assert sent < 45_000_000


async def test_headers_without_end(client: Any, server: Server) -> None:
    async def big(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {f"x-{n}": "x" * 1000 for n in range(1000)})
        await exchange.gone()

    server.on("/videos", big)
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.sent is True
    assert server.settled(0)


async def test_no_http_at_all(client: Any, server: Server) -> None:
    async def chatter(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.write(b"220 smtp.example ESMTP\r\n\r\n")
        await exchange.gone()

    server.on("/videos", chatter)
    with pytest.raises(APIConnectionError):
        await client.generate_video(prompt="A fox")


@pytest.mark.parametrize("length", ["3", "5000", "-1", "x", "3, 4"])
async def test_a_content_length_that_is_not_true(client: Any, server: Server, length: str) -> None:
    async def lying(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-length": length})
        await exchange.write(b'{"id": "v1", "status": "queued"}')
        exchange.keep = False

    server.on("/videos", lying)
    with pytest.raises((APIConnectionError, APIResponseValidationError)):
        await client.generate_video(prompt="A fox")
    # What was said too much doesn't become the next answer.
    server.on("/videos/v1", json_answer({"id": "v1", "status": "completed"}))
    assert (await client.get_video(video_id="v1", provider="wire")).status == "completed"


async def test_numbers_of_any_size_and_unknown_fields(client: Any, server: Server) -> None:
    server.on("/responses", bytes_answer(b'{"id": "r", "big": 123456789012345678901234567890, "phase": null, "z": 1}'))
    response = await client.responses(input="hi")
    assert list(response.raw) == ["id", "big", "phase", "z"]
    assert response["big"] == 123456789012345678901234567890
    assert response["phase"] is None


async def test_cut_answers(client: Any, server: Server) -> None:
    server.on("/videos", reset_in_body)
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox")
    assert (caught.value.sent, caught.value.should_retry) == (True, False)
    server.on("/videos", drip_body)
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox", timeout=0.8)
    assert (caught.value.sent, caught.value.should_retry) == (True, False)
