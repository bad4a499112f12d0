"""OpenAI in the matrix."""

from __future__ import annotations

from typing import Any

from tests.faults.vendors import EPHEMERAL, KEY, Operation, Vendor, by_name

from callsheet.testing import FakeUpstream
from callsheet.testing.state import Job, Secret
from callsheet_openai import OpenAISettings

__all__ = ["OPENAI"]

OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
    b"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\na=fingerprint:sha-256 AA:BB\r\n"
)
TALK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ASK: Any = {"model": "m", "input": "hi", "store": False}
AT: Any = {"provider": "openai"}
WISH: Any = {"type": "realtime", "model": "m"}


def _wire(_film_at: str | None) -> FakeUpstream:
    fake = FakeUpstream(keys={KEY}, video_bytes=4096)
    now = fake.now()
    fake.state.jobs["video_1"] = Job(
        "video_1", "a cat", now, ("completed",), "m", facts={"size": "1280x720", "seconds": "8"}, ended_at=now
    )
    fake.state.characters["char_1"] = {"id": "char_1", "name": "Mossy", "created_at": now}
    fake.state.secrets[EPHEMERAL] = Secret(now + 600, {"type": "realtime", "model": "m"})
    return fake


OPENAI = Vendor(
    "openai",
    OpenAISettings,
    by_name(
        Operation("chat", "POST /chat/completions", "document", "unstored", entry="chat"),
        Operation("chat-SSE", "POST /chat/completions", "stream", "unstored", entry="chat"),
        Operation("responses", "POST /responses", "document", "unstored", entry="response"),
        Operation("responses-SSE", "POST /responses", "stream", "unstored", entry="response"),
        Operation("responses-stored", "POST /responses", "document", "never", entry="response"),
        Operation("video create", "POST /videos", "document", "never", entry="video"),
        Operation("video get", "GET /videos/{video_id}", "document", "get"),
        Operation("content", "GET /videos/{video_id}/content", "bytes", "get"),
        Operation("edit", "POST /videos/edits", "document", "never", entry="edit"),
        Operation("extend", "POST /videos/extensions", "document", "never", entry="extend"),
        Operation("character create", "POST /videos/characters", "document", "never", entry="character"),
        Operation("character get", "GET /videos/characters/{character_id}", "document", "get"),
        Operation("client_secrets", "POST /realtime/client_secrets", "document", "once", entry="secret"),
        Operation("calls", "POST /realtime/calls", "sdp", "call", entry="call"),
    ),
    {
        "chat": lambda c, _: c.chat_completions(**TALK),
        "chat-SSE": lambda c, _: c.chat_completions(**TALK, stream=True),
        "responses": lambda c, _: c.responses(**ASK),
        "responses-SSE": lambda c, _: c.responses(**ASK, stream=True),
        "responses-stored": lambda c, _: c.responses(model="m", input="hi"),
        "video create": lambda c, _: c.generate_video(prompt="a cat", seconds=4, model="m"),
        "video get": lambda c, _: c.get_video(video_id="video_1", **AT),
        "content": lambda c, folder: c.download_video("video_1", to=folder / "got.mp4", **AT),
        "edit": lambda c, _: c.edit(video="video_1", prompt="at night", **AT),
        "extend": lambda c, _: c.extend(video="video_1", prompt="on", seconds=4, **AT),
        "character create": lambda c, folder: c.create_character(name="Mossy", video=folder / "clip.mp4"),
        "character get": lambda c, _: c.get_character(character_id="char_1", **AT),
        "client_secrets": lambda c, _: c.mint_realtime_secret(session=WISH),
        "calls": lambda c, _: c.relay_sdp(sdp=OFFER, ephemeral_key=EPHEMERAL),
    },
    _wire,
    {
        400: "invalid_value",
        401: "invalid_api_key",
        403: "unsupported_country_region_territory",
        404: "model_not_found",
        408: "timeout",
        409: "conflict",
        429: "rate_limit_exceeded",
        503: "server_is_overloaded",
    },
    promises=frozenset({429}),
)
