"""Event streams over a real connection: whole, left early, cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from core.tests.server import (
    Exchange,
    Server,
    bytes_answer,
    error_answer,
    events,
    gzip_answer,
    json_answer,
    reset_in_body,
    sse_answer,
)

from callsheet import APIConnectionError, APIResponseValidationError, Event, InternalServerError, RateLimitError

THREE = [events((f"response.e{n}", {"n": n})) for n in range(3)]


async def for_ever(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    for n in range(100_000):
        await exchange.chunk(events(("response.tick", {"n": n})))
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_a_whole_stream(client: Any, server: Server, size: int, line_end: bytes) -> None:
    wire = b"".join(THREE).replace(b"\n", line_end)
    server.on("/responses", sse_answer(*[wire[at : at + size] for at in range(0, len(wire), size)]))
    stream = await client.responses(input="hi", stream=True)
    got = [(event.type, event.data) async for event in stream]
    assert got == [(f"response.e{n}", {"n": n}) for n in range(3)]
    assert server.seen[0].json() == {"input": "hi", "stream": True}
    # Read to its end, the connection can serve the next call.
    server.on("/videos/v1", json_answer({"id": "v1", "status": "queued"}))
    await client.get_video(video_id="v1", provider="wire")
    assert server.opened == 1


async def test_each_event_comes_when_it_is_sent(client: Any, server: Server) -> None:
    """Nothing waits for the end: the server sends the second event only after the first was received."""
    received = asyncio.Event()

    async def waiting(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        await exchange.chunk(THREE[0])
        while not received.is_set():
            await asyncio.sleep(0.005)
        await exchange.chunk(THREE[1])
        await exchange.write(b"0\r\n\r\n")

    server.on("/responses", waiting)
    stream = await client.responses(input="hi", stream=True)
    assert (await anext(stream)).type == "response.e0"
    received.set()
    assert [event.type async for event in stream] == ["response.e1"]


async def test_leaving_early_closes_the_connection(client: Any, server: Server) -> None:
    server.on("/responses", for_ever)
    stream = await client.responses(input="hi", stream=True)
    async with stream:
        assert (await anext(stream)).data == {"n": 0}
        assert server.open == 1
    assert server.settled(0)
    await stream.aclose()  # closing twice is harmless
    assert [event async for event in stream] == []


async def test_leaving_before_the_first_event(client: Any, server: Server) -> None:
    server.on("/responses", for_ever)
    await (await client.responses(input="hi", stream=True)).aclose()
    assert server.settled(0)


async def test_an_error_in_the_readers_code_closes_the_connection(client: Any, server: Server) -> None:
    server.on("/responses", for_ever)
    with pytest.raises(ZeroDivisionError):
        async with await client.responses(input="hi", stream=True) as stream:
            async for event in stream:
                print(1 // event.data["n"])
    assert server.settled(0)


async def test_a_tap_that_fails_closes_the_connection(mode: Any, client: Any, server: Server) -> None:
    server.on("/responses", for_ever)
    stream = await client.responses(input="hi", stream=True)
    ends: list[BaseException | None] = []

    def look(event: Event) -> None:
        raise ZeroDivisionError

    (stream.inner._source if mode.blocking else stream).tap(look, ends.append)
    with pytest.raises(ZeroDivisionError):
        await anext(stream)
    assert server.settled(0)
    assert [type(end) for end in ends] == [ZeroDivisionError]


async def test_a_stream_that_is_cut(mode: Any, client: Any, server: Server) -> None:
    """What arrived is handed out first; then the error says that more should have come. Nobody tries again."""
    server.on("/responses", sse_answer(*THREE[:2], b"event: response.e2\ndata: {", end=False))
    stream = await client.responses(input="hi", stream=True, store=False)
    ends: list[Any] = []
    (stream.inner._source if mode.blocking else stream).tap(on_end=ends.append)
    got = []
    with pytest.raises(APIConnectionError) as caught:
        async for event in stream:
            got.append(event.type)
    assert got == ["response.e0", "response.e1"]
    assert caught.value.sent is True
    assert ends == [caught.value]
    assert len(server.seen) == 1


async def test_a_stream_that_is_reset(client: Any, server: Server) -> None:
    server.on("/responses", reset_in_body)
    stream = await client.responses(input="hi", stream=True)
    with pytest.raises(APIConnectionError):
        await anext(stream)


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (500, InternalServerError)])
async def test_an_error_instead_of_a_stream(client: Any, server: Server, status: int, kind: type[Exception]) -> None:
    server.on("/responses", error_answer(status, "try later", retry_after="500"))
    with pytest.raises(kind, match="try later"):
        await client.responses(input="hi", stream=True)


async def test_a_stream_that_is_encoded(client: Any, server: Server) -> None:
    """Zipped events decode to nothing at all: that must not look like an empty stream."""
    server.on("/responses", gzip_answer(b"".join(THREE)))
    with pytest.raises(APIResponseValidationError, match="gzip"):
        await client.responses(input="hi", stream=True)


async def test_an_event_without_end(client: Any, server: Server) -> None:
    server.on("/responses", sse_answer(b"data: ", *[b"x" * 65536] * 520))
    stream = await client.responses(input="hi", stream=True)
    with pytest.raises(APIResponseValidationError, match="longer than"):
        await anext(stream)
    assert server.settled(0)


async def test_a_stream_that_the_server_ends_by_closing(client: Any, server: Server) -> None:
    """HTTP/1.0's way: no length, no chunks. An unfinished event is dropped, as the standard has it."""

    async def closing(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-type": "text/event-stream", "connection": "close"})
        await exchange.write(THREE[0] + b"data: half")
        exchange.keep = False

    server.on("/responses", closing)
    stream = await client.responses(input="hi", stream=True)
    assert [event.type async for event in stream] == ["response.e0"]


async def test_an_empty_stream(client: Any, server: Server) -> None:
    server.on("/responses", bytes_answer(b"", content_type="text/event-stream"))
    assert [event async for event in await client.responses(input="hi", stream=True)] == []
