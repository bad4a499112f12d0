"""Connections that are used again, and those that must not be."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from core.tests.server import Exchange, Server, bytes_answer, json_answer
from gateway.tests.upstream.asking import ask, outgoing, upstream

from callsheet import APIConnectionError
from callsheet_gateway.upstream import pool

OK = bytes_answer(b"ok")


async def until(condition: Any) -> None:
    """Let the loop run until something holds."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.002)


async def test_one_connection_for_one_call_after_the_other(mode: Any, server: Server) -> None:
    server.on("/a", OK)
    server.on("/b", json_answer({}), bytes_answer(b"", 204))
    async with upstream() as transport:
        for path in ("/a", "/b", "/b", "/a"):
            await ask(transport, outgoing(f"{server.url}{path}?q=1"))
    assert server.opened == 1
    assert {seen.connection for seen in server.seen} == {1}
    assert server.settled(0)


async def test_the_one_that_was_used_last_is_used_next(mode: Any, server: Server) -> None:
    server.on("/a", OK)
    async with upstream() as transport:
        both = [await transport.open(outgoing(f"{server.url}/a")) for _ in range(2)]
        for incoming in both:
            assert await incoming.read(both[0]._request.deadline) == b"ok"  # type: ignore[attr-defined]  # ours has it
        await ask(transport, outgoing(f"{server.url}/a"))
    assert [seen.connection for seen in server.seen] == [1, 2, 2]


async def test_an_answer_that_was_read_is_given_back_without_being_closed(mode: Any, server: Server) -> None:
    server.on("/a", OK)
    async with upstream() as transport:
        for _ in range(2):
            request = outgoing(f"{server.url}/a")
            incoming = await transport.open(request)
            assert await incoming.read(request.deadline) == b"ok"
        assert server.opened == 1


async def test_a_connection_that_the_server_closed_meanwhile(mode: Any, server: Server) -> None:
    """It is seen at once, even when the loop has not run since: the socket itself is asked."""

    async def once(exchange: Exchange) -> None:
        await OK(exchange)
        exchange.keep = False

    server.on("/a", once)
    async with upstream() as transport:
        for _ in range(5):
            assert (await ask(transport, outgoing(f"{server.url}/a"))).content == b"ok"
            assert server.settled(0)  # blocks this loop
    assert server.opened == 5


@pytest.mark.parametrize("words", [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"\r\n", b"x"])
async def test_stray_bytes_after_an_answer(mode: Any, server: Server, words: bytes) -> None:
    """What comes unasked is nobody's answer."""
    come = asyncio.Event()

    async def chatty(exchange: Exchange) -> None:
        await OK(exchange)
        await come.wait()
        await exchange.write(words)
        await exchange.gone()

    server.on("/a", chatty)
    async with upstream() as transport:
        assert (await ask(transport, outgoing(f"{server.url}/a"))).content == b"ok"
        server._loop.call_soon_threadsafe(come.set)
        await until(lambda: server.open == 0)
        server.on("/a", OK)
        assert (await ask(transport, outgoing(f"{server.url}/a"))).content == b"ok"
    assert server.opened == 2


async def test_a_second_answer_in_the_same_bytes(mode: Any, server: Server) -> None:
    async def two(exchange: Exchange) -> None:
        await exchange.body()
        one = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n%b"
        await exchange.write(one % b"ok" + one % b"no")
        await exchange.gone()

    server.on("/a", two, OK)
    async with upstream() as transport:
        for _ in range(2):
            assert (await ask(transport, outgoing(f"{server.url}/a"))).content == b"ok"
    assert server.opened == 2


@pytest.mark.parametrize("header", [{"connection": "close"}, {"connection": "Close, x"}])
async def test_a_server_that_says_that_it_closes(mode: Any, server: Server, header: dict[str, str]) -> None:
    async def closing(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.answer(200, b"ok", header)
        await exchange.gone()

    server.on("/a", closing)
    async with upstream() as transport:
        await ask(transport, outgoing(f"{server.url}/a"))
        assert server.settled(0)


async def test_http_1_0_is_not_kept(mode: Any, server: Server) -> None:
    async def old(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.write(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await exchange.gone()

    server.on("/a", old)
    async with upstream() as transport:
        await ask(transport, outgoing(f"{server.url}/a"))
        assert server.settled(0)


async def test_idle_connections_are_closed_in_time(mode: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.1)
    server.on("/a", OK)
    async with upstream() as transport:
        for _ in range(2):
            await ask(transport, outgoing(f"{server.url}/a"))
            assert server.open == 1
            await until(lambda: server.open == 0)
        assert not transport._pool._open
        assert not transport._pool._idle


async def test_no_more_than_so_many_are_idle(mode: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_MOST", 3)
    server.on("/a", OK)
    async with upstream() as transport:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask, transport, outgoing(f"{server.url}/a"))
        await until(lambda: server.open <= 3)


async def test_a_used_connection_that_breaks_may_have_carried_the_request(mode: Any, server: Server) -> None:
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    server.on("/a", OK, reset)
    async with upstream() as transport:
        await ask(transport, outgoing(f"{server.url}/a"))
        with pytest.raises(APIConnectionError) as caught:
            await ask(transport, outgoing(f"{server.url}/a?key=canary-query"))
        assert caught.value.sent is True
        assert "canary" not in str(caught.value)
    assert server.opened == 1


async def test_origins_do_not_share(mode: Any, server: Server) -> None:
    server.on("/a", OK)
    with Server() as other:
        other.on("/a", OK)
        async with upstream() as transport:
            for each in (server, other, server, other):
                await ask(transport, outgoing(f"{each.url}/a"))
        assert (server.opened, other.opened) == (1, 1)


async def test_after_the_end(mode: Any, server: Server) -> None:
    server.on("/a", OK)
    async with upstream() as transport:
        incoming = await transport.open(outgoing(f"{server.url}/a"))
    await transport.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await transport.open(outgoing(f"{server.url}/a"))
    await incoming.aclose()
    assert server.settled(0)
