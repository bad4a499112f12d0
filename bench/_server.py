"""The other side of bench/client.py: canned answers over HTTP/1.1 with keep-alive, in one thread.

Prints its port, and ends when its standard input does. `GET /last` answers with the bytes of the request before.
"""

from __future__ import annotations

import json
import re
import sys
import time
from selectors import EVENT_READ, DefaultSelector
from socket import IPPROTO_TCP, TCP_NODELAY, create_server, socket
from typing import Any

DELTAS = 200
SPIN = 0.005
"""Seconds to stay awake after a request. To wake a sleeping core takes the longer the longer it has slept: a client that
does more between two calls would seem to be slower by more than that."""
LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)
HEADERS = """date: Fri, 21 Nov 2025 12:00:00 GMT
server: cloudflare
openai-version: 2020-10-01
openai-organization: acme-studios
openai-processing-ms: 812
x-request-id: req_5f1c2d7e9a0b4c3d8e6f7a1b2c3d4e5f
x-ratelimit-limit-requests: 10000
x-ratelimit-limit-tokens: 30000000
x-ratelimit-remaining-requests: 9999
x-ratelimit-remaining-tokens: 29999871
x-ratelimit-reset-requests: 6ms
x-ratelimit-reset-tokens: 0s
strict-transport-security: max-age=31536000; includeSubDomains; preload
x-content-type-options: nosniff
cf-cache-status: DYNAMIC
cf-ray: 9a1f2b3c4d5e6f70-FRA
alt-svc: h3=":443"; ma=86400
"""
PROSE = (
    "The wide shot holds for two beats: rain on the window of the night tram, neon in long streaks, nobody speaks. "
    "Then the conductor looks up, the bell rings once, and the camera begins to move along the aisle, past wet coats, "
    "past the child asleep on a folded script, until it finds the last seat and the hand that lets go of the ticket. "
)

Answer = dict[str, Any]


def chat() -> Answer:
    details = {"cached_tokens": 0, "audio_tokens": 0}
    spent = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    usage = {"prompt_tokens": 61, "completion_tokens": 74, "total_tokens": 135}
    message: Answer = {"role": "assistant", "content": PROSE, "refusal": None, "annotations": []}
    return {
        "id": "chatcmpl-CeQ2v8xW4LkT7nYp3sRb9dHf6jGz1",
        "object": "chat.completion",
        "created": 1763726400,
        "model": "gpt-5.4-2026-03-05",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {**usage, "prompt_tokens_details": details, "completion_tokens_details": spent},
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }


def response(status: str, output: list[Answer]) -> Answer:
    weather = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "name": "weather", "description": "The weather in a city.", "strict": True}
    usage = {"input_tokens": 341, "output_tokens": 512, "total_tokens": 853}
    details = {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 192},
    }
    return {
        "id": "resp_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef",
        "object": "response",
        "created_at": 1763726400,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "You write shot lists for short films.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-5.4-2026-03-05",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": "medium", "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [{**tool, "parameters": {**weather, "additionalProperties": False}}],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {**usage, **details} if status == "completed" else None,
        "user": None,
        "metadata": {"project": "night-tram", "scene": "12"},
    }


def part(text: str) -> Answer:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def said(status: str, *parts: Answer) -> Answer:
    return {"id": "msg_0a1b2c3d4e5f", "type": "message", "status": status, "content": list(parts), "role": "assistant"}


def whole_response() -> Answer:
    reasoning = {"id": "rs_0a1b2c3d4e5f", "type": "reasoning", "summary": []}
    shots = [part(f"Shot {number}. {PROSE}") for number in range(1, 6)]
    return response("completed", [reasoning, said("completed", *shots)])


def stream() -> list[Answer]:
    words = [f" {word}" for word in (PROSE * 8).split()[:DELTAS]]
    text = "".join(words)
    place = {"item_id": "msg_0a1b2c3d4e5f", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", **place, "logprobs": []}
    events: list[Answer] = [
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": said("in_progress")},
        {"type": "response.content_part.added", **place, "part": part("")},
        *({**delta, "delta": word, "obfuscation": "uT7mQx2Lk9"[: 10 - len(word) % 10]} for word in words),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": said("completed", part(text))},
        {"type": "response.completed", "response": response("completed", [said("completed", part(text))])},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def video() -> Answer:
    return {
        "id": "video_68d7512d07848190b3e45da0ecbebcde004da08e1e0678d5",
        "object": "video",
        "model": "sora-2",
        "status": "queued",
        "progress": 0,
        "created_at": 1763726400,
        "completed_at": None,
        "expires_at": None,
        "prompt": PROSE,
        "size": "1280x720",
        "seconds": "8",
        "remixed_from_video_id": None,
        "error": None,
    }


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def answer(content: bytes, kind: str, framing: str) -> bytes:
    lines = [*HEADERS.splitlines(), f"content-type: {kind}", framing]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + content


def whole(content: bytes) -> bytes:
    return answer(content, "application/json", f"content-length: {len(content)}")


def events() -> bytes:
    """As a vendor sends them: each event is a chunk of its own."""
    texts = [f"event: {event['type']}\ndata: {compact(event)}\n\n".encode() for event in stream()]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(text), text) for text in texts)
    return answer(chunks + b"0\r\n\r\n", "text/event-stream; charset=utf-8", "transfer-encoding: chunked")


ANSWERS = {
    b"/v1/chat/completions": whole(compact(chat()).encode()),
    b"/v1/responses": whole(compact(whole_response()).encode()),
    b"/v1/videos": whole(compact(video()).encode()),
}
EVENTS = events()


class Connection:
    """What has come of a request, and the way back."""

    def __init__(self, accepted: socket) -> None:
        accepted.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.socket = accepted
        self.request = b""

    def read(self, last: list[bytes]) -> bool:
        """Take in what came, and answer if the request is whole. False at the end."""
        piece = self.socket.recv(65536)
        self.request += piece
        head, blank, body = self.request.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if blank and len(body) >= (int(length[1]) if length else 0):
            path = head.split(b" ", 2)[1]
            if path == b"/last":
                self.socket.sendall(whole(last[0]))
            else:
                last[0] = self.request
                self.socket.sendall(EVENTS if b'"stream":true' in body else ANSWERS[path])
            self.request = b""
        return bool(piece)


def serve(listener: socket) -> None:
    last, awake = [b""], 0.0
    with DefaultSelector() as selector:
        selector.register(listener, EVENT_READ)
        selector.register(sys.stdin, EVENT_READ)
        while True:
            for key, _ in selector.select(0 if time.monotonic() < awake else None):
                awake = time.monotonic() + SPIN
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    accepted = listener.accept()[0]
                    selector.register(accepted, EVENT_READ, Connection(accepted))
                elif not key.data.read(last):
                    selector.unregister(key.fileobj)
                    key.data.socket.close()


if __name__ == "__main__":
    with create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener)
