"""Chat at the endpoint that speaks OpenAI's wire."""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.server import Server, bytes_answer, json_answer

from callsheet import APIError, APIResponseValidationError, RateLimitError
from callsheet.testing import FAKE_KEY
from callsheet_gemini.wire import GeminiWire

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
MODEL = "gemini/gemini-3.8-flash"
PATH = "/openai/chat/completions"


async def test_an_answer(client: Any, wire: GeminiWire) -> None:
    answer = await client.chat_completions(
        model=MODEL, messages=MESSAGES, temperature=0.5, extra_body={"x_more": {"a": 1}}
    )
    assert answer.text == wire.reply
    assert answer.raw["vendor_note"] == {"kept": True, "n": 2**64}
    [seen] = wire.seen
    assert seen.path == f"/v1beta{PATH}"
    assert seen.headers["authorization"] == f"Bearer {FAKE_KEY}"
    assert "x-goog-api-key" not in seen.headers
    assert seen.document == {
        "model": "gemini-3.8-flash", "messages": MESSAGES, "temperature": 0.5, "x_more": {"a": 1},
    }  # fmt: skip


async def test_a_stream(client: Any, wire: GeminiWire) -> None:
    text = ""
    async with await client.chat_completions(model=MODEL, messages=MESSAGES, stream=True) as events:
        async for event in events:
            for choice in event.data["choices"]:
                text += choice["delta"].get("content") or ""
    assert text == wire.reply
    assert wire.seen[0].headers["accept"] == "text/event-stream"


async def test_an_error_in_a_list(at: Any, server: Server) -> None:
    said = {"code": 429, "message": "Too many.", "status": "RESOURCE_EXHAUSTED"}
    server.on(PATH, json_answer([{"error": said}], 429))
    with pytest.raises(RateLimitError, match="Too many") as raised:
        await at(server.url, timeout=0.4).chat_completions(model=MODEL, messages=MESSAGES, store=True)
    assert raised.value.code == "RESOURCE_EXHAUSTED"


async def test_an_error_among_the_events(at: Any, server: Server) -> None:
    body = b'data: {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}\n\n'
    server.on(PATH, bytes_answer(body, content_type="text/event-stream"))
    events = await at(server.url).chat_completions(model=MODEL, messages=MESSAGES, stream=True)
    with pytest.raises(APIError, match="Overloaded") as raised:
        await anext(events)
    assert (raised.value.code, raised.value.should_retry) == ("UNAVAILABLE", False)


async def test_odd_answers(at: Any, server: Server) -> None:
    server.on(PATH, json_answer({"id": "x"}))
    with pytest.raises(APIResponseValidationError):
        await at(server.url).chat_completions(model=MODEL, messages=MESSAGES, store=True)
