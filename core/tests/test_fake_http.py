"""The fake upstream's server, byte by byte: what it takes for HTTP/1.1, and what it does not."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from core.tests.fake_kit import fresh

from callsheet.testing import FAKE_KEY

HEAD = f"Host: a\r\nAuthorization: Bearer {FAKE_KEY}\r\n".encode()
POST = b"POST /v1/videos HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
BODY = b'{"prompt": "a cat"}'


@pytest.fixture
def fake():
    return fresh()


@pytest.fixture
def wire(fake):
    """A plain connection to the fake."""
    with fake.serve() as url, socket.create_connection(("127.0.0.1", urlsplit(url).port)) as connection:
        connection.settimeout(5)
        yield connection


def answer(wire):
    """One answer with a known length: its status line, headers and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = wire.recv(65536)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += wire.recv(65536)
    return first, headers, body


def test_a_connection_is_kept(wire, fake):
    for _ in range(3):
        wire.sendall(POST + b"Content-Length: 19\r\n\r\n" + BODY)
        assert answer(wire)[0] == "HTTP/1.1 200 OK"
    wire.sendall(POST + b"Connection: close\r\nContent-Length: 19\r\n\r\n" + BODY)
    assert answer(wire)[0] == "HTTP/1.1 200 OK"
    assert wire.recv(1) == b""
    assert not fake.problems


def test_a_chunked_body(wire, fake):
    wire.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    wire.sendall(b"5\r\n" + BODY[:5] + b"\r\ne\r\n" + BODY[5:] + b"\r\n0\r\n\r\n")
    assert answer(wire)[0] == "HTTP/1.1 200 OK"
    assert fake.seen[0].body == BODY
    assert not fake.problems


def test_a_client_that_waits_to_go_on(wire):
    wire.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 19\r\n\r\n")
    assert wire.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(BODY)
    assert answer(wire)[0] == "HTTP/1.1 200 OK"


BAD = {
    "an old version": b"GET /v1/videos HTTP/1.0\r\n" + HEAD + b"\r\n",
    "an absolute target": b"GET http://a/v1/videos HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a lone line feed": b"GET /v1/videos HTTP/1.1\r\n" + HEAD + b"X-A: b\nX-C: d\r\n\r\n",
    "a folded header": b"GET /v1/videos HTTP/1.1\r\n" + HEAD + b"X-A: b\r\n c\r\n\r\n",
    "a blank before the colon": b"GET /v1/videos HTTP/1.1\r\n" + HEAD + b"X-A : b\r\n\r\n",
    "two lengths": POST + b"Content-Length: 19\r\nContent-Length: 19\r\n\r\n" + BODY,
    "a length and chunks": POST + b"Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
    "an odd length": POST + b"Content-Length: +19\r\n\r\n" + BODY,
    "a great length": POST + b"Content-Length: 999999999999\r\n\r\n",
    "another encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "an odd chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n" + BODY[:5] + b"\r\n0\r\n\r\n",
    "a chunk too long": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "100 KiB of headers": b"GET /v1/videos HTTP/1.1\r\n" + HEAD + b"X-A: " + b"b" * 102_400 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_request(wire, fake, case):
    wire.sendall(BAD[case])
    first, headers, body = answer(wire)
    assert first == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/json"
    assert b'"error":{"message":' in body
    assert len(fake.problems) == 1
    assert fake.problems[0].request is None
    assert str(fake.problems[0]).startswith("a connection: ")
    assert not fake.seen
    with suppress(ConnectionResetError):  # so the system answers what was not read
        assert wire.recv(1) == b""


def test_a_request_without_a_host(wire, fake):
    wire.sendall(f"GET /v1/videos HTTP/1.1\r\nAuthorization: Bearer {FAKE_KEY}\r\n\r\n".encode())
    assert answer(wire)[0] == "HTTP/1.1 400 Bad Request"
    assert "names no host" in fake.problems[0].message


def test_a_client_that_leaves_has_asked_nothing(wire, fake):
    wire.sendall(POST + b"Content-Length: 19\r\n\r\n" + BODY[:5])
    wire.close()
    end = time.monotonic() + 2
    while fake.connections and time.monotonic() < end:
        time.sleep(0.005)
    assert fake.connections == 0
    assert not fake.seen
    assert not fake.problems
