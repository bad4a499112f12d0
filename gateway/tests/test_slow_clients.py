"""Clients that send what nobody wants, or take their time: how much of it is read, and when they are cut off."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from gateway.tests.odd import Items, Odd, over
from pydantic import SecretStr

from callsheet import Event, Stream
from callsheet_gateway import bodies
from callsheet_gateway.protocol import Protocol

MASTER = "sk-master-of-the-tests-0123456789"
KEYS: Any = {"master_key": SecretStr(MASTER)}
MANY = 300 * 1024 * 1024


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what the server has read from its sockets."""
    sizes: list[int] = []
    real = Protocol.data_received

    def counting(self: Protocol, data: bytes) -> None:
        sizes.append(len(data))
        real(self, data)

    monkeypatch.setattr(Protocol, "data_received", counting)
    return sizes


def connected(http: httpx.Client) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=20)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    return made


def head(path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"POST /v1{path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    return answer


@pytest.mark.parametrize("path", ["/videos", "/videos/characters", "/responses", "/realtime/calls", "/keys"])
@pytest.mark.parametrize(
    "length", [f"Content-Length: {MANY}", f"Content-Length: {MANY:030}", "Transfer-Encoding: chunked"]
)
def test_with_a_wrong_key_the_body_is_not_read(read: list[int], path: str, length: str) -> None:
    with over(Odd, **KEYS) as http, connected(http) as connection:
        connection.sendall(head(path, "Authorization: Bearer wrong", "Content-Type: application/json", length))
        sent, piece = 0, b"10000\r\n" + b"a" * 65536 + b"\r\n"
        try:
            while sent < MANY:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass  # it has been closed
        assert sent < MANY
        answer = answer_of(connection)
    assert not answer or answer.startswith(b"HTTP/1.1 401 ")
    # What comes with the head in one piece can't be told apart from it, and the loop reads 256 KiB at most at a time.
    assert sum(read[1:]) <= 64 * 1024, read


def test_the_refusal_is_told_to_who_waits_for_it() -> None:
    with over(Odd, **KEYS) as http, connected(http) as connection:
        connection.sendall(head("/videos", "Authorization: Bearer wrong", f"Content-Length: {MANY}"))
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer
    assert b"invalid_api_key" in answer


def test_what_is_too_big_is_not_read_to_its_end(read: list[int]) -> None:
    with over(Odd, max_json=1000) as http, connected(http) as connection:
        connection.sendall(head("/responses", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        connection.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sum(read) < 4096


def test_a_connection_is_kept_where_the_body_was_read() -> None:
    with over(Odd, **KEYS) as http:
        answer = http.post("/keys", json={}, headers={"authorization": f"Bearer {MASTER}"})
        assert (answer.status_code, answer.headers.get("connection")) == (400, None)
        assert http.get("/models").headers.get("connection") is None  # it has no body


def test_a_body_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE", 0.3)
    with over(Odd) as http, connected(http) as connection:
        began = time.monotonic()
        connection.sendall(head("/responses", "Content-Type: application/json", "Content-Length: 100000"))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        with ThreadPoolExecutor(1) as pool:
            pool.submit(drip)
            answer = answer_of(connection)
            stop.set()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_began_fast_may_not_stand_still(monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:
    """What came before is no credit: 16 KiB a second would let 4 MB stand still for minutes."""
    monkeypatch.setattr(bodies, "GRACE", 0.4)
    with over(Odd) as http, connected(http) as connection:
        connection.sendall(head("/responses", "Content-Type: application/json", "Content-Length: 8000000"))
        connection.sendall(b" " * 4_000_000)
        began = time.monotonic()
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - began < 5:
            try:
                if drips:
                    connection.sendall(b" ")
                answer = connection.recv(65536)
            except TimeoutError:
                pass
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer


def test_a_body_that_comes_steadily_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE", 0.4)
    with over(Odd) as http, connected(http) as connection:
        connection.sendall(head("/responses", "Content-Type: application/json", "Content-Length: 80000"))
        for _ in range(10):
            time.sleep(0.15)
            connection.sendall(b"x" * 8000)
        assert b"invalid_json" in connection.recv(65536)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(Protocol, "head_seconds", 2.0)
    with over(Odd) as http:
        yield http


def test_a_thousand_slow_heads_are_cut_while_others_go_on(hasty: httpx.Client) -> None:
    began = time.monotonic()
    slow = [connected(hasty) for _ in range(1000)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(b"" if number % 2 else b"GET /v1/models HTTP/1.1\r\nHost: 127")
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: hasty.get("/models").status_code, range(100)))
        assert answers == [200] * 100
        for connection in slow:
            connection.settimeout(max(0.1, began + 10 - time.monotonic()))
            assert answer_of(connection) == b""
    finally:
        for connection in slow:
            connection.close()
    assert time.monotonic() - began < 10


def test_a_head_without_an_end(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"a" * 80_000)
        answer = answer_of(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_slow_answer_is_no_slow_head(hasty: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the next request's head has begun meanwhile."""

    def late(_request: object) -> object:
        time.sleep(2.6)  # it blocks the loop: what is overdue comes right after
        raise ValueError

    monkeypatch.setitem(Odd.does, "responses", late)
    body = b'{"model": "odd/m", "input": "x"}'
    with connected(hasty) as connection:
        connection.sendall(
            head("/responses", "Content-Type: application/json", f"Content-Length: {len(body)}") + body + b"GET /v1"
        )
        connection.settimeout(8)
        assert connection.recv(12) == b"HTTP/1.1 500"


def test_more_than_the_most_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once; and whether the server lives can be asked all the same."""
    endless = partial(anyio.sleep, 60)
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(Items(Event("message", "{}"), endless)))
    document = {"model": "odd/m", "messages": [], "stream": True}
    with over(Odd, max_requests=2) as http, ExitStack() as streams:
        for _ in range(2):
            streams.enter_context(http.stream("POST", "/chat/completions", json=document))
        began = time.monotonic()
        refused = http.get("/models")
        assert time.monotonic() - began < 1
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_busy")
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        root = str(http.base_url).removesuffix("/v1/")
        for watched in ("/health/live", "/health/ready", "/metrics"):
            assert (http.get(watched).status_code, httpx.get(root + watched, trust_env=False).status_code) == (200, 200)
        for path in ("/models/x/health/live", "/openapi.json", "/videos/x/metrics"):
            assert http.get(path).status_code == 503, path
        streams.close()  # they leave
        until = time.monotonic() + 5
        while http.get("/models").status_code == 503:
            assert time.monotonic() < until, "who has gone is counted still"


def test_an_empty_line_after_an_answer_holds_no_connection(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        connection.settimeout(8)
        assert answer_of(connection) == b""


def test_trailers_without_end_are_not_kept(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        connection.sendall(head("/responses", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        connection.sendall(b"2\r\n{}\r\n0\r\n")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"X-Trailer: " + b"a" * 60_000 + b"\r\n")
        except OSError:
            pass
        assert sent < 50_000_000
