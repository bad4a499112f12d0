"""Streams that break off: what a server told of its usage on the way is not what the call cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway.tests.odd import Items
from gateway.tests.till import ASKED, CHAT, Till, entries, soon

from callsheet import CreateChatCompletion, CreateResponse, Event, Stream
from callsheet.routing import CallRecord
from callsheet.routing.usage import on_usage
from callsheet.testing import FakeUpstream, Fault
from callsheet_gateway.ledger.endings import ending_of

Choice = tuple[str | None, str | None]
"""A choice's text and finish_reason."""
NONE, TEXT, STOP, BOTH = ("", None), ("x", None), (None, "stop"), ("x", "stop")


def chunk(used: int | None, *choices: Choice) -> Event:
    said = [
        {"index": index, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
        for index, (text, reason) in enumerate(choices)
    ]
    usage = None if used is None else {"prompt_tokens": 10, "completion_tokens": used}
    return Event.of("message", {"model": "m", "choices": said, "usage": usage})


def turn(type: str, status: str | None, used: int | None) -> Event:
    usage = None if used is None else {"input_tokens": 10, "output_tokens": used}
    response = {"id": "resp_1", "object": "response", "model": "m", "status": status, "usage": usage}
    return Event.of(type, {"type": type, "sequence_number": 0, "response": response})


@pytest.mark.parametrize(
    ("n", "chunks", "over"),
    [
        (1, [chunk(None, TEXT), chunk(None, STOP), chunk(2)], True),  # OpenAI's
        (1, [chunk(None, TEXT), chunk(2, STOP)], True),
        (1, [chunk(None, TEXT), chunk(None, STOP), chunk(2, NONE)], True),
        (1, [chunk(0, NONE), chunk(1, TEXT), chunk(2, BOTH)], True),  # what was used so far, each time
        (1, [chunk(0, NONE), chunk(1, TEXT), chunk(2, STOP), chunk(2)], True),
        (1, [chunk(None, STOP), chunk(2), chunk(None)], True),
        (1, [chunk(None, STOP), chunk(2), chunk(None, NONE)], True),
        (1, [chunk(None, TEXT), chunk(2), Event("message", "{")], True),
        (1, [chunk(2)], False),
        (1, [chunk(0, NONE)], False),
        (1, [chunk(0, NONE), chunk(1, TEXT)], False),
        (1, [chunk(0), chunk(None, TEXT)], False),
        (1, [chunk(0), chunk(1, TEXT)], False),
        (1, [chunk(1, TEXT), chunk(None, TEXT)], False),
        (1, [chunk(1, TEXT), chunk(None, STOP)], False),
        (1, [chunk(1, ("x", ""))], False),
        (2, [chunk(None, TEXT, TEXT), chunk(None, STOP, STOP), chunk(2)], True),
        (2, [chunk(1, TEXT, TEXT), chunk(2, STOP, TEXT), chunk(3, NONE, STOP)], True),
        (2, [chunk(1, TEXT, TEXT), chunk(2, STOP, TEXT)], False),
    ],
)
def test_what_can_be_the_last_chunk(n: int, chunks: list[Event], over: bool) -> None:
    _plays(CreateChatCompletion(messages=[], n=n), chunks, over)


@pytest.mark.parametrize(
    ("events", "over"),
    [
        ([turn("response.created", "in_progress", None), turn("response.completed", "completed", 2)], True),
        ([turn("response.created", "queued", 0), turn("response.incomplete", "incomplete", 2)], True),
        ([turn("response.created", "in_progress", 0), turn("response.failed", None, 2)], True),
        ([turn("message", "in_progress", 0), turn("message", "cancelled", 2)], True),
        ([turn("response.created", "in_progress", 0)], False),
        ([turn("response.created", None, 0)], False),
        ([turn("response.created", "queued", 0), turn("response.in_progress", "in_progress", 1)], False),
        ([turn("response.created", "in_progress", 0), turn("response.failed", "failed", None)], False),
        ([Event.of("response.odd", {"usage": {"input_tokens": 1}})], False),
    ],
)
def test_what_can_be_the_last_event(events: list[Event], over: bool) -> None:
    _plays(CreateResponse(input="Hi"), events, over)


def _plays(request: CreateChatCompletion | CreateResponse, events: list[Event], over: bool) -> None:
    call = CallRecord()
    ending = ending_of(request, call)

    async def play() -> None:
        stream = Stream(Items(*events))
        on_usage(stream, lambda usage: setattr(call, "usage", usage))
        assert [event async for event in stream.tap(ending.look)] == events

    asyncio.run(play())
    assert call.usage is not None
    assert ending.usage is (call.usage if over else None)


class Talks(FakeUpstream):
    """Tells with each event what was used so far."""

    def annotate_events(self, kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if kind == "chat":
            usage = [{"prompt_tokens": 19, "completion_tokens": min(10, number)} for number in range(len(events))]
            return [event | {"usage": event.get("usage") or used} for event, used in zip(events, usage, strict=True)]
        for event in events:
            if "response" in event and event["response"]["usage"] is None:
                event["response"]["usage"] = {"input_tokens": 1, "output_tokens": 0}
        return events


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Till]:
    wire = Talks()
    with wire.serve() as url:
        house = Till(tmp_path / "house", wire, url)
        house.config = {"model_list": entries(url)}
        for entry in house.config["model_list"]:
            entry["litellm_params"] |= {"stream_usage": True}
        yield house


ASKS = [("/chat/completions", CHAT), ("/responses", ASKED)]


@pytest.mark.parametrize(("path", "asked"), ASKS)
def test_a_stream_that_breaks_off_is_unknown(shut: Till, path: str, asked: dict[str, Any]) -> None:
    with shut.open():
        shut.wire.fail(f"POST {path}", Fault.reset_in_stream(after_content=True))
        assert '"error"' in shut.post(path, {**asked, "stream": True}).text
        charge = shut.one("unknown")
        assert (charge["cost"], charge["usage"]) == (None, None)
        assert charge["reserved"] >= shut.wire.book.bill()


@pytest.mark.parametrize(("path", "asked"), ASKS)
def test_one_that_ends_costs_what_it_says_there(shut: Till, path: str, asked: dict[str, Any]) -> None:
    with shut.open():
        assert '"error"' not in shut.post(path, {**asked, "stream": True}).text.replace('"error":null', "")
        assert shut.one("settled")["cost"] == shut.wire.book.bill() > 0


@pytest.mark.parametrize(("path", "asked"), ASKS)
def test_one_whose_client_leaves_is_unknown(shut: Till, path: str, asked: dict[str, Any]) -> None:
    with shut.open():
        shut.wire.fail(f"POST {path}", Fault.reset_in_stream(after_content=True, pause=3.0))
        document = {**asked, "stream": True}
        with shut.http.stream("POST", path, json=document, headers=shut.headers()) as answer:
            assert next(answer.iter_lines())
        assert shut.one("unknown")["usage"] is None


def test_one_in_the_background_goes_on(shut: Till) -> None:
    """Whoever follows it, and is cut off, too, has not seen what it cost either."""
    with shut.open():
        shut.wire.fail("POST /responses", Fault.reset_in_stream(after_content=True))
        told = shut.post("/responses", {**ASKED, "background": True, "stream": True}).text
        id = shut.one("running")["resource"]
        assert id in told
        shut.wire.fail("GET /responses/{response_id}", Fault.reset_in_stream(after_content=True))
        assert '"error"' in shut.ask("GET", f"/responses/{id}", params={"stream": "true"}).text
        time.sleep(0.2)
        assert shut.states() == ["running"]
        assert "response.completed" in shut.ask("GET", f"/responses/{id}", params={"stream": "true"}).text
        soon(lambda: shut.states() == ["settled"])
        assert shut.sum() == shut.wire.book.bill() > 0
