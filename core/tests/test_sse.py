"""The event decoder: any cutting of the bytes gives the same events, the nasty ones included."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from httpx_sse._decoders import SSEDecoder as Oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callsheet import APIResponseValidationError
from callsheet.sse import SSEDecoder

Decoded = list[tuple[str, str]]


def decoded(chunks: list[bytes]) -> Decoded:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [(event.type, event.raw) for event in [*events, *decoder.feed(b"", final=True)]]


def oracle(text: str) -> Decoded:
    """httpx-sse's decoder, line by line. It also tells of events without data, which the standard drops."""
    decoder, events = Oracle(), []
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    has_data = False
    for line in lines[:-1]:
        has_data = (has_data or line.partition(":")[0] == "data") and bool(line or has_data)
        if (event := decoder.decode(line)) is not None and has_data:
            events.append((event.event, event.data))
        if not line:
            has_data = False
    return events


LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12)
FIELDS = st.one_of(
    st.builds("data: {}".format, VALUES),
    st.builds("data:{}".format, VALUES),
    st.builds("event: {}".format, VALUES),
    st.builds(": {}".format, VALUES),
    st.sampled_from(
        ["data", "event", "", "", "id: 7", "retry: 5", "other: x", "data:  two blanks", "data: a\u2028b\x85c"]
    ),
)
STREAMS = st.lists(st.tuples(FIELDS, LINE_ENDS), max_size=25).map(
    lambda lines: "".join(line + end for line, end in lines)
)


@settings(max_examples=400, deadline=None)
@given(STREAMS, st.booleans(), st.lists(st.integers(0, 400), max_size=12))
@example("data: a\r\n\r\ndata: b\r\n\r\n", False, [8, 9, 10, 11])
@example("data: a\r\rdata: b\r\r", False, [8, 9])
@example("data: \U0001f98a\n\n", True, [1, 2, 7, 8, 9, 10])
@example("data\n\ndata\ndata\n\ndata:", False, [])
@example("event: a\n\ndata: b\n\n", False, [])
def test_any_cutting_gives_the_same_events(text: str, bom: bool, cuts: list[int]) -> None:
    wire = ("\ufeff" if bom else "").encode() + text.encode()
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in pairwise(places)]
    wanted = oracle(text if bom else text.removeprefix("\ufeff"))
    assert decoded(pieces) == wanted
    assert decoded([wire]) == wanted
    assert decoded([bytes([byte]) for byte in wire]) == wanted


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data: a\n\n", [("message", "a")]),
        (b"event: x\ndata: a\ndata: b\n\n", [("x", "a\nb")]),
        (b"data: {\ndata: }\n\n", [("message", "{\n}")]),
        (b"data\n\n", [("message", "")]),
        (b"data:\n\n", [("message", "")]),
        (b"data:  a \n\n", [("message", " a ")]),
        (b"data:a:b\n\n", [("message", "a:b")]),
        (b": ping\n\n: ping\n\ndata: a\n\n", [("message", "a")]),
        (b"event: x\n\ndata: a\n\n", [("message", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a")]),  # a mark elsewhere is part of a field's name
        (b"data: a\r\rdata: b\r\n\r\n", [("message", "a"), ("message", "b")]),
        (b"data: a\n\rdata: b\r\n\n", [("message", "a"), ("message", "b")]),
        ("data: \u2028\u2029\x85\x0b\x0c\x1c\n\n".encode(), [("message", "\u2028\u2029\x85\x0b\x0c\x1c")]),
        (b"data: \xff\xfe\n\n", [("message", "\ufffd\ufffd")]),
        (b"data: \xf0\x9f\n\n", [("message", "\ufffd")]),
        (b"data: half", []),
        (b"data: half\n", []),
        (b"data: [DONE]\n\n", [("message", "[DONE]")]),
        (b"DATA: a\n data: b\n\n", []),
        (b"id: 1\nretry: 2\nnonsense\n\n", []),
        (b"\n\n\n\r\n\r\r", []),
        (b"data: a\x00b\n\n", [("message", "a\0b")]),
    ],
)
def test_nasty_ones(wire: bytes, events: Decoded) -> None:
    assert decoded([wire]) == events
    assert decoded([bytes([byte]) for byte in wire]) == events
    assert decoded([piece for byte in wire for piece in (bytes([byte]), b"")]) == events


def test_an_event_is_ready_as_soon_as_its_blank_line_is_there() -> None:
    """Also when that ends in a CR, which may be the first half of a CRLF."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n") == []
    assert [event.raw for event in decoder.feed(b"\r")] == ["a"]
    assert decoder.feed(b"\ndata: b\n") == []
    assert [event.raw for event in decoder.feed(b"\n")] == ["b"]


MANY = b"x" * 1000
HOSTILE: dict[str, Any] = {
    "one long line": [b"data: ", *[MANY] * 2000],
    "many lines": [b"data: " + MANY + b"\n"] * 2000,
    "many empty lines": [b"data\n" * 1000] * 2000,
    "a long comment": [b": ", *[MANY] * 2000],
    "a long name": [MANY] * 2000,
    "all at once": [b"data: " + MANY * 2000 + b"\n\n"],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_size_is_capped(kind: str) -> None:
    decoder, fed = SSEDecoder(1024 * 1024), 0
    with pytest.raises(APIResponseValidationError, match="longer than 1,048,576 characters"):
        for chunk in HOSTILE[kind]:
            fed += len(chunk)
            decoder.feed(chunk)
    assert fed < 6_000_000 if kind == "many empty lines" else fed < 2_010_000


def test_the_cap_is_for_each_event() -> None:
    """Large ones may follow each other, however the pieces lie."""
    large = b"data: " + b"x" * 1_000_000 + b"\n\n"
    for size in (65536, 100_000, 10_000_000):
        decoder = SSEDecoder()
        wire = large * 5
        events = [e for at in range(0, len(wire), size) for e in decoder.feed(wire[at : at + size])]
        assert [len(event.raw) for event in events] == [1_000_000] * 5


def test_small_pieces_of_a_long_line_cost_no_more_than_their_number() -> None:
    """A million characters, byte by byte: each byte is looked at once."""
    decoder = SSEDecoder()
    started = time.process_time()
    decoder.feed(b"data: ")
    for _ in range(200_000):
        decoder.feed(b"xxxxx")
    [event] = decoder.feed(b"\n\n")
    assert len(event.raw) == 1_000_000
    assert time.process_time() - started < 3
