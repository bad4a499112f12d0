"""What headers say about when to come back: read leniently, obeyed within reason, and never an error."""

from __future__ import annotations

import statistics
import time
from email.utils import formatdate
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callsheet import APIConnectionError, GetVideo, Provider, ProviderSettings, status_error
from callsheet import headers as hints
from callsheet.io import Sent
from callsheet.operations import OPERATIONS
from callsheet.routing.retry import MAX_ATTEMPTS, MAX_HINT, delay_before_retry

ANYTHING = st.one_of(
    st.text(max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S -0000")),
    st.from_regex(
        r"(Mon|Tue), \d{1,3} (Jan|Feb|Foo) \d{1,6} \d{1,3}:\d\d(:\d\d)? ?(GMT|EST|[+-]\d{4,6})?", fullmatch=True
    ),
)


@settings(max_examples=500, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "openai-poll-after-ms", "x-should-retry"]), ANYTHING
    )
)
@example({"retry-after": "-1"})
@example({"retry-after": "nan"})
@example({"retry-after": "inf", "retry-after-ms": "1e400"})
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 GMT"})
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 -0000"})
@example({"retry-after": "Fri, 31 Dec 9999 23:59:59 -9999"})
@example({"retry-after": "Fri, 31 Dec 9999 23:59:59 -0000"})
@example({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"})
@example({"retry-after": "Mon, 01 Jan 2026 00:00:00 +99999999999"})
def test_never_negative_and_never_an_error(headers: dict[str, str]) -> None:
    for seconds in (hints.retry_after(headers), hints.retry_after(headers, now=0.0), hints.poll_after(headers)):
        assert seconds is None or (0 <= seconds < float("inf"))
    assert hints.should_retry(headers) in {True, False, None}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "99"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": formatdate(1_000_060, usegmt=True)}, 60.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
    ],
)
def test_the_three_spellings(headers: dict[str, str], seconds: float | None) -> None:
    assert hints.retry_after(headers, now=1_000_000) == seconds


@define
class SeenIO:
    """Just what the decision looks at."""

    provider: Any = field(factory=lambda: Provider(ProviderSettings()))
    outcome: str = "not_sent"
    sent: list[Any] = field(factory=lambda: [Sent("GET", False, "maybe")])
    deadline: float = field(factory=lambda: time.monotonic() + 1000)


def delay(error: Any, number: int = 1) -> float | None:
    return delay_before_retry(OPERATIONS["get_video"], GetVideo(video_id="v"), error, SeenIO(), number)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e9), st.integers(1, 5))
def test_delays(hint: float, number: int) -> None:
    """A hint is kept, with up to a tenth of jitter; beyond two minutes there is no other attempt; three at most."""
    waited = delay(status_error(500, "x", retry_after=hint), number)
    if number >= MAX_ATTEMPTS or hint > MAX_HINT:
        assert waited is None
    elif hint > 0:
        assert waited is not None
        assert hint <= waited <= hint * 1.1
    else:
        assert waited is not None
        assert 0 <= waited <= 2


def test_the_upstreams_word_is_bound_like_all_others() -> None:
    """By the number of attempts, and by a hint that is too long; and nothing that may be paid for follows it."""
    yes = status_error(404, "x", should_retry=True)
    assert [delay(yes, number) is None for number in (1, 2, 3)] == [False, False, True]
    assert delay(status_error(404, "x", should_retry=True, retry_after=MAX_HINT + 1)) is None
    assert delay(status_error(404, "x")) is None
    paid, io = evolve(OPERATIONS["get_video"], billable=True), SeenIO()
    assert delay_before_retry(paid, GetVideo(video_id="v"), yes, io, 1) is None  # type: ignore[arg-type]


def test_without_a_hint_the_delay_is_spread_over_the_whole_span() -> None:
    """Full jitter: those who failed together don't come back together."""
    for number, longest in ((1, 1.0), (2, 2.0)):
        waits = [delay(APIConnectionError("x"), number) or 0.0 for _ in range(2000)]
        assert min(waits) < longest * 0.02
        assert longest * 0.98 < max(waits) <= longest
        assert abs(statistics.mean(waits) - longest / 2) < longest * 0.05


def test_no_second_attempt_without_a_first_request() -> None:
    """An error before anything was sent is a local one: asking again would meet it again."""
    io: Any = SeenIO(sent=[])
    assert delay_before_retry(OPERATIONS["get_video"], GetVideo(video_id="v"), APIConnectionError("x"), io, 1) is None


@pytest.mark.parametrize(
    ("spelled", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("50.529s", 50.529),
        ("1h2m3.5s", 3723.5),
        ("10", 10.0),
        ("300", 300.0),
        ("17µs", 17e-6),
        ("soon", None),
        ("", None),
        ("s", None),
        ("1s ", None),
        ("-1s", None),
        ("1.s", None),
        ("١s", None),
    ],
)
def test_when_a_limit_is_whole_again(spelled: str, seconds: float | None) -> None:
    """Go's durations, and plain seconds."""
    told = hints.reset_after({"x-ratelimit-reset-requests": spelled, "x-ratelimit-limit-requests": "5"})
    assert told == ({} if seconds is None else {"requests": pytest.approx(seconds)})


@given(st.text(max_size=20))
def test_odd_resets_are_no_error(text: str) -> None:
    told = hints.reset_after({"x-ratelimit-reset-tokens": text})
    assert all(0 <= seconds < float("inf") for seconds in told.values())
