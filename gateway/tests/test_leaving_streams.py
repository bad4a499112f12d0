"""Clients that leave a stream: before its first event, with the next request already sent, and while a job is looked at."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from core.tests.server import Exchange, Server
from gateway.tests.odd import Items, Odd, over
from gateway.tests.test_drain import ASKED, gateway

from callsheet import IO, CreateChatCompletion, Download, Event, Response, Stream, Video, hookimpl
from callsheet_gateway.errors import Refused
from callsheet_gateway.protocol import Gone, Left
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.streaming import EventResponse

CHUNK = Event("message", '{"model":"m","choices":[]}')
HEAD = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
STREAM = {"model": "odd/m", "messages": [], "stream": True}
LARGE = 20_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sent(http: httpx.Client, *requests: bytes) -> socket.socket:
    """A connection with little room, over which requests were sent at once."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", http.base_url.port or 0))
    connection.sendall(b"".join(requests))
    return connection


def post(path: str, document: dict[str, Any]) -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def in_progress(http: httpx.Client) -> int:
    """Requests under way, besides this one."""
    figures = http.get("/metrics").text
    [line] = [line for line in figures.splitlines() if line.startswith("callsheet_requests_in_progress ")]
    return int(float(line.split()[1])) - 1


def soon(true: Callable[[], Any], seconds: float = 0.5) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "more", [b"", b"G", HEAD, HEAD + b"G"], ids=["nothing", "a byte", "a head", "a head and a byte"]
)
@pytest.mark.parametrize("events", [[], [CHUNK]], ids=["before the first event", "behind it"])
def test_who_leaves_a_stream_is_heard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, events: list[Event], more: bytes
) -> None:
    """Also where the next request has begun to come: it hid the one that is answered."""
    waits = threading.Event()

    async def silence() -> None:
        waits.set()
        await anyio.sleep(20)

    source = Items(*events, silence, Event("message", "[DONE]"))
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    with over(Odd) as http:
        with sent(http, post("/v1/chat/completions", STREAM)) as client:
            assert waits.wait(5)
            client.sendall(more)
            time.sleep(0.1)
            assert not source.closed.is_set()
        assert source.closed.wait(0.5), "the upstream is kept"
        soon(lambda: in_progress(http) == 0)
    assert not [record for record in caplog.records if "costs at provider" not in record.getMessage()]


@pytest.mark.anyio
async def test_no_upstream_connection_is_left_behind(tmp_path: Path) -> None:
    """Over real connections on both sides."""
    closed: list[float] = []

    async def silent(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        await exchange.gone()
        closed.append(time.monotonic())

    with Server() as upstream:
        upstream.on("/v1/chat/completions", silent)
        with gateway(tmp_path, upstream) as (_process, url, _errors):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
                asked = [asyncio.create_task(http.post("/chat/completions", json=ASKED)) for _ in range(5)]
                while len(upstream.seen) < 5:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)  # the heads of the answers have come, too
                assert not closed
            left = time.monotonic()
            await asyncio.gather(*asked, return_exceptions=True)
            with anyio.fail_after(5):
                while len(closed) < 5:
                    await asyncio.sleep(0.01)
            assert max(closed) - left < 0.5


def test_who_leaves_while_the_head_of_a_stream_waits_for_him(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """He has not taken the answer before. Nothing of the stream was sent, so that nobody had begun with its events."""
    source = Items(CHUNK, lambda: anyio.sleep(20))
    monkeypatch.setitem(Odd.does, "responses", lambda _: Response({"id": "r", "output": ["x" * LARGE]}))
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    large = post("/v1/responses", {"model": "odd/m", "input": "x"})
    with over(Odd) as http:
        with sent(http, large, post("/v1/chat/completions", STREAM)):
            soon(lambda: len(source.items) == 1, 5)
            time.sleep(0.2)
            assert not source.closed.is_set()
        assert source.closed.wait(0.5), "the upstream is kept"
        soon(lambda: in_progress(http) == 0)
    assert not [record for record in caplog.records if "costs at provider" not in record.getMessage()]


def test_who_leaves_with_requests_in_a_row(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The answer that runs was sent to nobody, and failed at that as if the gateway were broken."""
    begun = threading.Semaphore(0)

    def answer(_request: object) -> Response:
        begun.release()
        return Response({"id": "r", "output": ["x" * LARGE]})

    monkeypatch.setitem(Odd.does, "responses", answer)
    with over(Odd) as http:
        with sent(http, post("/v1/responses", {"model": "odd/m", "input": "x"}) * 4):
            assert begun.acquire(timeout=5)
            assert begun.acquire(timeout=5)  # the second waits for the first to be taken
            time.sleep(0.2)
        soon(lambda: in_progress(http) == 0)
    assert not [record for record in caplog.records if "costs at provider" not in record.getMessage()]


def test_requests_in_a_row_are_answered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly() -> None:
        await anyio.sleep(0.3)

    source = Items(slowly, CHUNK)
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(source))
    closing = HEAD.replace(b"Host", b"Connection: close\r\nHost")
    with over(Odd) as http, sent(http, post("/v1/chat/completions", STREAM), HEAD, HEAD, closing) as client:
        came = b""
        while piece := client.recv(65536):
            came += piece
    first, *others = came.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert b"data: [DONE]" in first
    assert [b'"object":"list"' in other for other in others] == [True] * 3


@pytest.mark.parametrize("more", [b"", b"G"], ids=["nothing", "a byte"])
def test_who_leaves_a_jobs_progress_frees_his_place(monkeypatch: pytest.MonkeyPatch, more: bytes) -> None:
    """Also where the job was looked at meanwhile."""
    looks = threading.Semaphore(0)

    def look(_request: object) -> Video:
        looks.release()
        return Video(id="v", status="in_progress")

    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued"))
    monkeypatch.setitem(Odd.does, "get_video", look)
    with over(Odd, event_pause=0.1, event_pause_max=60) as http:
        id = http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}).json()["id"]
        with sent(http, f"GET /v1/videos/{id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()) as client:
            for _ in range(6):
                assert looks.acquire(timeout=5)
            client.sendall(more)
            time.sleep(0.1)
            assert in_progress(http) == 1
        soon(lambda: in_progress(http) == 0, 0.3)  # the next look is three quarters of a second away


def test_who_leaves_a_download_is_heard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    waits = threading.Event()

    async def silence() -> None:
        waits.set()
        await anyio.sleep(20)

    source = Items(silence)
    download = Download(source, content_type="video/mp4")  # type: ignore[arg-type]  # it never comes to a piece
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="completed"))
    monkeypatch.setitem(Odd.does, "download_video", lambda _: download)
    with over(Odd) as http:
        id = http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}).json()["id"]
        with sent(http, f"GET /v1/videos/{id}/content HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()) as client:
            assert waits.wait(5)
            client.sendall(HEAD)
            time.sleep(0.1)
            assert not source.closed.is_set()
        assert source.closed.wait(0.5), "the upstream is kept"
        soon(lambda: in_progress(http) == 0)
    assert not [record for record in caplog.records if record.levelname != "WARNING"]  # it has no price


class Stubborn(Odd):
    """Finishes what it does, whoever has left."""

    begun = threading.Event()
    source = Items(CHUNK)

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> Stream:
        self.begun.set()
        with suppress(asyncio.CancelledError):
            await anyio.sleep(20)
        return Stream(self.source)


def test_a_stream_that_comes_when_its_client_has_left() -> None:
    """Nobody asks for its first event."""
    with over(Stubborn) as http:
        with sent(http, post("/v1/chat/completions", STREAM)):
            assert Stubborn.begun.wait(5)
        assert Stubborn.source.closed.wait(0.5), "the upstream is kept"
        assert len(Stubborn.source.items) == 1


@pytest.mark.anyio
async def test_waiting_within_waiting() -> None:
    """Behind the inner one the outer one still hears."""
    gone, waits = Gone(), asyncio.Event()

    async def work() -> None:
        await gone.unless(asyncio.sleep(0))
        waits.set()
        await asyncio.sleep(20)

    waiting = asyncio.create_task(gone.unless(work()))
    await waits.wait()
    gone.left = True
    gone.tell()
    heard, _ = await asyncio.wait([waiting], timeout=1)
    assert heard
    assert isinstance(waiting.exception(), Left)


@pytest.mark.anyio
async def test_the_end_between_an_event_and_the_answer() -> None:
    """The gateway ends when the answer is made, and not sent yet: there is a status still."""
    source = Items(CHUNK)
    gone, record = Gone(), RequestRecord("req_1", "POST")
    gone.ending = True

    async def frames() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"

    async def unused(*_: object) -> Any:
        raise AssertionError

    answer = EventResponse(frames(), Stream(source))  # type: ignore[arg-type]  # an async generator
    scope = {"type": "http", "state": {"gone": gone, "record": record}}
    with pytest.raises(Refused) as refusal:
        await answer(scope, unused, unused)
    assert (refusal.value.status_code, refusal.value.code) == (503, "ending")
    assert source.closed.is_set()
