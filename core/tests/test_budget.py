"""The retry budget: a burst is bounded by a bucket, the long run by a share, and success earns it back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.server import Server, error_answer, json_answer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from callsheet import APIStatusError
from callsheet.routing.budget import ALWAYS, FULL, SHARE, WINDOW, RetryBudget


class Machine(RuleBasedStateMachine):
    """Any order of calls, successes and retries."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget()
        self.granted = self.calls = 0

    @rule(many=st.integers(1, 200))
    def call(self, many: int) -> None:
        for _ in range(many):
            self.budget.began()
        self.calls += many

    @rule(many=st.integers(1, 700))
    def succeed(self, many: int) -> None:
        for _ in range(many):
            self.budget.succeeded()

    @rule(throttled=st.booleans())
    def retry(self, throttled: bool) -> None:
        before = self.budget.tokens
        granted = self.budget.spend(throttled)
        self.granted += granted
        assert before - self.budget.tokens == (0 if not granted else 5 if throttled else 14)

    @invariant()
    def bounded(self) -> None:
        assert 0 <= self.budget.tokens <= FULL
        assert self.granted <= SHARE * self.calls + ALWAYS


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("calls", [1, 10, 100, 1000])
def test_an_upstream_that_is_down_is_asked_little_more_often(calls: int) -> None:
    budget, asked = RetryBudget(), 0
    for _ in range(calls):
        budget.began()
        asked += 1
        for _ in range(2):
            asked += budget.spend(throttled=False)
    assert asked <= calls * (1 + SHARE) + ALWAYS
    assert calls < 1000 or asked <= calls * 1.04  # the bucket is empty by then


def test_a_first_call_has_its_two_retries() -> None:
    budget = RetryBudget()
    budget.began()
    assert [budget.spend(throttled=False) for _ in range(2)] == [True, True]


async def test_a_client_stops_asking_twice(mode: Mode, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so; another account has its own budget, and when the upstream is back success earns retries back."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)
    server.on("/videos/v1", error_answer(500))
    client: Any = mode.client(server)
    for _ in range(20):
        with pytest.raises(APIStatusError) as caught:
            await client.get_video(video_id="v1", provider="wire")
    assert len(server.seen) == 20 + 4 + 3
    assert "too many calls to this account have failed" in caught.value.__notes__[0]
    other: Any = mode.client(server, "polite")
    with pytest.raises(APIStatusError):
        await other.get_video(video_id="v1", provider="polite")
    assert len(server.seen) == 27 + 3
    server.on("/videos/v1", json_answer({"id": "v1", "status": "queued"}))
    for _ in range(10):
        await client.get_video(video_id="v1", provider="wire")
    server.on("/videos/v1", error_answer(500), json_answer({"id": "v1", "status": "queued"}))
    assert (await client.get_video(video_id="v1", provider="wire")).meta.attempts == 2


def test_what_was_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute the bucket is full again, and the past counts by half."""
    budget, now = RetryBudget(), [time.monotonic()]
    monkeypatch.setattr("callsheet.routing.budget.time.monotonic", lambda: now[0])
    for _ in range(200):
        budget.began()
        budget.spend(throttled=False)
    assert budget.tokens < 14
    assert not budget.spend(throttled=False)
    retries = budget.retries
    now[0] += WINDOW + 1
    budget.began()
    assert (budget.tokens, budget.calls, budget.retries) == (FULL, 101, retries // 2)
    assert budget.spend(throttled=False)


async def test_one_models_failures_are_not_anothers(
    mode: Mode, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)
    server.on("/responses", error_answer(429))
    client: Any = mode.client(server)
    for _ in range(8):
        with pytest.raises(APIStatusError):
            await client.responses(model="wire/bad", input="hi")
    before = len(server.seen)
    with pytest.raises(APIStatusError):
        await client.responses(model="wire/good", input="hi")
    assert len(server.seen) - before == 3
