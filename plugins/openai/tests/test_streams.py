"""Event streams of responses and chat over a real connection: as they came, with errors raised, and never cut unnoticed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from core.tests.server import Answer, Exchange, Server, bytes_answer, json_answer, sse_answer
from plugins.openai.tests.calls import CHAT, CHUNK, RESPONSE, VIDEO

from callsheet import APIConnectionError, APIError, APIResponseValidationError, APIStatusError

pytestmark = pytest.mark.usefixtures("at_once")

RESPONSES, CHATS = "/v1/responses", "/v1/chat/completions"


def named(*documents: dict[str, Any]) -> list[bytes]:
    return [f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode() for document in documents]


def bare(*documents: Any) -> list[bytes]:
    return [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n".encode() for one in documents]


BEGIN = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {**RESPONSE, "status": "in_progress", "output": []},
}
DELTA = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "delta": "Par"}
END = {"type": "response.completed", "sequence_number": 2, "response": RESPONSE}
Ask = Callable[..., Any]


@pytest.fixture
def respond(client: Any, server: Server) -> Ask:
    """Ask for a response, which is answered by these pieces (or by this answer)."""

    async def ask(*pieces: bytes, answer: Answer | None = None) -> Any:
        server.on(RESPONSES, answer or sse_answer(*pieces))
        return await client.responses(model="m-1", input="Hi", stream=True)

    return ask


@pytest.fixture
def chat(client: Any, server: Server) -> Ask:
    async def ask(*pieces: bytes, answer: Answer | None = None) -> Any:
        server.on(CHATS, answer or sse_answer(*pieces))
        return await client.chat_completions(model="m-1", messages=[{"role": "user", "content": "Hi"}], stream=True)

    return ask


async def until_error(stream: Any) -> tuple[list[Any], APIError]:
    """The events that came, and the error after them."""
    events = []
    with pytest.raises(APIError) as caught:
        async for event in stream:
            events.append(event)
    assert [event async for event in stream] == []  # it is over
    return events, caught.value


async def test_what_is_asked(respond: Ask, chat: Ask, client: Any, server: Server) -> None:
    for stream in (await respond(*named(END)), await chat(*bare(CHUNK, "[DONE]"))):
        assert len([event async for event in stream]) == 1
        assert stream.meta.provider == "openai"
    for seen in server.seen:
        assert seen.json()["stream"] is True
        assert seen.headers["accept"] == "text/event-stream"
    server.on(f"{RESPONSES}/r1", sse_answer(*named(END)))
    stream = await client.get_response(
        response_id="r1", stream=True, starting_after=41, include=["a", "b"], provider="openai"
    )
    assert [event.type async for event in stream] == ["response.completed"]
    assert server.seen[-1].target == f"{RESPONSES}/r1?include%5B%5D=a&include%5B%5D=b&stream=true&starting_after=41"


SAID = {"code": "busy", "message": "Too much.", "param": "input"}
ERRORS: dict[str, dict[str, Any]] = {
    "nested": {"type": "error", "sequence_number": 2, "error": {"type": "server_error", **SAID}},
    "flat": {"type": "error", **SAID, "sequence_number": 2},
    "both": {"type": "error", **SAID, "error": SAID},
    "type for code": {"type": "error", "error": {"type": "busy", "message": "Too much.", "param": "input"}},
    "no type": {"error": SAID},
}


@pytest.mark.parametrize("shape", ERRORS)
@pytest.mark.parametrize("spelled", ["named", "bare"])
async def test_an_error_among_the_events_of_a_response(respond: Ask, server: Server, shape: str, spelled: str) -> None:
    document = ERRORS[shape]
    error = [b"event: error\n" + bare(document)[0]] if spelled == "named" else bare(document)
    events, raised = await until_error(await respond(*named(BEGIN, DELTA), *error, *named(END)))
    assert [event.type for event in events] == ["response.created", "response.output_text.delta"]
    assert (raised.message, raised.code, raised.param) == ("Too much.", "busy", "input")
    assert (raised.provider, raised.body) == ("openai", document)
    assert not isinstance(raised, APIStatusError)
    assert server.settled(0)


@pytest.mark.parametrize(
    ("wire", "message", "code"),
    [
        (b'data: {"error":{"message":"Too much.","type":"server_error","code":null}}\n\n', "Too much.", "server_error"),
        (b'event: error\ndata: {"error":{"message":"Too much.","code":429}}\n\n', "Too much.", "429"),
        (b'data: {"error":"Too much."}\n\n', "Too much.", None),
        (b'event: error\ndata: {"message":"Too much.","code":"busy"}\n\n', "Too much.", "busy"),
        (b"event: error\ndata: Too much.\n\n", "broke its answer off", None),
        (b'data: {"object":"error","message":"Too much.","code":400}\n\n', "Too much.", "400"),
        (b'data: {"type":"overloaded_error","error":{"message":"Too much.","code":"busy"}}\n\n', "Too much.", "busy"),
        (b'data: {"id":"c","choices":[],"error":{"code":"busy","message":"Too much."}}\n\n', "Too much.", "busy"),
    ],
)
async def test_an_error_among_the_chunks_of_a_chat(chat: Ask, wire: bytes, message: str, code: str | None) -> None:
    events, raised = await until_error(await chat(*bare(CHUNK), wire, *bare("[DONE]")))
    assert [event.data for event in events] == [CHUNK]
    assert message in raised.message
    assert raised.code == code


@pytest.mark.parametrize("said", [{"message": "Too much.", "code": None}, {"error": "Too much."}])
async def test_an_error_without_a_code(respond: Ask, said: dict[str, Any]) -> None:
    _, raised = await until_error(await respond(*named({"type": "error", "sequence_number": 2, **said})))
    assert (raised.message, raised.code, raised.param) == ("Too much.", None, None)


async def test_what_is_no_error(respond: Ask, chat: Ask) -> None:
    """A response that failed says so in its last event; the word may stand anywhere."""
    why = {"code": "server_error", "message": "It broke."}
    failed = {"type": "response.failed", "response": {**RESPONSE, "status": "failed", "error": why}}
    talk = {"type": "response.output_text.delta", "delta": '"error"', "error": None}
    call = {"type": "response.mcp_call.failed", "item_id": "x", "error": {"message": "a tool's own"}}
    events = [event async for event in await respond(*named(BEGIN, talk, call, failed))]
    assert [event.data for event in events][1:3] == [talk, call]
    assert events[-1].data["response"]["error"] == why
    chunk = {**CHUNK, "error": None, "note": '"error"'}
    assert [event.data async for event in await chat(*bare(chunk, "[DONE]"))] == [chunk]


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete", "response.failed"])
async def test_the_last_event(respond: Ask, last: str) -> None:
    """What a server says after it is nobody's business."""
    pieces = named(BEGIN, {**END, "type": last}, DELTA)
    assert [event.type async for event in await respond(*pieces)] == ["response.created", last]


@pytest.mark.parametrize("tail", [[], bare("[DONE]"), [b": bye\n\n"], [b"data: "]])
async def test_a_stream_without_its_last_event(respond: Ask, chat: Ask, tail: list[bytes]) -> None:
    events, raised = await until_error(await respond(*named(BEGIN, DELTA), *tail))
    assert len(events) == 2
    assert isinstance(raised, APIResponseValidationError)
    assert "not the whole answer" in raised.message
    if tail != bare("[DONE]"):
        events, raised = await until_error(await chat(*bare(CHUNK), *tail))
        assert (len(events), type(raised)) == (1, APIResponseValidationError)


async def test_a_stream_that_is_cut(respond: Ask, chat: Ask) -> None:
    for ask, first in ((respond, named(BEGIN)), (chat, bare(CHUNK))):
        events, raised = await until_error(await ask(answer=sse_answer(*first, end=False)))
        assert len(events) == 1
        assert isinstance(raised, APIConnectionError)


async def test_done_is_no_event(respond: Ask, chat: Ask) -> None:
    assert len([event async for event in await respond(*named(BEGIN, END), *bare("[DONE]"))]) == 2
    assert len([event async for event in await respond(*named(BEGIN), *bare("[DONE]"), *named(END))]) == 2
    assert [event.data async for event in await chat(*bare(CHUNK), b"data:[DONE]\n\n")] == [CHUNK]
    assert [event async for event in await chat(*bare("[DONE]"))] == []


async def test_events_without_a_name_get_their_type(respond: Ask) -> None:
    events = [event async for event in await respond(*bare(BEGIN, DELTA, {"type": "error.not"}, {"n": 1}, END))]
    assert [event.type for event in events] == [BEGIN["type"], DELTA["type"], "error.not", "message", END["type"]]


ODD = [
    '{"type":"response.output_text.delta","sequence_number":1,"delta":"Par","obfuscation":"aXk2","logprobs":[]}',
    '{ "type" : "response.output_item.added",  "item":{"type":"message","phase":"commentary","id":null} }',
    '{"type":"response.never.heard.of","x":[1e400,-0.0,18446744073709551616,"\\ud800"],"x":2,"\\u00e9":"é\u2028"}',
    '{"type":"response.reasoning_summary_text.delta","delta":"\\u0000\\/","n":1E+2}',
    "no JSON at all",
]


@pytest.mark.parametrize("spelled", ["named", "bare"])
async def test_what_is_not_known_survives_byte_for_byte(respond: Ask, chat: Ask, spelled: str) -> None:
    names = ["event: response.odd\n" if spelled == "named" else ""] * len(ODD)
    pieces = [f"{name}data: {text}\n\n".encode() for name, text in zip(names, ODD, strict=True)]
    events = [event async for event in await respond(*pieces, *named(END))]
    assert [event.raw for event in events[:-1]] == ODD
    chunks = [event.raw async for event in await chat(*pieces, *bare("[DONE]"))]
    assert chunks == ODD


async def test_a_whole_answer_survives_in_its_last_event(respond: Ask) -> None:
    """Its ids are managed, so it is written anew: as the same values, and as something that can be sent on."""
    raw = json.dumps(END)[:-2] + ', "n": [2e400, -0.0, 18446744073709551616, 1e2], "t": "\\ud800é", "x": 1, "x": 2}}'
    (event,) = [event async for event in await respond(b"event: response.completed\ndata: " + raw.encode() + b"\n\n")]
    document = event.data["response"]
    assert document["n"][0] == 2 * 10**400
    assert repr(document["n"][1:]) == "[-0.0, 18446744073709551616, 100.0]"
    assert (document["t"], document["x"], document["output"]) == ("\ud800é", 2, RESPONSE["output"])
    assert document["id"] != RESPONSE["id"]
    assert b"Infinity" not in event.raw.encode("utf-8")


async def test_a_number_that_can_not_be_read_ends_a_stream_with_an_error_of_ours(respond: Ask) -> None:
    raw = '{"type":"response.completed","response":{"id":"r1","n":' + "9" * 5000 + "}}"
    _, raised = await until_error(await respond(b"event: response.completed\ndata: " + raw.encode() + b"\n\n"))
    assert isinstance(raised, APIResponseValidationError)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (json_answer(RESPONSE | CHAT), APIResponseValidationError, "does not stream"),
        (bytes_answer(b"<html>", content_type="text/html"), APIResponseValidationError, "text/html"),
        (bytes_answer(b""), APIResponseValidationError, "no content type"),
        (json_answer(VIDEO), APIResponseValidationError, "application/json"),
        (json_answer({"error": {"message": "No model.", "code": "x"}}), APIError, "No model."),
        (json_answer({"error": "No model."}), APIError, "No model."),
    ],
)
async def test_an_answer_that_is_no_stream(
    respond: Ask, chat: Ask, server: Server, answer: Answer, kind: type[APIError], words: str
) -> None:
    for ask in (respond, chat):
        with pytest.raises(APIError) as caught:
            await ask(answer=answer)
        assert type(caught.value) is kind
        assert words in caught.value.message


@pytest.mark.parametrize("kind", ["Text/Event-Stream", "text/event-stream;charset=utf-8", "text/event-stream ; x=1"])
async def test_how_a_stream_may_be_called(respond: Ask, kind: str) -> None:
    events = [event async for event in await respond(answer=bytes_answer(named(END)[0], content_type=kind))]
    assert len(events) == 1


async def for_ever(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    while True:
        await exchange.chunk(named(DELTA)[0])
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", ["block", "close", "exception", "before"])
async def test_leaving_early_closes_the_upstream_at_once(respond: Ask, chat: Ask, server: Server, how: str) -> None:
    for ask in (respond, chat):
        stream = await ask(answer=for_ever)
        began = time.monotonic()
        if how == "block":
            async with stream:
                async for _ in stream:
                    break
        elif how == "exception":
            with pytest.raises(ZeroDivisionError):
                async with stream:
                    async for _ in stream:
                        print(1 // 0)
        else:
            if how == "close":
                await anext(stream)
            await stream.aclose()
            await stream.aclose()  # twice is harmless
        assert time.monotonic() - began < 0.5
        assert server.settled(0, within=0.5)
        assert [event async for event in stream] == []


async def test_one_connection_serves_one_stream_after_the_other(respond: Ask, chat: Ask, server: Server) -> None:
    for _ in range(2):
        assert len([event async for event in await respond(*named(BEGIN, END), *bare("[DONE]"))]) == 2
        assert len([event async for event in await chat(*bare(CHUNK, "[DONE]"))]) == 1
    assert (server.opened, len(server.seen)) == (1, 4)


async def test_a_server_that_does_not_hang_up_after_the_last_event(respond: Ask, chat: Ask, server: Server) -> None:
    def holding(*pieces: bytes) -> Answer:
        async def answer(exchange: Exchange) -> None:
            await exchange.body()
            await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            for piece in pieces:
                await exchange.chunk(piece)
            await exchange.gone()

        return answer

    for ask, pieces in ((respond, named(BEGIN, END)), (chat, bare(CHUNK, CHUNK, "[DONE]"))):
        stream = await ask(answer=holding(*pieces))
        await anext(stream)
        await anext(stream)  # what has come is given out at once
        began = time.monotonic()
        assert [event async for event in stream] == []
        assert time.monotonic() - began < 1.5
        assert server.settled(0)
