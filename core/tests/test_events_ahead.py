"""Events that came in one piece can be had without waiting for each: what is got is the same, in the same order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import APIError, APIResponseValidationError, Event, Stream
from callsheet.drive import finish
from callsheet.envelope import error_in_answer
from callsheet.event_stream import Checked, Kind


class Pieces:
    """An answer whose body comes in these pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.left, self.taken, self.closed = iter(pieces), 0, False

    async def __anext__(self) -> bytes:
        for piece in self.left:
            self.taken += 1
            return piece
        raise StopAsyncIteration

    async def drain(self, seconds: float = 1.0) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self.closed = True


def stream_of(pieces: Iterable[bytes], kind: Kind = "chat") -> tuple[Stream, Pieces]:
    answer = Pieces(pieces)
    return Stream(Checked(answer, kind, error_in_answer)), answer  # type: ignore[arg-type]  # as much as is needed of one


def all_of(stream: Stream, ahead: bool) -> list[object]:
    """Each event's type and text, and at the end what ended the stream."""
    got: list[object] = []
    try:
        while True:
            event = finish(anext(stream))
            got += [(event.type, event.raw) for event in ([event, *stream.ready(2)] if ahead else [event])]
    except StopAsyncIteration:
        return [*got, "end"]
    except APIError as error:
        return [*got, (type(error), error.message)]


FRAMES = st.sampled_from(
    [
        'data: {"n":1}\n\n',
        'event: response.output_text.delta\ndata: {"delta":"a"}\n\n',
        'data: {"type":"response.output_text.delta"}\n\n',
        'event: response.completed\ndata: {"type":"response.completed"}\n\n',
        "data: [DONE]\n\n",
        "data:  [DONE] \n\n",
        "event: x\ndata: [DONE]\n\n",
        "data:\n\n",
        'data: {"error":{"message":"over"}}\n\n',
        'event: error\ndata: {"message":"over"}\n\n',
        'event: x\ndata: {"delta":"\\"error\\""}\n\n',
        ": still here\n\n",
        'data: {"a":\r\ndata: 2}\r\n\r\n',
    ]
)


@given(st.lists(FRAMES, max_size=8), st.sampled_from(["chat", "responses"]), st.integers(1, 200))
@example(['data: {"n":1}\n\n'] * 5 + ["data: [DONE]\n\n"], "chat", 200)
def test_it_is_the_same_one_by_one(frames: list[str], kind: Kind, size: int) -> None:
    wire = "".join(frames).encode()
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert all_of(stream_of(pieces, kind)[0], ahead=True) == all_of(stream_of(pieces, kind)[0], ahead=False)


def test_nothing_is_read_for_them() -> None:
    stream, answer = stream_of([b"data: 1\n\ndata: 2\n\ndata: 3\n\n", b"data: 4\n\n"])
    assert stream.ready() == []
    assert finish(anext(stream)).raw == "1"
    assert [event.raw for event in stream.ready(1)] == ["2"]
    assert [event.raw for event in stream.ready()] == ["3"]
    assert stream.ready() == []
    assert answer.taken == 1
    finish(stream.aclose())
    assert answer.closed


def test_who_looks_sees_each_one_changed_and_once() -> None:
    seen: list[str] = []
    ends: list[BaseException | None] = []
    stream, _ = stream_of([b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"])
    stream.change(lambda event: Event(event.type, f"<{event.raw}>")).tap(
        lambda event: seen.append(event.raw), ends.append
    )
    assert all_of(stream, ahead=True) == [("message", "<1>"), ("message", "<2>"), "end"]
    assert (seen, ends) == (["<1>", "<2>"], [None])


@pytest.mark.parametrize("ahead", [True, False])
def test_what_fails_comes_after_what_was_before_it(ahead: bool) -> None:
    ends: list[BaseException | None] = []

    def change(event: Event) -> Event:
        if event.raw == "3":
            raise APIResponseValidationError("sk-secret-of-theirs is odd")
        return event

    stream, answer = stream_of([b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"])
    stream.change(change).tap(on_end=ends.append).hide(["sk-secret-of-theirs"])
    assert all_of(stream, ahead) == [
        ("message", "1"),
        ("message", "2"),
        (APIResponseValidationError, "[secret] is odd"),
    ]
    assert answer.closed
    assert [type(end) for end in ends] == [APIResponseValidationError]
    assert stream.ready() == []


def test_a_source_that_knows_nothing_of_it_has_none() -> None:
    class Items:
        ready = True  # somebody's own

        async def __anext__(self) -> Event:
            return Event("message", "1")

        async def aclose(self) -> None:
            pass

    source: Any = Items()
    stream = Stream(source)
    assert finish(anext(stream)).raw == "1"
    assert stream.ready() == []


@pytest.mark.parametrize(
    ("raw", "document"),
    [('{"a": 1}', {"a": 1}), ("[1]", {}), ("null", {}), ("[DONE]", {}), ("{", {}), ("[" * 100_000, {}), ("", {})],
)
def test_the_document_of_an_event_is_an_object_in_any_case(raw, document):
    assert Event("message", raw).document == document
