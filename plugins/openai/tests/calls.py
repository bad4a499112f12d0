"""One plain call of every operation, where it arrives, and the answer that it gets; and a way to no wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from core.tests.offers import OFFER
from core.tests.server import Answer, Server, bytes_answer, events, json_answer, sse_answer

from callsheet.exchange import Outgoing

__all__ = ["ANSWER_SDP", "CALLS", "CHAT", "CHUNK", "RESPONSE", "VIDEO", "Call", "Canned", "Told", "serve", "serve_all"]

VIDEO = {
    "id": "video_68f1a3c2b4d081909c5e", "object": "video", "model": "sora-2", "status": "queued", "progress": 0,
    "created_at": 1760627796, "completed_at": None, "expires_at": None, "prompt": "A fox", "size": "1280x720",
    "seconds": "8", "remixed_from_video_id": None, "error": None,
}  # fmt: skip
CHARACTER = {"id": "char_123", "name": "Mossy", "created_at": 1773300000}
RESPONSE = {
    "id": "resp_67ccd2bed1ec8190b14f", "object": "response", "created_at": 1741476542, "status": "completed",
    "model": "m-1", "error": None, "incomplete_details": None, "instructions": None, "previous_response_id": None,
    "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
                "content": [{"type": "output_text", "text": "Paris.", "annotations": [], "logprobs": []}]}],
}  # fmt: skip
MESSAGE = {"role": "assistant", "content": "Hello!", "refusal": None}
CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952, "model": "m-1",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
}  # fmt: skip
CHUNK = {
    "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1694268190, "model": "m-1",
    "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}],
}  # fmt: skip
SECRET = {"value": "ek_68af296e8e408191", "expires_at": 4102444800, "session": {"type": "realtime", "id": "sess_1"}}
ANSWER_SDP = OFFER.replace(b"actpass", b"active")
CLIP = ("clip.mp4", b"\x00\x00\x00\x18ftypmp42" * 40)
GONE = {"id": "video_68f1a3c2b4d081909c5e", "object": "video.deleted", "deleted": True}


@frozen
class Call:
    """How an operation is asked for, where that arrives (below /v1), and what is answered."""

    ask: Callable[[Any], Any]
    method: str
    path: str
    answer: Answer = field(repr=False)


def at_openai(method: str, **fields: Any) -> Callable[[Any], Any]:
    return lambda client: getattr(client, method)(provider="openai", **fields)


_film, _answer = "video_68f1a3c2b4d081909c5e", "resp_67ccd2bed1ec8190b14f"
_hello = [{"role": "user", "content": "Hello"}]
_stream = events(("response.created", {"type": "response.created", "response": RESPONSE}))
_stream += events(("response.completed", {"type": "response.completed", "response": RESPONSE}))
_chunks = b"data: " + json.dumps(CHUNK).encode() + b"\n\ndata: [DONE]\n\n"
_location = "/v1/realtime/calls/rtc_u1_9c6574da8b8a41a18da9308f4ad974ce"
_called = bytes_answer(ANSWER_SDP, 201, content_type="application/sdp", location=_location)

CALLS: dict[str, Call] = {
    "create_character": Call(
        at_openai("create_character", name="Mossy", video=CLIP), "POST", "/videos/characters", json_answer(CHARACTER)
    ),
    "get_character": Call(
        at_openai("get_character", character_id="char_123"), "GET", "/videos/characters/char_123", json_answer(CHARACTER)
    ),
    "generate_video": Call(
        at_openai("generate_video", model="m-1", prompt="A fox"), "POST", "/videos", json_answer(VIDEO)
    ),
    "generate_video with a file": Call(
        at_openai("generate_video", model="m-1", prompt="A fox", input_reference=("a.png", b"\x89PNG")),
        "POST", "/videos", json_answer(VIDEO),
    ),
    "get_video": Call(at_openai("get_video", video_id=_film), "GET", f"/videos/{_film}", json_answer(VIDEO)),
    "list_videos": Call(
        at_openai("list_videos", limit=2), "GET", "/videos", json_answer({"object": "list", "data": [VIDEO]})
    ),
    "delete_video": Call(at_openai("delete_video", video_id=_film), "DELETE", f"/videos/{_film}", json_answer(GONE)),
    "download_video": Call(
        at_openai("download_video", video=_film), "GET", f"/videos/{_film}/content",
        bytes_answer(b"\x00\x00\x00\x18ftypmp42", content_type="video/mp4"),
    ),
    "edit": Call(at_openai("edit", video=_film, prompt="teal"), "POST", "/videos/edits", json_answer(VIDEO)),
    "extend": Call(
        at_openai("extend", video=_film, prompt="on", seconds=8), "POST", "/videos/extensions", json_answer(VIDEO)
    ),
    "remix": Call(
        at_openai("remix", video_id=_film, prompt="bow"), "POST", f"/videos/{_film}/remix", json_answer(VIDEO)
    ),
    "mint_realtime_secret": Call(
        at_openai("mint_realtime_secret", model="r-1"), "POST", "/realtime/client_secrets", json_answer(SECRET)
    ),
    "relay_sdp": Call(at_openai("relay_sdp", sdp=OFFER, model="r-1"), "POST", "/realtime/calls", _called),
    "relay_sdp with a key": Call(
        at_openai("relay_sdp", sdp=OFFER, ephemeral_key="ek_68af296e8e408191"), "POST", "/realtime/calls", _called
    ),
    "hang_up": Call(
        at_openai("hang_up", call_id="rtc_1"), "POST", "/realtime/calls/rtc_1/hangup", bytes_answer(b"", 200)
    ),
    "responses": Call(
        at_openai("responses", model="m-1", input="Hi", store=False), "POST", "/responses", json_answer(RESPONSE)
    ),
    "responses streamed": Call(
        at_openai("responses", model="m-1", input="Hi", store=False, stream=True), "POST", "/responses",
        sse_answer(_stream),
    ),
    "get_response": Call(
        at_openai("get_response", response_id=_answer), "GET", f"/responses/{_answer}", json_answer(RESPONSE)
    ),
    "delete_response": Call(
        at_openai("delete_response", response_id=_answer), "DELETE", f"/responses/{_answer}",
        json_answer({"id": _answer, "object": "response", "deleted": True}),
    ),
    "cancel_response": Call(
        at_openai("cancel_response", response_id=_answer), "POST", f"/responses/{_answer}/cancel", json_answer(RESPONSE)
    ),
    "list_input_items": Call(
        at_openai("list_input_items", response_id=_answer), "GET", f"/responses/{_answer}/input_items",
        json_answer({"object": "list", "data": []}),
    ),
    "chat_completions": Call(
        at_openai("chat_completions", model="m-1", messages=_hello), "POST", "/chat/completions", json_answer(CHAT)
    ),
    "chat_completions streamed": Call(
        at_openai("chat_completions", model="m-1", messages=_hello, stream=True), "POST", "/chat/completions",
        sse_answer(_chunks),
    ),
}  # fmt: skip
"""By the operation's name, and in how many ways it is asked for."""


def serve(server: Server, name: str) -> None:
    """Answer one call as it should be."""
    server.on(f"/v1{CALLS[name].path}", CALLS[name].answer)


def serve_all(server: Server, *answers: Answer) -> None:
    """Answer every call: each path as its first call wants it, or all of them alike."""
    for call in reversed(CALLS.values()):
        server.on(f"/v1{call.path}", *(answers or [call.answer]))


@define(eq=False)
class Told:
    """An answer that is there already."""

    status: int = 200
    headers: dict[str, str] = field(factory=dict)
    content: bytes = b""

    async def read(self, deadline: float) -> bytes:
        content, self.content = self.content, b""
        return content

    async def aclose(self) -> None:
        self.content = b""


@define(eq=False)
class Canned:
    """A transport that has no wire: every request is kept and answered alike. It never suspends, so it is of both kinds."""

    status: int = 200
    document: object = None
    seen: list[Outgoing] = field(factory=list)

    async def open(self, request: Outgoing) -> Told:
        self.seen.append(request)
        headers = {"content-type": "application/json", "x-request-id": "req_1"}
        return Told(self.status, headers, json.dumps(self.document).encode())

    async def sleep(self, seconds: float) -> None:
        """At once."""

    async def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)
