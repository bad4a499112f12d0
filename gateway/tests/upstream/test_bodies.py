"""Answers in all their forms, whole and broken; requests that are answered before they end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from core.tests.server import Exchange, Server, bytes_answer
from gateway.tests.upstream.asking import Answered, ask, outgoing, upstream

from callsheet import APIConnectionError, Upload
from callsheet.io import Body


def raw(*pieces: bytes, close: bool = False) -> Any:
    """An answer of just these bytes."""

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        for piece in pieces:
            await exchange.write(piece)
            await asyncio.sleep(0.005)  # so that they come one by one; nothing depends on it
        if close:
            exchange.keep = False

    return answer


async def answered(server: Server, *pieces: bytes, method: str = "GET", close: bool = False) -> Answered:
    server.on("/a", raw(*pieces, close=close))
    async with upstream() as transport:
        return await ask(transport, outgoing(f"{server.url}/a", method))


HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "length": [HEAD + b"content-length: 5\r\n\r\nhe", b"llo"],
    "chunks": [HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r", b"\n3;x=y\r\nllo\r\n0\r\n\r\n"],
    "trailers": [HEAD + b"transfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nx-late: 1\r\n\r\n"],
    "after 100": [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"content-length: 5\r\n\r\nhello"],
    "after 103": [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + HEAD + b"content-length: 5\r\n\r\nhello"],
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_whole_answers(mode: Any, server: Server, kind: str) -> None:
    got = await answered(server, *WHOLE[kind])
    assert (got.status, got.content) == (200, b"hello")
    assert not {"x-late", "link"} & set(got.headers)


async def test_until_the_connection_ends(mode: Any, server: Server) -> None:
    assert (await answered(server, HEAD + b"x: y\r\n\r\nhe", b"llo", close=True)).content == b"hello"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", HEAD + b"content-length: 5\r\n\r\n"),
        ("HEAD", HEAD + b"transfer-encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        ("POST", HEAD + b"content-length: 0\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(mode: Any, server: Server, method: str, head: bytes) -> None:
    """The next one on the same connection is read right."""
    server.on("/a", raw(head), bytes_answer(b"next"))
    async with upstream() as transport:
        assert (await ask(transport, outgoing(f"{server.url}/a", method))).content == b""
        assert (await ask(transport, outgoing(f"{server.url}/a"))).content == b"next"
    assert server.opened == 1


BROKEN = {
    "short": (HEAD + b"content-length: 9\r\n\r\nhello", "before the end"),
    "no last chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "before the end"),
    "in a chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\n9\r\nhello", "before the end"),
    "no chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\nhello", "no valid HTTP"),
    "in the head": (HEAD + b"content-le", "without an answer"),
    "nothing": (b"", "without an answer"),
    "only 100": (b"HTTP/1.1 100 Continue\r\n\r\n", "without an answer"),
    "both lengths": (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "no valid HTTP"),
    "two lengths": (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", "no valid HTTP"),
    "other coding": (HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer encoding"),
    "other protocol": (b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "protocol"),
    "HTTP/2": (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "no valid HTTP"),
    "HTTP/9": (b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n", "no valid HTTP"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_broken_answers(mode: Any, server: Server, kind: str) -> None:
    sent, words = BROKEN[kind]
    with pytest.raises(APIConnectionError, match=words) as caught:
        await answered(server, sent, close=True)
    assert caught.value.sent is True
    assert server.settled(0)


@pytest.mark.parametrize("head", [b"x-big: " + b"x" * 70_000, b"\r\n".join([b"x: y"] * 12_000), b"x" * 70_000 + b": y"])
async def test_heads_that_are_too_big(mode: Any, server: Server, head: bytes) -> None:
    with pytest.raises(APIConnectionError, match="more than 65,536 bytes"):
        await answered(server, HEAD + head + b"\r\n\r\n")
    assert server.settled(0)


async def test_a_large_head_that_is_still_one(mode: Any, server: Server) -> None:
    got = await answered(server, HEAD + b"x-big: " + b"x" * 60_000 + b"\r\ncontent-length: 0\r\n\r\n")
    assert len(got.headers["x-big"]) == 60_000


async def test_headers_as_they_are_read(mode: Any, server: Server) -> None:
    lines = [b"X-A: 1", b"x-a:\t2 ", "x-u: \u72d0".encode(), b"x-l: \xe9", b"X-Empty:", b"content-length: 0"]
    got = await answered(server, HEAD + b"\r\n".join(lines) + b"\r\n\r\n")
    assert got.headers == {"x-a": "1, 2", "x-u": "狐", "x-l": "é", "x-empty": "", "content-length": "0"}


@pytest.mark.parametrize("sized", [True, False])
async def test_an_answer_before_the_request_is_whole(mode: Any, server: Server, sized: bool) -> None:
    """It is heard, and nothing more is sent; the connection is not used for anything else."""

    async def refusing(exchange: Exchange) -> None:
        await exchange.reader.readexactly(100_000)
        await exchange.answer(413, b"too big")
        await exchange.gone()

    server.on("/a", refusing)
    content = bytes(200_000_000) if sized else [bytes(1_000_000)] * 200
    body = Body.form([("video", Upload.of(content))])
    async with upstream() as transport:
        got = await ask(transport, outgoing(f"{server.url}/a", "POST", body))
        assert (got.status, got.content) == (413, b"too big")
        assert server.settled(0)


async def test_an_answer_while_the_next_piece_is_waited_for(mode: Any, server: Server) -> None:
    """The source of the body would never have another piece."""
    ended = []

    async def endless() -> Any:
        try:
            yield b"x" * 1000
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def refusing(exchange: Exchange) -> None:
        await exchange.reader.readexactly(1000)
        await exchange.answer(401, b"no")
        await exchange.gone()

    server.on("/a", refusing)
    async with upstream() as transport:
        begun = time.monotonic()
        got = await ask(transport, outgoing(f"{server.url}/a", "POST", Body.form([("v", Upload.of(endless()))])))
        assert (got.status, got.content, ended) == (401, b"no", [True])
        assert time.monotonic() - begun < 4


async def test_a_good_answer_before_the_request_is_whole(mode: Any, server: Server) -> None:
    """It may depend on the rest: all is sent."""

    async def eager(exchange: Exchange) -> None:
        await exchange.head(200, {"content-length": "2"})
        await exchange.body()
        await exchange.write(b"ok")

    server.on("/a", eager)
    async with upstream() as transport:
        body = Body.form([("video", Upload.of([bytes(300_000)] * 10))])
        got = await ask(transport, outgoing(f"{server.url}/a", "POST", body))
        assert (got.status, got.content) == (200, b"ok")
        assert server.seen[0].whole
        assert server.open == 1


async def test_a_reader_that_is_slow_makes_the_server_wait(mode: Any, server: Server) -> None:
    size, sent = 60_000_000, 0

    async def large(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.body()
        await exchange.head(200, {"content-length": str(size)})
        while sent < size:
            await exchange.write(bytes(1_000_000))
            sent += 1_000_000

    server.on("/a", large)
    async with upstream() as transport:
        request = outgoing(f"{server.url}/a", timeout=20)
        incoming = await transport.open(request)
        before, held = 0, -1
        while sent != held:  # until the server gets nothing more out
            held = sent
            await asyncio.sleep(0.1)
        before = psutil.Process().memory_info().rss
        assert sent < 30_000_000
        assert incoming._connection.answer.buffered < 1_000_000  # type: ignore[attr-defined]  # ours has it
        got = 0
        while piece := await incoming.read(request.deadline):
            got += len(piece)
        assert got == size
        assert psutil.Process().memory_info().rss - before < 30_000_000
        await incoming.aclose()
        assert server.open == 1
