"""One deadline for a whole call: no server can hold a call longer, whichever way it is slow."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from core.tests import server as answers
from core.tests.conftest import Mode
from core.tests.server import Exchange, Server, events
from core.tests.wire import Wire

from callsheet import APITimeoutError, AsyncTransport, BlockingTransport

DEADLINE, MARGIN = 0.25, 0.4


@contextmanager
def in_time(deadline: float = DEADLINE) -> Iterator[None]:
    """The body must raise APITimeoutError, neither before nor long after the deadline."""
    started = time.monotonic()
    with pytest.raises(APITimeoutError):
        yield
    took = time.monotonic() - started
    assert deadline * 0.9 <= took < deadline + MARGIN, f"took {took:.2f} s"


async def drip_informational(exchange: Exchange) -> None:
    """100 Continue, for ever: each is a whole answer's head, but not an answer."""
    await exchange.body()
    while True:
        await exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.02)


async def drip_chunks(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"transfer-encoding": "chunked"})
    while True:
        await exchange.chunk(b" ")
        await asyncio.sleep(0.02)


async def drip_error(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(400, {"content-length": "100000"})
    while True:
        await exchange.write(b" ")
        await asyncio.sleep(0.02)


SLOW = [
    answers.drip_headers,
    answers.drip_body,
    answers.stall,
    answers.stall_in_body,
    drip_chunks,
    drip_informational,
]


@pytest.mark.parametrize("slow", SLOW, ids=lambda answer: answer.__name__)
async def test_a_slow_answer(client: Any, server: Server, slow: Any) -> None:
    server.on("/videos", slow)
    with in_time():
        await client.generate_video(prompt="A fox", timeout=DEADLINE)
    assert Wire.ios[-1].outcome == "maybe"
    assert len(server.seen) == 1


@pytest.mark.parametrize("slow", [answers.never_read, answers.read_slowly], ids=lambda answer: answer.__name__)
async def test_an_upload_that_is_not_taken_in(client: Any, server: Server, slow: Any) -> None:
    server.on("/videos/characters", slow)
    with in_time():
        await client.create_character(name="Luna", video=bytes(40_000_000), timeout=DEADLINE)


async def test_all_attempts_have_one_deadline(client: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be asked again is asked again, but within the same deadline."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.05)
    server.on("/videos/v1", answers.close_unanswered, answers.drip_body)
    with in_time():
        await client.get_video(video_id="v1", provider="wire", timeout=DEADLINE)
    assert len(server.seen) == 2


async def test_a_server_that_accepts_and_never_shakes_hands(mode: Mode) -> None:
    """TLS: nothing of the request was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = mode.client(base_url=f"https://127.0.0.1:{listening.getsockname()[1]}")
        with in_time():
            await client.generate_video(prompt="A fox", timeout=DEADLINE)
    assert Wire.ios[-1].outcome == "not_sent"


async def test_a_host_that_does_not_answer(mode: Mode) -> None:
    """A listener whose queue is full drops what comes: the connection attempt hangs, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            client = mode.client(base_url=f"http://127.0.0.1:{address[1]}")
            with in_time():
                await client.generate_video(prompt="A fox", timeout=DEADLINE)
            assert Wire.ios[-1].outcome == "not_sent"
        finally:
            for one in waiting:
                one.close()


async def test_the_deadline_has_passed_already(client: Any, server: Server) -> None:
    with pytest.raises(APITimeoutError):
        await client.generate_video(prompt="A fox", timeout=0)
    assert not any(seen.whole for seen in server.seen)


async def test_no_deadline(client: Any, server: Server) -> None:
    server.on("/videos/v1", answers.json_answer({"id": "v1", "status": "queued"}))
    video = await client.get_video(video_id="v1", provider="wire", timeout=float("inf"))
    assert video.status == "queued"


async def pausing(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    await exchange.chunk(events(("one", 1)))
    await asyncio.sleep(0.6)
    await exchange.chunk(events(("two", 2)))
    await exchange.write(b"0\r\n\r\n")


async def test_a_call_s_timeout_ends_when_its_stream_begins(client: Any, server: Server) -> None:
    """From then on each piece has the account's timeout."""
    server.on("/responses", pausing)
    stream = await client.responses(input="hi", stream=True, timeout=0.3)
    assert [event.type async for event in stream] == ["one", "two"]


async def test_the_same_over_a_client_of_the_callers(mode: Mode, server: Server) -> None:
    server.on("/responses", pausing)
    own = httpx.Client() if mode.blocking else httpx.AsyncClient()
    transport = BlockingTransport(client=own) if mode.blocking else AsyncTransport(client=own)
    stream = await mode.client(server, transport=transport).responses(input="hi", stream=True, timeout=0.3)
    assert [event.type async for event in stream] == ["one", "two"]
    own.close() if isinstance(own, httpx.Client) else await own.aclose()


async def test_each_piece_has_the_whole_of_the_account_s_timeout(mode: Mode, server: Server) -> None:
    server.on("/responses", answers.sse_answer(*[events(("e", n)) for n in range(4)], pause=0.2))
    client = mode.client(server, settings={"timeout": 0.45})
    stream = await client.responses(input="hi", stream=True)
    assert len([event async for event in stream]) == 4


async def test_a_piece_that_does_not_come(mode: Mode, server: Server) -> None:
    server.on("/responses", pausing)
    client = mode.client(server, settings={"timeout": 0.2})
    stream = await client.responses(input="hi", stream=True, timeout=5)
    assert (await anext(stream)).type == "one"
    with in_time(0.2):
        await anext(stream)
