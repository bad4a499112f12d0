"""Clients that do not take their answers, or slowly, or leave in the middle: what becomes of the upstream, and what it costs."""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest
from gateway.tests.odd import Odd, over
from gateway.tests.serving import Gateway, serving

from callsheet import Event, Response, Stream
from callsheet_gateway.protocol import Protocol

MANY = 20
MB = 1_000_000
CHUNK = json.dumps({"model": "gpt-x", "choices": [{"index": 0, "delta": {"content": "x" * 400}}]})
VIDEO = json.dumps({"id": "video_1", "object": "video", "model": "sora-x", "status": "completed", "created_at": 1})
CHAT = b'{"model": "odd/m", "messages": [], "stream": true}'
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n"


class Endless(socketserver.StreamRequestHandler):
    """A provider that sends without end, as fast as it is let."""

    begun = 0
    closed: list[float] = []

    def handle(self) -> None:
        path, length = self.rfile.readline().split()[1], 0
        while (line := self.rfile.readline().lower()) != b"\r\n":
            length = int(line[15:]) if line.startswith(b"content-length:") else length
        self.rfile.read(length)
        if path.endswith(b"/content"):
            self.flood("video/mp4", bytes(65536))
        elif path.endswith(b"/completions"):
            self.flood("text/event-stream", f"data: {CHUNK}\n\n".encode() * 100)
        else:
            length_and_end = f"content-length: {len(VIDEO)}\r\nconnection: close\r\n"
            self.wfile.write((HEAD % ("application/json", length_and_end) + VIDEO).encode())

    def flood(self, kind: str, piece: bytes) -> None:
        Endless.begun += 1
        with suppress(OSError):
            self.wfile.write((HEAD % (kind, "")).encode())
            while True:
                self.wfile.write(piece)
        Endless.closed.append(time.monotonic())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`callsheet serve`, on the loop that it takes by itself."""
    folder = tmp_path_factory.mktemp("slow")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as upstream:
        upstream.daemon_threads = True
        threading.Thread(target=upstream.serve_forever).start()
        entry = {"model": "openai/m", "api_key": "k", "api_base": f"http://127.0.0.1:{upstream.server_address[1]}/v1"}
        config = folder / "config.yaml"
        config.write_text(json.dumps({"model_list": [{"model_name": "odd/m", "litellm_params": entry}]}))
        try:
            with serving(folder / "data", "--config", str(config)) as running:
                yield running
        finally:
            upstream.shutdown()


def connected(http: httpx.URL, asked: bytes) -> socket.socket:
    """A client with little room, as one that is far away has."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", http.port or 0))
    connection.sendall(asked)
    return connection


def post(path: str, body: bytes, *headers: str) -> bytes:
    head = [f"POST /v1{path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def asked_of(gateway: Gateway, kind: str) -> bytes:
    if kind == "stream":
        return post("/chat/completions", CHAT)
    with gateway.http() as http:
        id = http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}).json()["id"]
    return f"GET /v1/videos/{id}/content HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def read_slowly(clients: list[socket.socket], seconds: float) -> None:
    """All of them, 1 KB a second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for client in clients:
            assert client.recv(256)
        time.sleep(0.25)


def soon(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, true
        time.sleep(0.01)


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("kind", ["stream", "video"])
def test_slow_readers_that_leave(gateway: Gateway, kind: str, way: str) -> None:
    """A fast upstream gave its task no chance to hear of it: it went on for nobody, at full speed."""
    asked = asked_of(gateway, kind)
    Endless.begun, before = 0, gateway.resident()
    Endless.closed.clear()
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(httpx.URL(gateway.base_url), asked)) for _ in range(MANY)]
        soon(lambda: Endless.begun == MANY)
        read_slowly(clients, 1.5)
        held = gateway.resident() - before
        assert not Endless.closed
        if way == "reset":
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = time.monotonic()
    soon(lambda: len(Endless.closed) == MANY)
    assert max(Endless.closed) - left < 0.5
    assert held < 3 * MB * MANY


class Forever:
    """Events without end, as fast as they are asked for."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    async def __anext__(self) -> Event:
        return Event("message", CHUNK)

    async def aclose(self) -> None:
        self.closed.set()


def test_who_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Forever()
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    with over(Odd, unread_seconds=0.4) as http, connected(http.base_url, post("/chat/completions", CHAT)):
        began = time.monotonic()
        assert source.closed.wait(5)
        assert 0.3 < time.monotonic() - began < 3


def test_who_takes_little_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it takes the system minutes to ask for more: it holds megabytes for a client."""
    source = Forever()
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    with (
        over(Odd, unread_seconds=0.4) as http,
        connected(http.base_url, post("/chat/completions", CHAT)) as client,
    ):
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert client.recv(2048)
            time.sleep(0.02)
        assert not source.closed.is_set()
        assert source.closed.wait(5)  # it has stopped


@pytest.mark.parametrize("header", [(), ("Connection: close",)])
@pytest.mark.parametrize("more", [20 * MB, 30_000])
def test_the_rest_of_an_answer_that_nobody_takes(
    monkeypatch: pytest.MonkeyPatch, more: int, header: tuple[str, ...]
) -> None:
    """The request is done. The connection is let go all the same, also where so little is left that sending goes on."""
    lost = threading.Event()
    real = Protocol.connection_lost

    def telling(self: Protocol, exc: Exception | None) -> None:
        real(self, exc)
        lost.set()

    class Little(Protocol):
        """What the system holds is little, too."""

        def connection_made(self, transport: Any) -> None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            super().connection_made(transport)

    monkeypatch.setattr(Protocol, "connection_lost", telling)
    monkeypatch.setattr(
        Protocol, "of", lambda settings: type("P", (Little,), {"unread_seconds": settings.unread_seconds})
    )
    monkeypatch.setitem(Odd.does, "responses", lambda _: Response({"id": "r", "output": ["x" * more]}))
    body = b'{"model": "odd/m", "input": "x"}'
    with over(Odd, unread_seconds=0.4) as http, connected(http.base_url, post("/responses", body, *header)) as client:
        assert lost.wait(10)
        got = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(65536):
                got += len(piece)
        assert got < more
