"""A right request for each operation, and other values that its fields may have."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callsheet import Upload
from callsheet.testing.kit.bench import Desk

__all__ = ["CLIP", "IDS", "MANY", "ODD", "OFFER", "SAID", "TOGETHER", "sample", "text_field"]

CLIP = Path(__file__).with_name("clip.mp4")
"""Two seconds of 1280x720 in which something moves."""
OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
    b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\na=setup:actpass\r\na=sctp-port:5000\r\n"
)
SAID = "Say it in one sentence."


def picture(width: int = 1280, height: int = 720) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def clip() -> Upload:
    return Upload.of(("luna.mp4", CLIP.read_bytes()))


MANY: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "generate_video": {
        "seconds": (4, 8),
        "size": ("1280x720", "720x1280"),
        "input_reference": (("first.png", picture()),),
    },
    "extend": {"seconds": (4, 8)},
    "download_video": {"variant": ("thumbnail",), "range": ("bytes=0-99",), "if_range": ('"of-another-time"',)},
    "get_response": {"starting_after": (3,)},
    "list_videos": {"limit": (1, 2), "order": ("asc", "desc")},
    "mint_realtime_secret": {"expires_after": (60, 90)},
    "responses": {
        "instructions": ("Be brief.",),
        "temperature": (0.5, 1.5),
        "top_p": (0.5,),
        "max_output_tokens": (40,),
        "metadata": ({"a": "b"},),
        "store": (False, True),
        "text": ({"format": {"type": "text"}},),
        "user": ("u-1",),
    },
    "chat_completions": {
        "temperature": (0.5, 1.5),
        "top_p": (0.5,),
        "max_completion_tokens": (40,),
        "max_tokens": (40,),
        "stop": ("x", ["x", "y"]),
        "seed": (7,),
        "n": (2,),
        "response_format": ({"type": "json_object"},),
        "user": ("u-1",),
    },
}
"""Fields that are not needed, each with values of which a vendor may take one or the other, or mean one by saying nothing."""
ODD: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "generate_video": {"seconds": (13,), "size": ("1234x678",)},
    "extend": {"seconds": (13,)},
    "responses": {"temperature": (0,), "top_p": (0,), "store": (False,), "max_output_tokens": (17,)},
    "chat_completions": {"temperature": (0,), "top_p": (0,), "seed": (0,), "n": (3,)},
}
"""Values that no vendor means by saying nothing: it hears of them, or the caller is told that it can't."""
TOGETHER: Mapping[str, Mapping[str, Any]] = {"get_response": {"stream": True}}
"""What must be said for the others to mean something."""
IDS = {
    "get_character": "character_id",
    "get_video": "video_id",
    "delete_video": "video_id",
    "download_video": "video_id",
    "remix": "video_id",
    "list_videos": "after",
    "get_response": "response_id",
    "delete_response": "response_id",
    "cancel_response": "response_id",
    "list_input_items": "response_id",
    "hang_up": "call_id",
}
"""The operations whose id stands in an address, as a rule, and the name of its field."""


async def sample(desk: Desk, operation: str) -> dict[str, Any]:
    """The fields of a right request. What it refers to is made first."""
    fields: dict[str, Any] = {}
    match operation:
        case "create_character":
            fields = {"name": "Luna", "video": clip()}
        case "get_character":
            fields = {"character_id": (await _made(desk, "create_character", "character")).id}
        case "generate_video":
            fields = {"prompt": "A fox in the snow"}
        case "get_video" | "delete_video" | "download_video":
            fields = {"video_id": (await _finished(desk)).id}
        case "edit":
            fields = {"video": (await _finished(desk)).id, "prompt": "Make it evening"}
        case "extend":
            fields = {"video": (await _finished(desk)).id, "prompt": "It runs away", "seconds": 4}
        case "remix":
            fields = {"video_id": (await _finished(desk)).id, "prompt": "The same in spring"}
        case "mint_realtime_secret":
            fields = {"session": {"type": "realtime"}}
        case "relay_sdp":
            fields = {"sdp": OFFER}
        case "hang_up":
            call = await _made(desk, "relay_sdp", "call")
            if call.id is None:
                pytest.skip("the calls of this provider have no id, so they can't be hung up")
            fields = {"call_id": call.id}
        case "responses":
            fields = {"input": SAID}
        case "get_response" | "delete_response" | "list_input_items":
            fields = {"response_id": (await _made(desk, "responses", "response", store=True)).id}
        case "cancel_response":
            made = await _made(desk, "responses", "background", store=True, background=True)
            fields = {"response_id": made.id}
        case "chat_completions":
            fields = {"messages": [{"role": "user", "content": SAID}]}
    chosen = desk.wire.samples.get(operation, {}) if desk.wire is not None else {}
    return {**fields, **chosen}


def text_field(operation: str, text: str) -> dict[str, Any]:
    """How an operation is told something."""
    match operation:
        case "create_character":
            return {"name": text}
        case "responses":
            return {"input": text}
        case "chat_completions":
            return {"messages": [{"role": "user", "content": text}]}
    return {"prompt": text}


async def _made(desk: Desk, operation: str, name: str, **more: Any) -> Any:
    """The result of an operation, from the first time that it was asked for at this desk."""
    if operation not in desk.bench.offered:
        pytest.skip(f"it needs a {name}, which {operation} makes; the provider does not offer that")
    if name not in desk.past:
        desk.past[name] = await desk.call(operation, **{**await sample(desk, operation), **more})
    return desk.past[name]


async def _finished(desk: Desk) -> Any:
    """A completed video."""
    video = await _made(desk, "generate_video", "video")
    for _ in range(1200):
        if video.status in {"completed", "failed"} or "get_video" not in desk.bench.offered:
            break
        await desk.pause()
        video = await desk.call("get_video", video_id=video.id)
    assert video.status == "completed", f"a video that should be completed by now is {video.status}: {video.error}"
    desk.past["video"] = video
    return video
