"""JSON as it comes and goes: what is exact, what is refused, and what is said of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callsheet import APIResponseValidationError, BadRequestError, Body, Event, Reply, Stream
from callsheet.drive import finish
from callsheet.jsontext import decode
from callsheet.routing.rewrite import with_managed_ids

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SURROGATES = st.text(st.characters(categories=["Cs", "Ll"]), max_size=6)


class Once:
    """A source of one event."""

    def __init__(self, event: Event) -> None:
        self.event = event

    async def __anext__(self) -> Event:
        return self.event

    async def aclose(self) -> None: ...


def read(text: str | bytes) -> Any:
    return Reply(200, {}, text if isinstance(text, bytes) else text.encode()).json()


def written(document: object) -> bytes:
    body = Body.json(document)
    assert all(isinstance(part, bytes) for part in body.parts)
    return b"".join(part for part in body.parts if isinstance(part, bytes))


@settings(max_examples=400)
@given(TREES | SURROGATES)
@example([2**63, -(2**63) - 1, 2**64, 10**400, -0.0, 0.1, 1e308, 5e-324])
@example({"b": None, "a": {"z": 1, "y": []}, "": 0})
@example("\ud800 alone, \udc00\ud800 the wrong way round, \U0001f600 whole")
@example("\x00\u2028\u2029\ufeff</script>")
def test_what_was_read_is_written_as_the_same(document: Any) -> None:
    document = json.loads(
        json.dumps(document)
    )  # what JSON can say: two halves of a pair, side by side, are one character
    again = read(written(document))
    assert again == document
    assert json.dumps(again) == json.dumps(document)  # key order, -0.0, 1 and 1.0 told apart


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e400", 10**400),
        ("-1.5E400", -15 * 10**399),
        pytest.param("1e4299", 10**4299, id="as long as Python lets integers be"),
        ("9" * 400 + ".5", int("9" * 400)),  # no float holds it; a whole number does, all but the half
        ("1e308", 1e308),
        ("9223372036854775808", 2**63),
        ("-0.0", -0.0),
        ("1.0", 1.0),
        ("1E2", 100.0),
        ("1e-400", 0.0),
        ('"\\ud800"', "\ud800"),
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_how_odd_values_are_read(text: str, value: object) -> None:
    assert read(text) == value
    assert Body.json(read(text)).size
    assert type(read(text)) is type(value)


def test_numbers_beyond_floats_go_back_in_digits() -> None:
    assert json.loads(written(read("[1e400]"))) == [10**400]
    assert written(read("[1e400]")) == b"[1" + b"0" * 400 + b"]"


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?", fullmatch=True))
def test_any_number_is_read_or_refused(text: str) -> None:
    try:
        value = decode(text)
    except ValueError:
        return
    assert math.isfinite(value) if isinstance(value, float) else value == int(value)


@pytest.mark.parametrize(
    "text",
    ["1e4300", "-1e999999999", "1e9999999999999999999", "9" * 5000, "1" + "0" * 4300 + ".0e1", "[", "", "nul", b"\xff"],
)
def test_what_cant_be_read(text: str | bytes) -> None:
    with pytest.raises(APIResponseValidationError, match="where JSON was expected"):
        read(text)


def test_nan_is_read_and_refused_when_it_is_sent() -> None:
    """Some servers write it though it is no JSON. What it stands in is not lost for it; it can't be passed on."""
    read_back = read('{"logprob": NaN, "other": -Infinity}')
    assert math.isnan(read_back["logprob"])
    for value in read_back.values():
        with pytest.raises(BadRequestError, match="can't be written as JSON: .*not JSON compliant"):
            Body.json({"x": value})


def test_events_are_read_and_rewritten_as_exactly() -> None:
    """A response's own events are decoded to manage its ids: nothing else in them may change."""
    text = '{"type":"response.completed","response":{"id":"resp_1","big":1e400,"odd":"\\ud800","one":1.0,"n":null}}'
    stream = Stream(Once(Event("response.completed", text)))
    event = finish(with_managed_ids(stream, lambda id, _kind: f"managed-{id}").__anext__())
    assert event.data["response"] == {"id": "managed-resp_1", "big": 10**400, "odd": "\ud800", "one": 1.0, "n": None}
    assert '"one":1.0,"n":null' in event.raw
