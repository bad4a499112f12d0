"""What servers of this wire do besides. Each of these went wrong once."""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.offers import ANSWER, OFFER
from core.tests.server import Server, bytes_answer, json_answer, sse_answer
from plugins.openai.tests.calls import VIDEO

from callsheet import APIError, APIResponseValidationError

pytestmark = pytest.mark.usefixtures("at_once")

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'


@pytest.mark.parametrize("end", [b"data: [DONE]\n", b"data: [DONE]", b"data:[DONE]\r\n"])
async def test_a_last_event_without_its_blank_line(client: Any, server: Server, end: bytes) -> None:
    server.on("/v1/chat/completions", sse_answer(CHUNK, end))
    events = [event async for event in await client.chat_completions(**CHAT, stream=True)]
    assert [event.raw for event in events] == [CHUNK.decode()[6:].strip()]


@pytest.mark.parametrize("end", [b"data: [DO", b"event: done\n", b"data: x\ndata: [DONE]\n"])
async def test_what_is_no_last_event(client: Any, server: Server, end: bytes) -> None:
    server.on("/v1/chat/completions", sse_answer(CHUNK, end))
    with pytest.raises(APIResponseValidationError, match="without its last event"):
        _ = [event async for event in await client.chat_completions(**CHAT, stream=True)]


@pytest.mark.parametrize(
    "document",
    [
        {"id": "gen-1", "choices": [], "error": {"message": "boom", "code": 502}},
        {"id": "gen-1", "choices": None, "error": {"message": "boom"}},
        {"error": {"message": "boom", "code": "insufficient_quota"}},
    ],
)
async def test_an_error_with_status_200(client: Any, server: Server, document: dict[str, Any]) -> None:
    server.on("/v1/chat/completions", json_answer(document, x_request_id="req_9"))
    with pytest.raises(APIError, match="boom") as caught:
        await client.chat_completions(**CHAT)
    assert caught.value.request_id == "req_9"
    assert caught.value.should_retry is (False if caught.value.code == "insufficient_quota" else None)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/v1/realtime/calls/rtc_1", "rtc_1"),
        ("https://elsewhere.example/v1/realtime/calls/rtc_1?x=1#y", "rtc_1"),
        ("/v1/realtime/calls/rtc%3Aab%2Fc", "rtc%3Aab%2Fc"),
        ("/v1/realtime/calls/", None),
        ("/v1/realtime/calls", None),
        ("http://[", None),
        ("", None),
    ],
)
async def test_a_calls_id(client: Any, server: Server, location: str, path: str | None) -> None:
    """The last part of Location; hanging up goes where that came from."""
    server.on("/v1/realtime/calls", bytes_answer(ANSWER, 201, content_type="application/sdp", location=location))
    call = await client.relay_sdp(sdp=OFFER, model="m")
    assert (call.id is None) is (path is None)
    if call.id is not None:
        server.on(f"/v1/realtime/calls/{path}/hangup", bytes_answer(b""))
        await client.hang_up(call_id=call.id)
        assert server.seen[-1].path == f"/v1/realtime/calls/{path}/hangup"


async def test_a_transcription_names_its_model_further_inside(client: Any, server: Server) -> None:
    server.on("/v1/realtime/client_secrets", json_answer({"value": "ek_1", "expires_at": 1}))
    session = {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    await client.mint_realtime_secret(model="hear-1", session=session)
    assert server.seen[-1].json()["session"] == {
        "type": "transcription",
        "audio": {"input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "hear-1"}}},
    }
    own = {"type": "transcription", "audio": {"input": {"transcription": {"model": "own", "language": "de"}}}}
    await client.mint_realtime_secret(model="hear-1", session=own)
    assert server.seen[-1].json()["session"] == own


@pytest.mark.parametrize("named", ["user-5f1d", None, ""])
async def test_a_secrets_user_is_named_in_a_header(client: Any, server: Server, named: str | None) -> None:
    server.on("/v1/realtime/client_secrets", json_answer({"value": "ek_1", "expires_at": 1}))
    await client.mint_realtime_secret(model="m", safety_identifier=named)
    assert server.seen[-1].headers.get("openai-safety-identifier") == (named or None)
    assert server.seen[-1].json() == {"session": {"type": "realtime", "model": "m"}}


SPELLED = {
    "pending": "queued",
    "processing": "in_progress",
    "running": "in_progress",
    "succeeded": "completed",
    "cancelled": "cancelled",
    "hibernating": "hibernating",
}


@pytest.mark.parametrize("theirs", SPELLED)
async def test_how_other_servers_spell_a_jobs_status(client: Any, server: Server, theirs: str) -> None:
    ours, at = SPELLED[theirs], {"provider": "openai"}
    job = {**VIDEO, "status": theirs}
    for path in ("videos/v1", "videos/edits", "videos/extensions", "videos/v1/remix"):
        server.on(f"/v1/{path}", json_answer(job))
    server.on("/v1/videos", json_answer(job), json_answer({"data": [job, {**job, "status": "failed"}]}))
    made = await client.generate_video(prompt="A fox", model="m")
    assert [video.status for video in (await client.list_videos()).data] == [ours, "failed"]
    assert [
        made.status,
        (await client.get_video(video_id="v1", **at)).status,
        (await client.edit(video="v1", prompt="teal", **at)).status,
        (await client.extend(video="v1", prompt="on", **at)).status,
        (await client.remix(video_id="v1", prompt="on", **at)).status,
    ] == [ours] * 5
    assert made.finished == (ours in {"completed", "cancelled"})


async def test_a_secret_that_is_empty_is_none(client: Any, server: Server) -> None:
    server.on("/v1/realtime/client_secrets", json_answer({"value": "", "expires_at": 1}))
    with pytest.raises(APIResponseValidationError):
        await client.mint_realtime_secret(model="m")


async def test_an_event_that_is_deep(client: Any, server: Server) -> None:
    server.on("/v1/chat/completions", sse_answer(b"event: error\ndata: " + b"[" * 200_000 + b"\n\n"))
    with pytest.raises(APIError):
        _ = [event async for event in await client.chat_completions(**CHAT, stream=True)]
