"""The operation table on the wire: what the server gets to see once, and what it sees again."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from core.tests.server import (
    Answer,
    Server,
    bytes_answer,
    close_unanswered,
    error_answer,
    json_answer,
    reset_at_once,
    reset_before_headers,
    reset_in_body,
    stall,
)
from core.tests.wire import PoliteWire, Wire

from callsheet import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    RateLimitError,
)
from callsheet.operations import OPERATIONS

GOOD = {"id": "x1", "status": "queued", "data": [], "value": "ek", "expires_at": 1, "deleted": True}
RAW = {"provider": "wire"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "create_character": ("/videos/characters", {"name": "Luna", "video": b"x"}),
    "get_character": ("/characters", {"character_id": "c1", **RAW}),
    "generate_video": ("/videos", {"prompt": "A fox"}),
    "get_video": ("/videos/v1", {"video_id": "v1", **RAW}),
    "list_videos": ("/videos", {}),
    "delete_video": ("/video", {"video_id": "v1", **RAW}),
    "download_video": ("/videos/v1/content", {"video": "v1", **RAW}),
    "edit": ("/edits", {"video": "v1", "prompt": "warmer", **RAW}),
    "extend": ("/extensions", {"video": "v1", "prompt": "on", **RAW}),
    "remix": ("/remix", {"video_id": "v1", "prompt": "again", **RAW}),
    "mint_realtime_secret": ("/secrets", {}),
    "relay_sdp": ("/calls", {"sdp": OFFER}),
    "hang_up": ("/hangup", {"call_id": "k1", **RAW}),
    "responses": ("/responses", {"input": "hi"}),
    "get_response": ("/response", {"response_id": "r1", **RAW}),
    "delete_response": ("/response", {"response_id": "r1", **RAW}),
    "cancel_response": ("/cancel", {"response_id": "r1", **RAW}),
    "list_input_items": ("/items", {"response_id": "r1", **RAW}),
    "chat_completions": ("/chat", {"messages": []}),
}
PAID = {"create_character", "generate_video", "edit", "extend", "remix", "relay_sdp"}
SECOND = {"mint_realtime_secret"}
STORED = {"responses"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest delays that chance could give."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)


def test_every_operation_is_here() -> None:
    assert set(CALLS) == set(OPERATIONS)


AMBIGUOUS: dict[str, Answer] = {
    "408": error_answer(408),
    "409": error_answer(409),
    "500": error_answer(500),
    "502": error_answer(502),
    "504": error_answer(504),
    "529": error_answer(529),
    "reset": reset_before_headers,
    "reset in body": reset_in_body,
    "closed": close_unanswered,
    "HTML": bytes_answer(b"<html>"),
}


def good(operation: str) -> Answer:
    return bytes_answer(b"film", content_type="video/mp4") if operation == "download_video" else json_answer(GOOD)


async def call(client: Any, operation: str, **more: Any) -> Any:
    result = await getattr(client, operation)(**{**CALLS[operation][1], **more})
    if operation == "download_video":
        await result.aclose()
    return result


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_what_may_have_been_accepted(mode: Mode, server: Server, operation: str) -> None:
    """Paid work is never begun twice, and the caller is told not to either. The rest: three times, minting twice."""
    path = CALLS[operation][0]
    for kind, answer in AMBIGUOUS.items():
        if operation in {"download_video", "relay_sdp", "hang_up"} and kind in {"HTML", "reset in body"}:
            continue  # bytes are bytes, and these two don't look into their answers here
        client = mode.client(server)  # with a retry budget of its own
        server.seen.clear()
        server.on(path, answer)
        with pytest.raises(APIError) as caught:
            await call(client, operation)
        wanted = 1 if operation in PAID | STORED else 2 if operation in SECOND else 3
        assert (kind, len(server.requests(path))) == (kind, wanted)
        assert caught.value.should_retry is (False if operation in PAID | STORED else None)
        if operation not in PAID | STORED:
            server.seen.clear()
            server.on(path, answer, good(operation))
            await call(client, operation)
            assert (kind, len(server.requests(path))) == (kind, 2)


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_what_was_turned_away(mode: Mode, server: Server, operation: str) -> None:
    path = CALLS[operation][0]
    for status in (429, 503):
        client = mode.client(server)
        server.seen.clear()
        server.on(path, error_answer(status), error_answer(status), good(operation))
        if operation in PAID or (operation in STORED and status == 503):
            with pytest.raises(APIStatusError) as caught:
                await call(client, operation)
            assert len(server.seen) == 1
            assert caught.value.should_retry is False  # nobody promised that nothing began
        else:
            await call(client, operation)
            assert len(server.seen) == 3


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_what_was_refused(client: Any, server: Server, operation: str) -> None:
    for status in (400, 401, 402, 403, 404, 413, 422):
        server.seen.clear()
        server.on(CALLS[operation][0], error_answer(status))
        with pytest.raises(APIStatusError):
            await call(client, operation)
        assert (status, len(server.seen)) == (status, 1)


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_what_never_left(mode: Mode, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listened: even paid work is asked for again - and the second time there is somebody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    attempts = []

    with Server() as server:

        async def sleep(io: Any, seconds: float) -> None:
            attempts.append(io.outcome)
            io.account.settings.__dict__["base_url"] = server.url

        monkeypatch.setattr("callsheet.io.IO.sleep", sleep)
        server.on(CALLS[operation][0], good(operation))
        client = mode.client(base_url=f"http://127.0.0.1:{address[1]}")
        await call(client, operation)
        assert len(server.seen) == 1
        assert attempts == ["not_sent"]
        await client.close()


async def test_a_delete_whose_answer_was_lost(client: Any, server: Server) -> None:
    """The second attempt finds nothing - because the first was carried out. That is no 404 to report."""
    server.on(CALLS["delete_video"][0], reset_before_headers, error_answer(404))
    with pytest.raises(APIConnectionError) as caught:
        await call(client, "delete_video")
    assert "probably carried out" in caught.value.__notes__[0]


async def test_refused_connections(mode: Mode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    Wire.ios.clear()
    client = mode.client(base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(APIConnectionError, match="is the server running") as caught:
        await client.generate_video(prompt="A fox")
    assert (caught.value.sent, caught.value.should_retry, caught.value.provider) == (False, None, "wire")
    assert [(io.outcome, io.meta.attempts) for io in Wire.ios] == [("not_sent", n) for n in (1, 2, 3)]


async def test_a_call_that_did_not_arrive_is_tried_once_more(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who offers a call waits for its answer: two attempts, not three."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    slept = []

    async def sleep(io: Any, seconds: float) -> None:
        slept.append(io.outcome)

    monkeypatch.setattr("callsheet.io.IO.sleep", sleep)
    with pytest.raises(APIConnectionError):
        await mode.client(base_url=f"http://127.0.0.1:{port}").relay_sdp(sdp=OFFER)
    assert slept == ["not_sent"]


async def test_a_name_that_does_not_resolve(mode: Mode) -> None:
    client = mode.client(base_url="https://nobody.invalid")
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.sent is False


@pytest.mark.parametrize("answer", [reset_at_once, reset_before_headers, reset_in_body, close_unanswered])
async def test_broken_connections_in_all_modes(client: Any, server: Server, answer: Answer) -> None:
    """The server saw exactly one request for paid work, and the error says that it may have been accepted."""
    server.on("/videos", answer)
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox")
    assert not isinstance(caught.value, APITimeoutError)
    assert (caught.value.sent, caught.value.should_retry) == (True, False)
    assert len(server.seen) == 1
    assert Wire.ios[-1].outcome == "maybe"


async def test_statuses_in_all_modes(client: Any, server: Server) -> None:
    server.on("/videos", error_answer(500, x_should_retry="true"))
    with pytest.raises(InternalServerError) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.should_retry is False  # ours, not the upstream's: it may cost twice
    assert len(server.seen) == 1
    server.on("/videos/v1", error_answer(500), error_answer(503), json_answer(GOOD))
    video = await client.get_video(video_id="v1", provider="wire")
    assert video.meta.attempts == 3


async def test_a_timeout_of_paid_work(client: Any, server: Server) -> None:
    server.on("/videos", stall)
    with pytest.raises(APITimeoutError) as caught:
        await client.generate_video(prompt="A fox", timeout=0.8)
    assert (caught.value.sent, caught.value.should_retry) == (True, False)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_vendor_that_promises(mode: Mode, server: Server, status: int) -> None:
    """`rejects_before_accepting`: then the same request may be sent again."""
    assert status in PoliteWire.rejects_before_accepting
    server.on("/videos", error_answer(status), json_answer(GOOD))
    video = await mode.client(server, "polite").generate_video(prompt="A fox")
    assert video.meta.attempts == 2
    assert [io.outcome for io in Wire.ios[-2:]] == ["rejected", "maybe"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_call_is_not_offered_again_whatever_is_promised(mode: Mode, server: Server, status: int) -> None:
    server.on("/calls", error_answer(status), json_answer(GOOD))
    with pytest.raises(APIStatusError):
        await mode.client(server, "polite").relay_sdp(sdp=OFFER)
    assert len(server.seen) == 1


async def test_responses_only_when_nothing_is_stored(client: Any, server: Server) -> None:
    for options, requests in [
        ({"store": False}, 2),
        ({"store": False, "background": True}, 1),
        ({"store": True}, 1),
        ({}, 1),
    ]:
        server.seen.clear()
        server.on("/responses", error_answer(500), json_answer(GOOD))
        if requests == 2:
            await client.responses(input="hi", **options)
        else:
            with pytest.raises(InternalServerError) as caught:
                await client.responses(input="hi", **options)
            assert caught.value.should_retry is False
        assert (options, len(server.seen)) == (options, requests)


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_the_upstream_says_yes(mode: Mode, server: Server, operation: str) -> None:
    """Its word counts more than the status, where only a look is asked for. Others are not asked for twice by it."""
    path = CALLS[operation][0]
    looks = OPERATIONS[operation].method == "GET"
    for status in (400, 401, 403, 404, 410, 422, 425):
        client = mode.client(server)  # with a retry budget of its own
        server.seen.clear()
        server.on(path, error_answer(status, x_should_retry="true"))
        with pytest.raises(APIStatusError) as caught:
            await call(client, operation)
        assert (status, len(server.seen)) == (status, 3 if looks else 1)
        assert caught.value.status_code == status
    if looks:
        server.on(path, error_answer(404, x_should_retry="true"), good(operation))
        await call(mode.client(server), operation)


async def test_the_upstream_says_no(client: Any, server: Server) -> None:
    server.on("/videos/v1", error_answer(500, x_should_retry="false"), json_answer(GOOD))
    with pytest.raises(InternalServerError):
        await client.get_video(video_id="v1", provider="wire")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("header", "value", "least"),
    [("retry_after", "0.25", 0.25), ("retry_after_ms", "200", 0.2), ("retry_after", "0", 0.0)],
)
async def test_hints_are_obeyed(client: Any, server: Server, header: str, value: str, least: float) -> None:
    server.on("/videos/v1", error_answer(429, **{header: value}), json_answer(GOOD))
    started = time.monotonic()
    video = await client.get_video(video_id="v1", provider="wire")
    took = time.monotonic() - started
    assert least <= took < least + 2  # no more than what a busy machine adds
    assert video.meta.attempts == 2


@pytest.mark.parametrize("hint", ["121", "3600", "999999999"])
async def test_a_hint_that_is_too_long(client: Any, server: Server, hint: str) -> None:
    """The caller learns of it, at once."""
    server.on("/videos/v1", error_answer(429, retry_after=hint))
    with pytest.raises(RateLimitError) as caught:
        await client.get_video(video_id="v1", provider="wire", timeout=10_000)
    assert caught.value.retry_after == float(hint)
    assert len(server.seen) == 1


async def test_no_attempt_begins_after_the_deadline(client: Any, server: Server) -> None:
    server.on("/videos/v1", error_answer(429, retry_after="2"))
    started = time.monotonic()
    with pytest.raises(RateLimitError):
        await client.get_video(video_id="v1", provider="wire", timeout=1)
    assert time.monotonic() - started < 0.5  # nor is there any sense in waiting for it
    assert len(server.seen) == 1


async def test_a_body_that_can_be_read_only_once(mode: Mode, server: Server) -> None:
    server.on("/videos/characters", error_answer(429), json_answer(GOOD))
    client = mode.client(server, "polite")

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1000

    with pytest.raises(RateLimitError):
        await client.create_character(name="Luna", video=pieces())
    assert len(server.seen) == 1
    server.seen.clear()
    server.on("/videos/characters", error_answer(429), json_answer(GOOD))
    await client.create_character(name="Luna", video=[b"x" * 1000])  # a list can be read again
    assert len(server.seen) == 2
    assert server.seen[0].size == server.seen[1].size > 1000


async def test_a_one_shot_body_that_was_not_begun(mode: Mode) -> None:
    """Nobody listened, nothing was read: it is still whole, and there are three attempts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    Wire.ios.clear()
    client = mode.client(base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(APIConnectionError):
        await client.create_character(name="Luna", video=iter([b"x"]))
    assert len(Wire.ios) == 3


async def test_an_error_of_ones_own_is_not_tried_again(client: Any, server: Server, tmp_path: Any) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"x")
    server.on("/videos/characters", json_answer(GOOD))

    class Vanishing:
        def __iter__(self) -> Iterator[bytes]:
            Wire.ios.clear()
            raise FileNotFoundError(path)

    with pytest.raises(FileNotFoundError):
        await client.create_character(name="Luna", video=Vanishing())
    assert Wire.ios == []
    assert not any(seen.whole for seen in server.seen)
