"""Calls and their answers over a real connection, in all three modes."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import httpx2
import pytest
import trio
from core.tests.conftest import Mode
from core.tests.server import Exchange, Server, events, json_answer, sse_answer
from core.tests.wire import KEY, registry

from callsheet import AsyncTransport, BlockingTransport, Client

VIDEO = {"id": "v1", "status": "queued", "progress": 0, "seconds": "8"}


async def test_json_there_and_back(client: Any, server: Server) -> None:
    server.on("/videos", json_answer(VIDEO, x_request_id="req_7", openai_poll_after_ms="1500"))
    video = await client.generate_video(prompt="A fox — 狐", seconds=8)
    assert (video.status, video.seconds) == ("queued", "8")
    assert (video.meta.request_id, video.meta.poll_after, video.meta.attempts) == ("req_7", 1.5, 1)
    [seen] = server.seen
    assert seen.json() == {"prompt": "A fox — 狐", "seconds": "8"}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept-encoding"] == "identity"


def test_the_same_bytes_in_all_modes(server: Server) -> None:
    server.on("/videos", json_answer(VIDEO))
    results = []

    for name in ("blocking", "asyncio", "trio"):
        mode = Mode(name)

        async def body(mode: Mode = mode) -> None:
            client = mode.client(server)
            results.append(await client.generate_video(prompt="A fox", seconds=8, extra_body={"n": [1, None]}))

        mode.run(body)
    first, *others = server.seen
    assert all((other.raw_head, other.body) == (first.raw_head, first.body) for other in others)
    assert len(others) == 2
    assert results[0] == results[1] == results[2]


async def test_connections_are_used_again(client: Any, server: Server) -> None:
    server.on("/videos/v1", json_answer(VIDEO))
    for _ in range(5):
        await client.get_video(video_id="v1", provider="wire")
    assert server.opened == 1
    assert server.open == 1


async def test_what_a_server_sets_does_not_travel_on(client: Any, server: Server) -> None:
    server.on("/videos/v1", json_answer(VIDEO, set_cookie="session=1; Path=/"))
    for _ in range(2):
        await client.get_video(video_id="v1", provider="wire")
    assert "cookie" not in server.seen[1].headers


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_object_of_the_callers(mode: Mode, server: Server, library: Any) -> None:
    """It is used, and it is left open."""
    server.on("/videos", json_answer(VIDEO))
    server.on("/responses", sse_answer(events(("response.created", {})), events(("response.completed", {}))))
    own = library.Client() if mode.blocking else library.AsyncClient()
    transport = BlockingTransport(client=own) if mode.blocking else AsyncTransport(client=own)
    client = mode.client(server, transport=transport)
    assert (await client.generate_video(prompt="A fox")).status == "queued"
    assert [event.type async for event in await client.responses(input="hi", stream=True)] == [
        "response.created",
        "response.completed",
    ]
    await client.close()
    assert not own.is_closed
    own.close() if mode.blocking else await own.aclose()


def test_sync_calls_inside_a_running_loop(server: Server) -> None:
    server.on("/videos", json_answer(VIDEO))
    server.on("/videos/characters", json_answer({"id": "c1"}))
    server.on("/responses", sse_answer(*[events(("e", {"n": n})) for n in range(5)]))

    def use() -> None:
        with Client(provider="wire", api_key=KEY, base_url=server.url, registry=registry()) as client:
            assert client.generate_video(prompt="A fox").status == "queued"
            assert client.create_character(name="Luna", video=[b"a", b"b"]).name is None
            stream: Any = client.responses(input="hi", stream=True)
            assert len(list(stream)) == 5
            left_early: Any = client.responses(input="hi", stream=True)
            with left_early:
                next(left_early)

    async def inside() -> None:
        use()

    asyncio.run(inside())
    trio.run(inside)


def test_fifty_threads_on_one_client(server: Server) -> None:
    async def its_own(exchange: Exchange) -> None:
        await exchange.body()
        prompt = exchange.seen.json()["prompt"]
        await json_answer({"id": prompt, "status": "queued", "prompt": prompt})(exchange)

    server.on("/videos", its_own)
    together = threading.Barrier(50)

    with Client(provider="wire", api_key=KEY, base_url=server.url, registry=registry(), timeout=20) as client:

        def call(n: int) -> list[str | None]:
            together.wait()
            return [client.generate_video(prompt=f"{n}-{turn}").prompt for turn in range(4)]

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(call, range(50)))
    assert answers == [[f"{n}-{turn}" for turn in range(4)] for n in range(50)]
    assert server.opened <= 50


def test_many_threads_start_one_http_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first calls race for the making of the HTTP client: one is made, so that closing closes everything."""
    server.on("/videos/v1", json_answer(VIDEO))
    made = []

    class Slow(httpx.Client):
        def __init__(self, **options: Any) -> None:
            made.append(self)
            time.sleep(0.02)  # time for the other threads to come in between
            super().__init__(**options)

    monkeypatch.setattr(httpx, "Client", Slow)
    together = threading.Barrier(16)
    with Client(
        provider="wire", api_key=KEY, base_url=server.url, registry=registry(), transport=BlockingTransport()
    ) as client:

        def call(_: int) -> None:
            together.wait()
            client.get_video(video_id="v1", provider="wire")

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(call, range(16)))
    assert len(made) == 1
