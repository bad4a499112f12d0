"""Group T: answers that come event by event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from callsheet import BadRequestError, CallsheetError, Download, Event, Stream
from callsheet.testing.faults import Fault
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import MODES, Bench, Desk
from callsheet.testing.kit.catalogue import check, comes_in_pieces, streams
from callsheet.testing.kit.grammar import complaint, texts_of
from callsheet.testing.kit.samples import sample
from callsheet.testing.kit.upsets import inserted, recut, watched_stream
from callsheet.testing.wire import Wire

__all__ = ["StreamTests"]

EXAMPLES = settings(
    max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


class StreamTests(KitTests):
    """T01 to T08."""

    @check("T01", over=streams, vendor=False)
    def test_t01_order(self, bench: Bench, operation: str) -> None:
        """Events come in the order that OpenAI's clients rely on, with one end.

        If this fails: of responses, the first event is response.created and the last response.completed; of chat, the
        last chunk of each choice has a finish_reason.
        """
        for mode in MODES:
            events, error = followed(bench, operation, mode=mode)
            assert error is None, f"{mode}: {error!r}"
            assert (wrong := complaint(operation, events)) is None, f"{mode}: {wrong}"

    @check("T02", over=streams)
    def test_t02_any_cut(self, bench: Bench, operation: str) -> None:
        """However the bytes are cut, and whatever the standard allows besides, the events are the same.

        If this fails: read events by core's SSEEvents (or open_stream), never by lines or chunks of your own.
        """
        plainly, error = followed(bench, operation)
        assert error is None, repr(error)

        @settings(EXAMPLES, phases=(Phase.explicit, Phase.generate))
        @given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.sampled_from(sorted(WAYS)))
        def holds(sizes: list[int], way: str) -> None:
            def cuts(content: bytes) -> Sequence[bytes]:
                return _pieces(WAYS[way](content) if b"data:" in content else content, sizes)

            events, error = followed(bench, operation, before=lambda wire: wire.fail(None, recut(cuts)))
            assert error is None, f"{way}, pieces of {sizes[:5]}: {error!r}"
            same = [event.data for event in events] == [event.data for event in plainly]
            assert same, f"{way}, pieces of {sizes[:5]}: other events"

        holds()

    @check("T03", over=streams)
    def test_t03_nothing_is_lost(self, bench: Bench, operation: str) -> None:
        """The deltas make the text that the vendor said, no more and no less, and its count of tokens arrives.

        If this fails: a delta is lost, doubled or trimmed, or chunks without choices are dropped: usage comes in one.
        """
        said = bench.wire().reply
        events, error = followed(bench, operation)
        assert error is None, repr(error)
        texts = texts_of(operation, events)
        assert said in texts, f"the vendor said {said!r}, and the deltas make {texts!r}"
        if operation == "chat_completions":
            sent: list[bytes] = []
            options = {"stream_options": {"include_usage": True}}
            events, error = followed(bench, operation, before=partial(_fail, watched_stream(sent)), more=options)
            refused = isinstance(error, BadRequestError) and error.param == "stream_options"
            told = any(b'"usage":{' in piece.replace(b" ", b"") for piece in sent)
            assert refused or not told or any(event.data.get("usage") for event in events), "the usage is lost"

    @check("T04", over=comes_in_pieces)
    def test_t04_leaving_early(self, bench: Bench, operation: str) -> None:
        """Whoever leaves a stream or a download early closes the connection at once.

        If this fails: give the Stream a source whose `aclose` closes the answer; an async generator that nobody closes
        does not.
        """
        for mode in MODES:
            wire = bench.wire(reply="word " * 500, video_bytes=2**20)

            async def scene(desk: Desk, wire: Wire = wire, mode: str = mode) -> None:
                fields = await sample(desk, operation)
                wire.fail(None, watched_stream([], pause=0.05), times=2)
                stream = await opened(desk, operation, fields)
                await stream.__anext__()
                assert wire.connections, "no connection is open while events come"
                await stream.aclose()
                for _ in range(100):
                    if not wire.connections:
                        return
                    await desk.pause(0.02)
                pytest.fail(f"{mode}: the connection was still open two seconds after {operation} was closed")

            bench.play(scene, mode, wire, real=True)

    @check("T05", over=streams)
    def test_t05_cut_off(self, bench: Bench, operation: str) -> None:
        """A stream that breaks off gives all that came, and then an error: by a reset, or by ending without its last event.

        If this fails: an answer that was cut in half is taken for a whole one, or an event waits for the next one to come.
        `open_stream` looks for the last event.
        """
        for fault in (Fault.reset_in_stream(after_content=True, pause=0), Fault.stream_without_end()):
            events, error = followed(bench, operation, before=partial(_fail, fault))
            assert error is not None, f"{fault.name}: no error after {len(events)} events"
            assert any(texts_of(operation, events)), f"{fault.name}: the text that came before it was lost"

    @check("T06", over=comes_in_pieces)
    def test_t06_no_buffering(self, bench: Bench, operation: str) -> None:
        """The first event, or the first piece of a file, is handed out before the vendor has sent the next ones.

        If this fails: hand things out as they come, instead of reading the answer to its end first.
        """
        sent: list[bytes] = []

        async def scene(desk: Desk) -> int:
            assert desk.wire is not None
            fields = await sample(desk, operation)
            desk.wire.fail(None, watched_stream(sent), times=2)
            stream = await opened(desk, operation, fields)
            await stream.__anext__()
            far = len(sent)
            await stream.aclose()
            return far

        far = bench.play(scene, wire=bench.wire(reply="word " * 50, video_bytes=2**20))
        assert far <= 4, f"{operation}: the first piece was handed out when {far} had been sent"

    @check("T07", over=streams)
    def test_t07_unknown_events(self, bench: Bench, operation: str) -> None:
        """An event that nobody knows harms nothing; an adapter of OpenAI's wire hands it on.

        If this fails: let events be that you do not know.
        """
        odd = bench.wire().unknown_event
        if odd is None:
            pytest.skip("the wire could not tell an event that is unknown")
        sent: list[bytes] = []
        followed(bench, operation, before=partial(_fail, watched_stream(sent)))
        events, error = followed(bench, operation, before=partial(_fail, inserted(odd)))
        assert error is None, repr(error)
        known = [event for event in events if b"x_weather" not in event.raw.encode()]
        assert bench.wire().reply in texts_of(operation, known), "the text is no longer whole"
        of_our_shape = any(b'"choices"' in piece or b'"response.' in piece for piece in sent)
        if of_our_shape:  # what is handed on, is handed on whole
            assert len(known) < len(events), "the event that the adapter does not know is lost"

    @check("T08", over=streams)
    def test_t08_error_event(self, bench: Bench, operation: str) -> None:
        """An error that is told in the middle of a stream is raised.

        If this fails: it was handed out like any other event, or taken for the end. `open_stream` raises it.
        """
        said = bench.wire().error_event
        if said is None:
            pytest.skip("this vendor tells no errors in streams")
        for end in (True, False):
            events, error = followed(bench, operation, before=partial(_fail, inserted(said, end=end)))
            assert error is not None, f"the error was not raised; {len(events)} events came"


def _fail(fault: Fault, wire: Wire) -> None:
    wire.fail(None, fault)


def followed(
    bench: Bench,
    operation: str,
    *,
    mode: str = "sync",
    before: Callable[[Wire], Any] | None = None,
    more: dict[str, Any] | None = None,
) -> tuple[list[Event], CallsheetError | None]:
    """All events of an answer, and the error that ended it."""

    async def scene(desk: Desk) -> tuple[list[Event], CallsheetError | None]:
        fields = await sample(desk, operation)
        if before is not None and desk.wire is not None:
            before(desk.wire)
        events: list[Event] = []
        try:
            stream = await opened(desk, operation, {**fields, **(more or {})})
            async with stream:
                async for event in stream:
                    assert isinstance(event, Event)
                    events.append(event)
        except CallsheetError as error:
            return events, error
        return events, None

    return bench.play(scene, mode)


async def opened(desk: Desk, operation: str, fields: dict[str, Any]) -> Stream | Download:
    """The stream of an answer, or the download. Skips where the provider refuses to stream."""
    if operation == "download_video":
        download: Download = await desk.call(operation, **fields)
        return download
    try:
        stream = await desk.call(operation, **{**fields, "stream": True})
    except BadRequestError as error:
        if error.param == "stream":
            pytest.skip(f"{operation} refuses to stream: {error}")
        raise
    assert isinstance(stream, Stream), f"{operation} with stream=True returned {type(stream).__name__}, not a Stream"
    return stream


def _pieces(content: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, place, number = [], 0, 0
    while place < len(content):
        size = sizes[number % len(sizes)]
        pieces.append(content[place : place + size])
        place, number = place + size, number + 1
    return pieces


def _several_lines(content: bytes) -> bytes:
    """Each document on two lines of data."""
    return content.replace(b"data: {", b"data: {\ndata: ")


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "lone CR": lambda content: content.replace(b"\n", b"\r"),
    "comments": lambda content: b": hello\n\n" + content.replace(b"\n\n", b"\n\n: still here\n\n"),
    "byte-order mark": lambda content: b"\xef\xbb\xbf" + content,
    "several lines": _several_lines,
    "no blank after the colon": lambda content: content.replace(b"data: ", b"data:"),
}
"""What the standard of server-sent events allows."""
