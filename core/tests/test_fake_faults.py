"""Every fault of the fake upstream happens where it says, and as often as it was told."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from contextlib import aclosing
from urllib.parse import urlsplit

import anyio
import pytest
from core.tests.fake_kit import AUTH, WAYS, fresh

from callsheet import APIConnectionError, APITimeoutError, BlockingTransport
from callsheet.body import Body
from callsheet.drive import finish
from callsheet.exchange import Outgoing
from callsheet.testing import FAKE_KEY, FAULTS, Fault, Happened

HEAD = f"Host: a\r\nAuthorization: Bearer {FAKE_KEY}\r\nContent-Type: application/json\r\n"
VIDEO, STREAM = b'{"prompt": "a cat"}', b'{"model": "m", "input": "hi", "stream": true}'
RAW = {name: make for name, make in FAULTS.items() if not name[:3].isdigit()}
STATUSES = [name for name in FAULTS if name[:3].isdigit()]
SLOW = {"slow headers", "headers then stall", "slow body"}
OPTIONS = {"slow headers": {"interval": 0.05}, "slow body": {"interval": 0.05}, "huge line": {"size": 4 << 20}}
REJECTIONS = {"400", "401", "403", "404", "429 + 2 s", "429 + 3600 s"}


class Talk:
    """One request on a socket of its own, and all that comes back until the end, the patience or a reset."""

    def __init__(self, url, path, body, patience=3.0, enough=lambda pieces: False):
        self.received, self.end = b"", "closed"
        with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as wire:
            request = f"POST /v1{path} HTTP/1.1\r\n{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            wire.sendall(request.encode() + body)
            wire.settimeout(patience)
            pieces = []
            try:
                while (piece := wire.recv(1 << 20)) and not enough(pieces):
                    pieces.append(piece)
            except TimeoutError:
                self.end = "silence"
            except ConnectionResetError:
                self.end = "reset"
            self.received = b"".join(pieces)
        self.head, _, self.body = self.received.partition(b"\r\n\r\n")
        self.chunked = b"transfer-encoding: chunked" in self.head

    @property
    def length(self):
        return int(self.head.partition(b"content-length: ")[2].split()[0])


@pytest.fixture
def talk():
    """Talk to a fake that has one fault in store; the fault proves its stage."""
    fake = fresh()
    with fake.serve() as url:

        def one(fault, *, stream=False, **options):
            path, body = ("/responses", STREAM) if stream else ("/videos", VIDEO)
            fake.fail(f"POST {path}", fault)
            heard = Talk(url, path, body, **options)
            [happened] = fault.happened
            assert happened.request == len(fake.seen) - 1
            assert happened.begun == len(fake.book.of_request(happened.request)) == int(fault.after_accept)
            heard.stage = happened.stage
            return heard

        yield one
    assert not fake.problems


both = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@both
def test_reset_before_headers(talk, after):
    heard = talk(Fault.reset_before_headers(after_accept=after))
    assert (heard.received, heard.end, heard.stage) == (b"", "reset", "before headers")


@both
def test_slow_headers(talk, after):
    heard = talk(Fault.slow_headers(0.05, after_accept=after), enough=lambda pieces: len(pieces) > 3)
    assert (heard.received[:9], heard.stage) == (b"HTTP/1.1 "[: len(heard.received)], "in headers")
    assert 3 <= len(heard.received) <= 5


@both
def test_headers_then_stall(talk, after):
    heard = talk(Fault.stall_after_headers(after_accept=after), patience=0.2)
    assert (heard.body, heard.end, heard.stage) == (b"", "silence", "after headers")
    assert heard.length > 0


@both
@pytest.mark.parametrize("stream", [False, True])
def test_slow_body(talk, after, stream):
    started = time.monotonic()
    heard = talk(Fault.slow_body(0.02, after_accept=after), stream=stream, enough=lambda pieces: len(pieces) > 10)
    assert (heard.head[:15], heard.stage) == (b"HTTP/1.1 200 OK", "in body")
    assert time.monotonic() - started > 0.15


@both
def test_reset_in_body(talk, after):
    heard = talk(Fault.reset_in_body(after_accept=after))
    assert (heard.end, heard.stage) == ("reset", "in body")
    assert 0 < len(heard.body) < heard.length


@both
def test_reset_in_stream(talk, after):
    before = talk(Fault.reset_in_stream(after_content=False, after_accept=after), stream=True)
    assert (before.end, before.stage) == ("reset", "in stream, before content")
    assert b"response.created" in before.body
    assert b"output_text.delta" not in before.body
    later = talk(Fault.reset_in_stream(after_content=True, after_accept=after), stream=True)
    assert (later.end, later.stage) == ("reset", "in stream, after content")
    assert later.body.count(b"event: response.output_text.delta") == 1


@both
def test_stream_without_end(talk, after):
    heard = talk(Fault.stream_without_end(after_accept=after), stream=True)
    assert heard.body.endswith(b"\n\n\r\n0\r\n\r\n")
    assert b"output_text.delta" in heard.body
    assert b"response.completed" not in heard.body
    plain = talk(Fault.stream_without_end(after_accept=after))
    assert plain.length == len(plain.body) > 0


@both
@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.bad_json, b"application/json"), (Fault.html, b"text/html; charset=utf-8")]
)
def test_other_words(talk, after, fault, kind):
    heard = talk(fault(after_accept=after))
    assert heard.head.startswith(b"HTTP/1.1 200 OK")
    assert b"content-type: " + kind in heard.head
    assert heard.length == len(heard.body)
    with pytest.raises(ValueError):
        __import__("json").loads(heard.body)


@both
def test_truncated_gzip(talk, after):
    heard = talk(Fault.truncated_gzip(after_accept=after))
    assert b"content-encoding: gzip" in heard.head
    with pytest.raises(EOFError):
        gzip.decompress(heard.body)


def test_gzip_bomb(talk):
    heard = talk(Fault.gzip_bomb(64 << 20))
    assert len(heard.body) < 100_000
    unpacked, rest, total = zlib.decompressobj(31), heard.body, 0
    while rest:
        total += len(unpacked.decompress(rest))
        rest = unpacked.unused_data
        unpacked = zlib.decompressobj(31)
    assert total == 64 << 20


def test_huge_headers(talk):
    heard = talk(Fault.huge_headers())
    assert (len(heard.head) > 1 << 20, heard.stage) == (True, "in headers")


def test_huge_line(talk):
    heard = talk(Fault.huge_line(64 << 20), stream=True)
    assert heard.stage == "in body"
    assert max(map(len, heard.body.split(b"\r\n"))) == 1 << 20  # a chunk
    assert heard.body.count(b"x" * (1 << 20)) == 64
    assert b"output_text.delta" not in heard.body


def test_bad_utf8(talk):
    with pytest.raises(UnicodeDecodeError):
        talk(Fault.bad_utf8()).body.decode()
    heard = talk(Fault.bad_utf8(), stream=True)
    assert b"event: response.completed\rdata: " in heard.body
    assert b'"type":"\xff\xc3response.completed"' in heard.body


def test_redirect(talk):
    heard = talk(Fault.redirect("http://127.0.0.1:1/x"))
    assert heard.head.startswith(b"HTTP/1.1 302 Found")
    assert b"location: http://127.0.0.1:1/x" in heard.head


@pytest.mark.parametrize("name", STATUSES)
def test_statuses(talk, name):
    heard = talk(FAULTS[name](after_accept=False))
    assert heard.head.startswith(f"HTTP/1.1 {name[:3]} ".encode())
    assert b"x-request-id: req_" in heard.head
    assert b'{"error":{"message":' in heard.body
    assert (b"retry-after" in heard.head) == ("+" in name)
    if name in REJECTIONS:
        with pytest.raises(ValueError, match="can't come after acceptance"):
            FAULTS[name](after_accept=True)
    else:
        assert talk(FAULTS[name](after_accept=True)).head.startswith(f"HTTP/1.1 {name[:3]} ".encode())


def test_hints():
    fake = fresh()
    fake.fail(None, Fault.status(429, retry_after=0.25, headers={"x-should-retry": "false"}, message="m", code="c"))
    with WAYS["blocking"](fake) as way:
        got = way.ask("GET", "/videos")
    assert (got.headers["retry-after"], got.headers["retry-after-ms"]) == ("1", "250")
    assert got.headers["x-should-retry"] == "false"
    assert got.json()["error"] == {"message": "m", "type": "requests", "param": None, "code": "c"}


def test_faults_wait_in_line():
    fake = fresh()
    twice, once = fake.fail("GET /videos", Fault.status(503), times=2), fake.fail(None, Fault.status(500))
    with WAYS["blocking"](fake) as way:
        assert way.ask("POST", "/responses", {"model": "m", "input": "x"}).status == 500
        assert [way.ask("GET", "/videos").status for _ in range(3)] == [503, 503, 200]
        always = fake.fail("GET /videos", Fault.status(409), times=None)
        assert [way.ask("GET", "/videos").status for _ in range(5)] == [409] * 5
    assert twice.happened == [Happened(1, "answer", 0), Happened(2, "answer", 0)]
    assert (len(once.happened), len(always.happened)) == (1, 5)
    with pytest.raises(ValueError, match=r"there is no route 'GET /video'; there are: POST /videos, "):
        fake.fail("GET /video", Fault.html())


def test_after_acceptance_needs_acceptance():
    fake = fresh()
    fault = fake.fail("POST /videos", Fault.status(500, after_accept=True))
    with WAYS["blocking"](fake) as way:
        assert way.ask("POST", "/videos", {"prompt": ""}).status == 400
        assert not fault.happened
        assert way.ask("POST", "/videos", {"prompt": "a"}).status == 500
    assert fault.happened == [Happened(1, "answer", 1)]


def test_before_acceptance_nothing_is_changed():
    fake = fresh()
    fake.fail_job()
    fake.fail("POST /videos", Fault.slow_body(0.0))
    with WAYS["blocking"](fake) as way:
        promised = way.ask("POST", "/videos", {"prompt": "a"}).json()
        assert promised["status"] == "queued"
        assert way.ask("GET", f"/videos/{promised['id']}").status == 404
        assert not fake.book.entries
        made = way.ask("POST", "/videos", {"prompt": "a"}).json()
        assert made["id"] != promised["id"]
        assert [way.ask("GET", f"/videos/{made['id']}").json()["status"] for _ in range(2)] == ["in_progress", "failed"]


async def outcome(transport, base, seconds):
    """What a transport makes of the answer to one request: bytes, or an exception and its word on arrival."""
    headers = {**AUTH, "content-type": "application/json", "content-length": str(len(VIDEO))}
    deadline = time.monotonic() + seconds
    body = Body([VIDEO], "application/json")
    try:
        incoming = await transport.open(Outgoing("POST", f"{base}/videos", headers, body, deadline))
        async with aclosing(incoming):
            received = b""
            while piece := await incoming.read(deadline):
                received += piece
        return incoming.status, received
    except APIConnectionError as error:
        return type(error), error.sent


@both
@pytest.mark.parametrize("name", RAW)
def test_in_process_a_fault_looks_as_it_does_over_a_socket(name, after):
    outcomes = []
    for over_tcp in (False, True):
        fake = fresh()
        options = OPTIONS.get(name, {})
        fault = fake.fail(None, FAULTS[name](after_accept=after, **options))
        with fake.serve() as url:
            transport = BlockingTransport() if over_tcp else fake.blocking_transport()
            base = url if over_tcp else "https://api.vendor.example/v1"
            outcomes.append(finish(outcome(transport, base, 0.12 if name in SLOW else 5)))
            if over_tcp:
                transport.close()
        assert [happened.begun for happened in fault.happened] == [int(after)]
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", sorted(SLOW))
def test_in_process_time_runs_out_on_a_loop(backend, name):
    fake = fresh()
    fault = fake.fail(None, FAULTS[name]())
    started = time.monotonic()
    found = anyio.run(outcome, fake.async_transport(), "https://api.vendor.example/v1", 0.1, backend=backend)
    assert found == (APITimeoutError, True)
    assert 0.1 <= time.monotonic() - started < 0.5
    assert fault.happened[0].begun == 0


def test_in_process_what_has_arrived_stays_readable():
    fake = fresh()
    fake.fail(None, Fault.reset_in_body(pause=0.0))
    incoming = finish(
        fake.blocking_transport().open(Outgoing("GET", "http://a/v1/videos", AUTH, None, time.monotonic() + 5))
    )
    assert finish(incoming.read(time.monotonic() + 5)).startswith(b'{"object"')
    with pytest.raises(APIConnectionError, match="broke in the answer's body"):
        finish(incoming.read(time.monotonic() + 5))
    finish(incoming.aclose())
    assert finish(incoming.read(time.monotonic() + 5)) == b""
