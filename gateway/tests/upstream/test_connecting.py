"""Connections that do not come about, and to whom they are made: names, TLS, proxies."""

from __future__ import annotations

import asyncio
import socket
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core.tests.server import Server, bytes_answer
from gateway.tests.upstream.asking import ask, outgoing, upstream
from tests.faults.certificates import Authority

from callsheet import APIConnectionError, APITimeoutError, ConfigurationError
from callsheet_gateway.upstream import connect

OK = bytes_answer(b"ok")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    monkeypatch.setattr("callsheet.transport.certificates", lambda: context)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def refused(url: str, kind: type[Exception] = APIConnectionError, timeout: float = 5) -> str:
    """The words of the error; nothing was sent."""
    async with upstream() as transport:
        with pytest.raises(kind) as caught:
            await ask(transport, outgoing(f"{url}?key=canary", timeout=timeout, headers={"x": "canary"}))
        assert not transport._pool._open
    assert caught.value.sent is False  # type: ignore[attr-defined]  # both kinds have it
    assert "canary" not in str(caught.value)
    return str(caught.value)


async def test_nobody_listens(mode: Any, direct: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    words = await refused(f"http://127.0.0.1:{port}/x")
    assert words.startswith(f"GET http://127.0.0.1:{port}/x: ")
    assert words.endswith("; is the server running, and is the base URL right?")
    await refused(f"http://localhost:{port}/x")


@pytest.mark.parametrize("odd", ["", "a\nb"])
async def test_no_frame_of_a_failure_shows_a_header(mode: Any, direct: None, odd: str) -> None:
    """As programs log them that report their errors somewhere, with the frames' variables."""
    key = "sk-canary-51c0ffee"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url, headers = f"http://127.0.0.1:{deaf.getsockname()[1]}", {"authorization": f"Bearer {key}", "x-odd": odd}
        async with upstream() as transport:
            with pytest.raises((APITimeoutError, ConfigurationError)) as caught:
                await transport.open(outgoing(url, headers={**headers, "x-long": "x" * 16_000_000}, timeout=0.2))
    told: traceback.TracebackException | None
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    while told is not None:
        shown = {
            f"{frame.filename}:{frame.lineno}": frame.locals
            for frame in told.stack
            if frame.name != "test_no_frame_of_a_failure_shows_a_header"
        }
        assert key not in str(shown)
        told = told.__cause__ or told.__context__


async def test_names_that_lead_nowhere(mode: Any, direct: None) -> None:
    await refused(f"http://{'a' * 70}.invalid/x")  # longer than a label may be: no resolver is asked
    await refused("ftp://127.0.0.1/x")


@pytest.mark.parametrize(
    ("server_is", "words"),
    [({"host": "elsewhere.example"}, "mismatch"), ({"expired": True}, "expired"), ({}, "unable to get|self.signed")],
)
async def test_certificates_that_are_not_right(
    mode: Any, authority: Authority, server_is: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(cafile=str(authority.file) if server_is else None)
    monkeypatch.setattr("callsheet.transport.certificates", lambda: context)
    with Server(tls=authority.server(**server_is)) as server:
        said = await refused(f"{server.url}/x")
        assert "CERTIFICATE_VERIFY_FAILED" in said
        assert any(word in said for word in words.split("|"))
        assert server.settled(0)
        assert not server.seen


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_no_tls_where_it_is_wanted(mode: Any, trust: None, words: bytes) -> None:
    """Plain HTTP, or nothing at all before the end."""

    async def answer(_reader: Any, writer: Any) -> None:
        writer.write(words)
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    await refused(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x")
    listening.close()
    await listening.wait_closed()


async def test_a_handshake_that_stalls(mode: Any, trust: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await refused(f"https://127.0.0.1:{listening.getsockname()[1]}/x", APITimeoutError, timeout=0.2)


async def test_tls(mode: Any, authority: Authority, trust: None) -> None:
    """Kept alive, too; and the name is checked and asked for (SNI)."""
    names: list[str | None] = []
    context = authority.server(host="localhost")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Server(tls=context) as server:
        server.on("/x", bytes_answer(b"x" * 1_000_000))
        async with upstream() as transport:
            for _ in range(3):
                url = server.url.replace("127.0.0.1", "localhost")
                assert len((await ask(transport, outgoing(f"{url}/x"))).content) == 1_000_000
        assert (server.opened, names) == (1, ["localhost"])
        assert server.settled(0)


async def test_ipv6(mode: Any) -> None:
    async def answer(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(head), head))
        writer.close()

    listening = await asyncio.start_server(answer, "::1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with upstream() as transport:
        got = await ask(transport, outgoing(f"http://[::1]:{port}/x"))
    assert got.content.startswith(f"GET /x HTTP/1.1\r\nhost: [::1]:{port}\r\n".encode())
    listening.close()
    await listening.wait_closed()


async def test_the_next_address_when_one_is_silent(mode: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full drops what comes."""
    server.on("/x", OK)
    monkeypatch.setattr(connect, "NEXT", 0.1)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.2", server.port), backlog=0) as silent:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(silent.getsockname())

        async def both(_origin: Any) -> list[str]:
            return ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

        monkeypatch.setattr(connect, "_addresses", both)
        try:
            async with upstream() as transport:
                assert (await ask(transport, outgoing(f"{server.url}/x"))).content == b"ok"
        finally:
            for one in waiting:
                one.close()
    assert loop.is_running()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, direct: None) -> Iterator[Server]:
    with Server() as running:
        running.on("http://far.invalid/x", bytes_answer(b"by proxy"))
        monkeypatch.setenv("HTTP_PROXY", running.url)
        yield running


async def test_a_proxy_is_left_to_cores_transport(mode: Any, proxy: Server, server: Server) -> None:
    server.on("/x", OK)
    async with upstream() as transport:
        assert (await ask(transport, outgoing("http://far.invalid/x"))).content == b"by proxy"
        assert (await ask(transport, outgoing(f"{server.url}/x"))).content == b"ok"
    assert (proxy.opened, server.opened) == (1, 1)
    assert proxy.settled(0)


async def test_what_no_proxy_names_goes_straight(mode: Any, proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "other.example,.invalid")

    async def nowhere(_origin: Any) -> list[str]:
        raise OSError("no such name")

    monkeypatch.setattr(connect, "_addresses", nowhere)
    assert "no such name" in await refused("http://far.invalid/x")
    assert proxy.opened == 0


def test_whom_it_trusts_is_read_when_it_is_needed(tmp_path: Path) -> None:
    async def start() -> None:
        async with upstream() as transport:
            assert transport._core._client is None

    asyncio.run(start())
