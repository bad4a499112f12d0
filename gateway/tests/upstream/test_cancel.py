"""Cancelled wherever it waits, a call leaves no connection, no task and no file behind; many calls at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest
from core.tests.conftest import Held, Mode
from core.tests.server import Exchange, Server, events, sse_answer
from core.tests.test_transport_cancel import (  # noqa: F401  certificate and secured are fixtures
    cancelled,
    certificate,
    download,
    generate,
    secured,
    stream,
    upload,
)
from core.tests.wire import KEY, registry
from gateway.tests.upstream.asking import ask, outgoing, upstream

from callsheet import AsyncClient
from callsheet_gateway.upstream import UpstreamTransport


@pytest.mark.parametrize(("work", "fewest"), [(generate, 2), (upload, 4), (stream, 3), (download, 5)])
@pytest.mark.parametrize("how", ["scope", "task"])
async def test_at_every_await(
    mode: Mode,
    secured: Any,  # noqa: F811  the fixture
    work: Any,
    fewest: int,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, trust = secured
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 600_000)
    monkeypatch.setattr("callsheet.transport.certificates", lambda: trust)

    async def once(at: int) -> int:
        """Returns how often the work waited; a cancelled one never gets further than to where it was cancelled."""
        transport = UpstreamTransport()
        options: Any = {
            "provider": "wire",
            "api_key": KEY,
            "base_url": server.url,
            "registry": registry(),
            "timeout": 5,
        }
        async with AsyncClient(transport=transport, **options) as client:
            waits = await cancelled(work(client, clip), how, at)
            idle = sum(len(each) for each in transport._pool._idle.values())
            assert len(transport._pool._open) == idle  # what is open is whole, and waits for the next call
            again = await client.responses(input="hi", stream=True, timeout=2)
            assert len([event async for event in again]) == 3
            return waits

    await once(10_000)  # warm: what is made once is made now
    held = Held()
    places = 0
    while await once(places) > places:
        places += 1
    assert places >= fewest
    assert server.settled(0)
    # anyio keeps its worker threads. One that was left in the middle of a read is not there for the next one: so there are two.
    assert held.more(threads=1) == ""
    await anyio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_two_hundred_at_once(mode: Mode, server: Server) -> None:
    """Each gets its own answer; afterwards the connections that are left serve the next two hundred."""

    async def echo(exchange: Exchange) -> None:
        await exchange.body()
        await asyncio.sleep(0.01)
        await exchange.answer(200, exchange.seen.target.encode() * 100)

    server.on("/e", echo)
    wrong = []

    async def one(transport: UpstreamTransport, number: int) -> None:
        got = await ask(transport, outgoing(f"{server.url}/e?{number}", timeout=20))
        if got.content != f"/e?{number}".encode() * 100:
            wrong.append(number)

    async with upstream() as transport:
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for number in range(200):
                    group.start_soon(one, transport, number)
        assert wrong == []
        assert server.opened <= 200
        assert len(transport._pool._open) == server.open
    assert server.settled(0)


async def test_many_that_are_left_in_the_middle(mode: Mode, server: Server) -> None:
    server.on("/s", sse_answer(*[events(("e", n)) for n in range(50)], pause=0.01))
    async with upstream() as transport:

        async def leaves() -> None:
            request = outgoing(f"{server.url}/s")
            incoming = await transport.open(request)
            await incoming.read(request.deadline)
            await incoming.aclose()
            await incoming.aclose()  # twice is harmless

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(leaves)
        assert server.settled(0)
        assert not transport._pool._open
