"""However an answer is cut into pieces on its way, the same comes out of it."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
from gateway.tests.upstream.asking import outgoing
from hypothesis import given
from hypothesis import strategies as some

from callsheet import ConfigurationError
from callsheet_gateway.upstream.request import head_of, target_of
from callsheet_gateway.upstream.response import ProtocolError, ResponseReader

BODY = bytes(range(256)) * 2
ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nX-A: b c\r\nContent-Length: 512\r\n\r\n" + BODY,
    "chunks": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-a: b c \r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in (BODY[:1], BODY[1:300], BODY[300:]))
    + b"0\r\nx-a: late\r\n\r\n",
    "until the end": b"HTTP/1.1 200\r\nx-a: b c\r\n\r\n" + BODY,
}


def read(pieces: list[bytes], method: str = "GET") -> ResponseReader:
    reader = ResponseReader()
    reader.begin(method)
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader


@pytest.mark.parametrize("kind", ANSWERS)
def test_cut_at_every_byte(kind: str) -> None:
    wire = ANSWERS[kind]
    for at in range(len(wire) + 1):
        reader = read([wire[:at], wire[at:]])
        assert (reader.status, reader.headers["x-a"], reader.take(), reader.done) == (200, "b c", BODY, True)
    reader = read([wire[at : at + 1] for at in range(len(wire))])
    assert (reader.status, reader.headers["x-a"], reader.take(), reader.done) == (200, "b c", BODY, True)


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_cut_off_at_every_byte(kind: str) -> None:
    wire = ANSWERS[kind]
    for at in range(len(wire)):
        reader = read([wire[:at]])
        assert not reader.done
        assert BODY.startswith(reader.take())


@given(
    kind=some.sampled_from(sorted(ANSWERS)),
    cuts=some.lists(some.integers(0, 1000), max_size=20),
    odd=some.tuples(some.integers(0, 1000), some.binary(max_size=3)),
)
def test_whatever_comes(kind: str, cuts: list[int], odd: tuple[int, bytes]) -> None:
    """With bytes that don't belong there it is an answer, another one, or a ProtocolError: nothing else."""
    at, strange = odd
    wire = ANSWERS[kind][:at] + strange + ANSWERS[kind][at:]
    places = [0, *sorted(cuts), len(wire)]
    try:
        reader = read([wire[start:end] for start, end in pairwise(places)])
    except ProtocolError:
        return
    assert reader.buffered == len(reader.take())
    if not strange:
        assert reader.done


@given(path=some.text(max_size=20), query=some.text(max_size=20))
def test_addresses_as_httpx_spells_them(path: str, query: str) -> None:
    url = f"https://a.example:8443/x{path.partition('?')[0].partition('#')[0]}?{query.partition('#')[0]}"
    try:
        expected = httpx.URL(url).raw_path.decode()
    except httpx.InvalidURL:
        return
    if any(dots in expected for dots in ("/.", "\\")):  # httpx takes dots out, as a browser would
        return
    try:
        target = target_of(url)
    except ConfigurationError:
        return
    assert target.path.rstrip("?") == expected.rstrip("?")
    assert target.authority == "a.example:8443"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://A.example/x", "a.example"),
        ("http://a.example:80/x", "a.example"),
        ("https://a.example:80/x", "a.example:80"),
        ("https://[::1]:443/x", "[::1]"),
        ("http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080"),
    ],
)
def test_the_host_header(url: str, authority: str) -> None:
    assert target_of(url).authority == authority


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"x": "a\r\nx-evil: 1"}),
        ("GET", {"x": "a\nb"}),
        ("GET", {"x\r\ny": "a"}),
        ("GET", {"x": "a\0"}),
        ("GET", {"x": "狐"}),
        ("GET / HTTP/1.1\r\nx-evil: 1\r\n\r\nGET", {}),
        ("", {}),
    ],
)
def test_nothing_is_smuggled_into_a_head(method: str, headers: dict[str, str]) -> None:
    request = outgoing(
        "http://a.example/x?key=canary-query", method, headers={**headers, "authorization": "canary-key"}
    )
    with pytest.raises(ConfigurationError, match="can't be sent") as caught:
        head_of(request, target_of(request.url))
    assert "canary" not in str(caught.value)
