"""Events that come together leave together; none waits for another; and nothing is read for who does not take it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from core.tests.test_events_ahead import stream_of
from gateway.tests.odd import Odd, over
from hypothesis import given
from hypothesis import strategies as st

from callsheet import Stream
from callsheet.envelope import error_in_answer
from callsheet.event_stream import Checked
from callsheet.jsontext import decode, encode
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.streaming import Begun, chat_frames, response_frames

CHUNKS = [f'data: {{"model":"m","n":{number}}}\n\n'.encode() for number in range(200)]
DONE = b"data: [DONE]\n\n"
ASKED = {"model": "odd/m", "messages": [], "stream": True}


def frames_of(kind: Any, pieces: list[bytes], make: Any) -> list[bytes]:
    async def collected() -> list[bytes]:
        stream, _ = stream_of(pieces, kind)
        scope = {"type": "http", "state": {"record": RequestRecord("req_1", "POST")}}
        return [piece async for piece in make(await Begun.of(stream, scope))]

    return anyio.run(collected)


def test_what_came_in_one_piece_leaves_in_one() -> None:
    together = frames_of("chat", [b"".join([*CHUNKS, DONE])], chat_frames)
    alone = frames_of("chat", [*CHUNKS, DONE], chat_frames)
    assert b"".join(together) == b"".join(alone) == b"".join([*CHUNKS, DONE])
    assert (len(together), len(alone)) == (2, 201)


def test_an_error_among_them_comes_after_those_before_it() -> None:
    wire = b'event: response.x\ndata: {"sequence_number":7}\n\n' * 3 + b'event: error\ndata: {"message":"over"}\n\n'
    [before, error] = frames_of("responses", [wire], response_frames)
    assert before.count(b"event: response.x\n") == 3
    assert error.startswith(b"event: error\n")
    assert b'"sequence_number":8' in error


class Answer:
    """An answer's body that comes as `pieces` gives it."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.pieces, self.taken, self.closed = pieces, 0, threading.Event()

    async def __anext__(self) -> bytes:
        piece = await anext(self.pieces)
        self.taken += len(piece)
        return piece

    async def drain(self, _seconds: float) -> None:
        self.closed.set()

    async def aclose(self) -> None:
        self.closed.set()

    def stream(self, _request: object) -> Stream:
        return Stream(Checked(self, "chat", error_in_answer))  # type: ignore[arg-type]  # as much as is needed of one


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with over(Odd) as client:
        yield client


def test_the_first_ones_wait_for_no_more(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield CHUNKS[0]
        await wait_for(seen)
        seen.clear()
        yield CHUNKS[1] + CHUNKS[2] + b"data: {"
        await wait_for(seen)
        yield b"}\n\n" + DONE

    monkeypatch.setitem(Odd.does, "chat_completions", Answer(pieces()).stream)
    got = b""
    with http.stream("POST", "/chat/completions", json=ASKED) as answer:
        for piece in answer.iter_raw():
            got += piece
            if got.count(b"\n\n") in {1, 3}:
                seen.set()
    assert [decode(line[6:])["n"] for line in got.split(b"\n\n")[:3]] == [0, 1, 2]
    assert got.endswith(b"data: {}\n\n" + DONE)


async def wait_for(event: threading.Event) -> None:
    with anyio.fail_after(5):
        while not event.is_set():
            await anyio.sleep(0.005)


def test_who_takes_nothing_gets_nothing_more(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until he does; and when he leaves, the upstream is left, too."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"".join(CHUNKS)
            await anyio.sleep(0)

    source = Answer(pieces())
    monkeypatch.setitem(Odd.does, "chat_completions", source.stream)
    body = encode(ASKED)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.connect(("127.0.0.1", http.base_url.port or 0))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        still = stands_still(lambda: source.taken)
        assert 0 < still < 8 * 1024 * 1024  # what the system holds is most of it
        left = still
        while left > 0 and source.taken == still:
            left -= len(connection.recv(65536))
        until = time.monotonic() + 5
        while source.taken == still:
            assert time.monotonic() < until, "it does not go on"
            time.sleep(0.01)
    assert source.closed.wait(0.5)


def stands_still(count: Callable[[], int]) -> int:
    """A count as soon as it has not changed for a while."""
    until, before = time.monotonic() + 15, -1
    while (now := count()) != before or not now:
        assert time.monotonic() < until, f"it goes on: {now:,}"
        before = now
        time.sleep(0.3)
    return now


NUMBERS = st.integers() | st.integers(-(10**80), 10**80) | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
)


@given(JSON)
def test_a_document_is_written_as_it_is(document: object) -> None:
    """repr: the order of keys, 1 and 1.0 and True, and -0.0 are told apart."""
    assert repr(decode(bytes(JSONDocument(document).body))) == repr(decode(encode(document)))


def test_a_deep_document_is_written_too() -> None:
    document: list[Any] = []
    for _ in range(400):
        document = [document]
    assert JSONDocument(document).body == encode(document)
