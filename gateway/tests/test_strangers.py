"""Those without a good key: they can't shut out those who have one, however many they are and however slowly they read."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from gateway.tests.odd import Items, Odd, over
from pydantic import SecretStr

from callsheet import Event, Stream
from callsheet_gateway import guard
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
ADMIN = {"authorization": f"Bearer {MASTER}"}
CHAT = {"model": "odd/m", "messages": [], "stream": True}
IN_PROGRESS = "callsheet_requests_in_progress "


@contextmanager
def keyed(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    with over(Odd, state=State(folder / "state"), master_key=SecretStr(MASTER), **settings) as http:
        yield http


def unread(http: httpx.Client, path: str = "/openapi.json", times: int = 200, *headers: str) -> socket.socket:
    """A connection that asks again and again and takes nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", http.base_url.port or 0))
    connection.setblocking(False)
    with suppress(BlockingIOError, ConnectionError):
        connection.send("\r\n".join([f"GET /v1{path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode() * times)
    return connection


def under_way(http: httpx.Client) -> int:
    """How many requests are, this question among them."""
    text = http.get("/metrics", headers=ADMIN).text
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith(IN_PROGRESS))


def soon(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, true
        time.sleep(0.02)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    connection.settimeout(5)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def test_strangers_can_not_shut_out_who_has_a_key(tmp_path: Path) -> None:
    with keyed(tmp_path, max_requests=2) as http, ExitStack() as slow:
        for _ in range(6):
            slow.enter_context(unread(http))
        soon(lambda: under_way(http) == 7)
        assert http.get("/models", headers=ADMIN).status_code == 200
        assert http.get("/models").status_code == 401
        slow.close()
        soon(lambda: under_way(http) == 1)


def test_the_most_is_of_those_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = partial(anyio.sleep, 60)
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(Items(Event("message", "{}"), endless)))
    with keyed(tmp_path, max_requests=2) as http, ExitStack() as streams:
        key = http.post("/keys", json={"name": "shop"}, headers=ADMIN).json()["key"]
        shop = {"authorization": f"Bearer {key}"}
        for headers in (shop, ADMIN):
            streams.enter_context(http.stream("POST", "/chat/completions", json=CHAT, headers=headers))
        for headers in (shop, ADMIN):
            for path in ("/models", "/models/x/health/live", "/models/x/metrics"):
                refused = http.get(path, headers=headers)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_busy")
                assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        assert http.get("/metrics", headers=ADMIN).status_code == 200
        assert [http.get(path).status_code for path in ("/health/live", "/openapi.json", "/models")] == [200, 200, 401]
        streams.close()
        soon(lambda: http.get("/models", headers=shop).status_code == 200)


def test_strangers_have_a_limit_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_MOST_STRANGERS", 3)
    with keyed(tmp_path) as http, ExitStack() as slow:
        for _ in range(3):
            slow.enter_context(unread(http))
        soon(lambda: under_way(http) == 4)
        wrong = {"authorization": "Bearer ek_wrong"}
        root = str(http.base_url).removesuffix("/v1/")
        for path, headers in (("/v1/openapi.json", {}), ("/realtime", {}), ("/v1/models", wrong), ("/v1/nothing", {})):
            refused = http.get(root + path, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_busy"), path
            assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        refused = http.post("/realtime/calls", content=b"v=0", headers={**wrong, "content-type": "application/sdp"})
        assert refused.status_code == 503
        # Of more of them nothing stays: what they get is little, and the last.
        more = [slow.enter_context(unread(http, path)) for path in ("/openapi.json", "/health/live", "/metrics") * 5]
        soon(lambda: under_way(http) == 4)
        for number, connection in enumerate(more[:3]):
            answer = all_of(connection)
            assert answer.startswith(f"HTTP/1.1 {(503, 200, 401)[number]} ".encode())
            assert answer.count(b"HTTP/1.1") == answer.count(b"connection: close\r\n") == 1
        assert http.get("/health/live").status_code == 200
        known = http.get("/models", headers=ADMIN)
        assert (known.status_code, known.headers.get("connection")) == (200, None)
        slow.close()
        soon(lambda: http.get("/openapi.json").status_code == 200)
        assert http.get("/models").status_code == 401


def test_errors_that_nobody_takes_do_not_pile_up_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that has ended in an error counts for its key no more while the answer is sent."""
    monkeypatch.setattr(guard, "_MOST_STRANGERS", 3)
    with keyed(tmp_path) as http, ExitStack() as slow:
        for _ in range(3):
            slow.enter_context(unread(http))
        soon(lambda: under_way(http) == 4)
        more = [slow.enter_context(unread(http, "/videos/x", 50, f"Authorization: Bearer {MASTER}")) for _ in range(5)]
        for connection in more:
            answer = all_of(connection)
            assert answer.startswith(b"HTTP/1.1 404 ")
            assert answer.count(b"HTTP/1.1") == 1
