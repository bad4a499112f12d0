"""Streams that break in the middle: their status was sent, and what went wrong still stands in their record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest
from gateway.tests.odd import Items, Odd, over

from callsheet import APIConnectionError, BadRequestError, Event, RateLimitError, Stream, Video
from callsheet_gateway.metrics import Metrics
from callsheet_gateway.request_record import RequestRecord

CHUNK = Event("message", '{"model":"m","choices":[]}')
BODIES: dict[str, dict[str, object]] = {"/chat/completions": {"messages": []}, "/responses": {"input": "x"}}


@pytest.fixture
def records() -> list[RequestRecord]:
    return []


@pytest.fixture
def http(records: list[RequestRecord], monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(Metrics, "tell", lambda _, record: records.append(record))
    with over(Odd, event_pause=0.01) as client:
        yield client


def record_of(answer: httpx.Response, records: list[RequestRecord]) -> RequestRecord:
    until, id = time.monotonic() + 5, answer.headers["x-request-id"]
    while not (found := [record for record in records if record.id == id]):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found[0]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequestError("too long", code="context_length_exceeded"), "context_length_exceeded"),
        (APIConnectionError("gone"), "APIConnectionError"),
        (ZeroDivisionError("sk-secret"), "internal_error"),
        (None, None),
    ],
)
def test_what_broke_a_stream_is_remembered(
    http: httpx.Client,
    records: list[RequestRecord],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    error: Exception | None,
    code: str | None,
) -> None:
    for name in ("responses", "chat_completions"):
        monkeypatch.setitem(Odd.does, name, lambda _: Stream(Items(CHUNK, *([error] if error else []))))
    answer = http.post(path, json={"model": "odd/m", "stream": True, **BODIES[path]})
    record = record_of(answer, records)
    assert (record.status, record.error) == (200, code)
    if code == "internal_error":
        assert f"{record.id} POST '/v1{path}': ZeroDivisionError at odd.py:" in caplog.text
    else:
        assert not [record for record in caplog.records if "costs at provider" not in record.getMessage()]


def looks_like(looks: Sequence[Video | Exception], seconds: float) -> Callable[[object], Video]:
    left = list(looks)

    def look(_request: object) -> Video:
        time.sleep(seconds if len(left) < len(looks) else 0)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return look


def progress(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, *looks: Video | Exception, seconds: float = 0
) -> httpx.Response:
    """A job's progress, whose looks are given. All but the first take `seconds`."""
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued"))
    monkeypatch.setitem(Odd.does, "get_video", looks_like(looks, seconds))
    id = http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}).json()["id"]
    return http.get(f"/videos/{id}/events")


UNDER_WAY = Video(id="v", status="in_progress")


def test_what_broke_a_jobs_progress_is_remembered(
    http: httpx.Client, records: list[RequestRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = progress(http, monkeypatch, UNDER_WAY, RateLimitError("slow", code="too_fast"))
    assert "event: error" in answer.text
    record = record_of(answer, records)
    assert (record.status, record.error) == (200, "too_fast")


def test_one_look_of_a_jobs_progress_counts(
    http: httpx.Client, records: list[RequestRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one call: the seconds of the looks that follow, and the outages among them, are not added to it."""
    done = Video(id="v", status="completed")
    answer = progress(http, monkeypatch, *[UNDER_WAY] * 4, APIConnectionError("gone"), done, seconds=0.15)
    assert "event: video.completed" in answer.text
    record = record_of(answer, records)
    assert (record.status, record.error) == (200, None)
    assert (record.call.provider, record.call.attempts) == ("odd", 1)
    assert record.call.seconds < 0.4  # of 0.75
