"""What a deployment's limits and weights do: refusals before anything is sent, places that streams hold, shares."""

from __future__ import annotations

import gc
import math
import random
import threading
from collections import Counter
from typing import Any

import pytest
from core.tests.stepped import ACCOUNTS, World

from callsheet import CreateChatCompletion, RateLimitError
from callsheet.routing import Deployment, Models, Routing
from callsheet.routing.backend import Backend, Lease
from callsheet.routing.group import Group
from callsheet.routing.health import Health, HealthPolicy
from callsheet.routing.limiter import WINDOW, Limiter, Taken
from callsheet.routing.usage import estimated_tokens

TALK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}


def config(**limits: Any) -> dict[str, Any]:
    return {
        "accounts": [{"provider": "polite", "id": "east"}],
        "models": {"m": {"account": "east", "model": "up", **limits}},
    }


def group(*weights: float) -> Group:
    models = Models(Routing())
    return models.set("m", [Deployment(ACCOUNTS[n], "up", weight=weight) for n, weight in enumerate(weights)])


def picks(chosen: Group, times: int, now: float = 0.0) -> Counter[int]:
    found: Counter[int] = Counter()
    for _ in range(times):
        lease = chosen.begin(now)
        assert isinstance(lease, Lease)
        found[chosen.backends.index(lease.backend)] += 1
        lease.release(now)
    return found


@pytest.mark.parametrize("left_alone", [None, 1])
@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (5, 1, 2), (0, 2, 1), (0.2, 0.3, 0.5, 0)])
def test_shares_by_weight(weights: tuple[float, ...], left_alone: int | None) -> None:
    """I2: within three sigma in 10,000 choices, also while one is left alone."""
    random.seed(20261122)
    chosen = group(*weights)
    shares = [float(weight) for weight in weights]
    if left_alone is not None:
        chosen.backends[left_alone].health.ejected_until = 100.0
        shares[left_alone] = 0.0
    if not any(shares):
        shares = [1.0 if number != left_alone else 0.0 for number in range(len(shares))]
    found, times = picks(chosen, 10_000), 10_000
    for number, share in enumerate(shares):
        part = share / sum(shares)
        assert abs(found[number] - times * part) <= 3 * math.sqrt(times * part * (1 - part)), (number, found)


def test_a_weight_of_0_takes_what_nobody_else_can() -> None:
    chosen = group(1, 0)
    assert picks(chosen, 200) == {0: 200}
    chosen.backends[0].health.ejected_until = 100.0
    assert picks(chosen, 20) == {1: 20}


@pytest.mark.parametrize(
    ("limits", "calls", "seconds"),
    [({"rpm": 3}, 3, 60.0), ({"tpm": 250}, 2, 60.0), ({"max_parallel_requests": 2}, 2, 1.0)],
)
def test_what_is_full_refuses_before_anything_is_sent(limits: dict[str, int], calls: int, seconds: float) -> None:
    with World.of(config(**limits)) as world:
        for _ in range(calls):
            assert world.begin("chat_completions", **TALK).accounts == ["east"]
        refused = world.begin("chat_completions", **TALK)
        assert isinstance(refused.error, RateLimitError)
        assert (refused.error.status_code, refused.error.code) == (429, "deployments_at_limit")
        assert (refused.error.retry_after, refused.accounts) == (seconds, [])
        world.tick(seconds)
        if "max_parallel_requests" in limits:
            world.answer(world.calls[0], 0)
        assert world.begin("chat_completions", **TALK).accounts == ["east"]


def test_more_tokens_than_a_minute_has_never_go_through() -> None:
    with World.of(config(tpm=50)) as world:
        refused = world.begin("chat_completions", **TALK)
        assert isinstance(refused.error, RateLimitError)
        assert (refused.error.code, refused.error.retry_after, refused.accounts) == ("too_many_tokens", None, [])


def test_tokens_are_counted_as_the_provider_says() -> None:
    with World.of(config(tpm=250)) as world:
        first = world.begin("chat_completions", **TALK)
        assert world.begin("chat_completions", **TALK).accounts  # 100 each, by their length
        assert world.begin("chat_completions", **TALK).error
        world.answer(first, 20)
        assert world.begin("chat_completions", **TALK).accounts


@pytest.mark.parametrize(("n", "times"), [(None, 1), (1, 1), (7, 7)])
def test_each_answer_has_its_tokens(n: int | None, times: int) -> None:
    request = CreateChatCompletion(messages=TALK["messages"], max_completion_tokens=90, n=n)
    assert estimated_tokens(request) == 101 + 90 * times  # "user" is read, too


@pytest.mark.parametrize("used", [0, 50_000])
def test_what_was_never_counted_is_not_settled(used: int) -> None:
    """A limit that was lifted for a moment holds again as it did."""
    limiter = Limiter(tpm=1000)
    assert isinstance(limiter.take(0.0, 10), Taken)
    limiter.tpm, limiter.max_parallel = None, 5
    meanwhile = limiter.take(1.0, 900)
    assert isinstance(meanwhile, Taken)
    meanwhile.settle(used)
    limiter.tpm = 1000
    assert limiter.used(2.0)[:2] == (1, 10)
    late = limiter.take(3.0, 20)
    assert isinstance(late, Taken)
    assert limiter.used(600.0)[:2] == (0, 0)
    late.settle(used)
    assert limiter.used(600.0)[:2] == (0, 0)


def test_the_window_slides() -> None:
    limiter = Limiter(rpm=2)
    assert not isinstance(limiter.take(0.0), float)
    assert not isinstance(limiter.take(30.0), float)
    assert limiter.take(59.5) == 0.5
    assert not isinstance(limiter.take(60.0), float)
    assert limiter.take(60.0) == 30.0
    assert limiter.take(WINDOW + 29.0) == 1.0


@pytest.mark.parametrize("end", ["closed", "collected"])
def test_a_stream_holds_its_place_until_it_ends(end: str) -> None:
    with World.of(config(max_parallel_requests=1)) as world:
        call = world.begin("chat_completions", **TALK, stream=True)
        world.answer(call, 0)
        backend = world.router.models.backends()[0]
        assert backend.in_flight == 1
        assert world.begin("chat_completions", **TALK).error is not None
        if end == "closed":
            world.close(call)
            world.close(call)
        else:
            world.let_go(call)
            gc.collect()
        assert (backend.in_flight, backend.limiter and backend.limiter.in_flight) == (0, 0)
        assert world.begin("chat_completions", **TALK).accounts == ["east"]


def test_a_stream_that_came_at_the_second_try_is_let_go_as_soon() -> None:
    """Nothing of the first try holds it: the collector would come only sometime."""
    with World.of(config(max_parallel_requests=1)) as world:
        call = world.begin("chat_completions", **TALK, stream=True)
        world.fail(call, "lost")
        world.tick(10.0)
        assert call.accounts == ["east", "east"]
        gc.collect()
        gc.disable()
        try:
            world.answer(call, 0)
            assert world.router.models.backends()[0].in_flight == 1
            world.let_go(call)
            assert world.router.models.backends()[0].in_flight == 0
        finally:
            gc.enable()


def test_a_stream_may_be_collected_at_any_moment() -> None:
    """Also while its thread holds the locks that giving its place back takes: the collector runs wherever it likes."""
    with World.of(config(max_parallel_requests=1)) as world:
        backend = world.router.models.backends()[0]
        limiter = backend.limiter
        assert limiter is not None
        for lock in (backend.lock, limiter._lock):
            call = world.begin("chat_completions", **TALK, stream=True)
            world.answer(call, 0)
            call.choices.clear()
            call.result.itself = call.result  # only the collector finds it now

            def collected(call: Any = call, lock: Any = lock) -> None:
                with lock:
                    call.result = None
                    gc.collect()

            thread = threading.Thread(target=collected, daemon=True)
            thread.start()
            thread.join(5)
            assert not thread.is_alive(), "it waits for itself"
            assert (backend.in_flight, limiter.in_flight) == (0, 0)


def test_a_call_that_is_given_up_gives_its_place_back() -> None:
    with World.of(config(max_parallel_requests=1)) as world:
        world.give_up(world.begin("chat_completions", **TALK))
        assert world.begin("chat_completions", **TALK).accounts == ["east"]


def test_a_probe_that_was_overtaken() -> None:
    """A deployment is let in again while its probe is under way: the probe is one call among others from then on."""
    health = Health(HealthPolicy(allowed_fails=2, cooldown=4.0))
    for _ in range(2):
        health.end("failed", 0.0, probe=False, may_eject=True)
    assert health.begin(10.0)
    health.release()
    health.end("failed", 10.0, probe=True, may_eject=False)
    assert health.state(10.0) == "healthy"
    health.end("failed", 10.0, probe=False, may_eject=True)
    assert health.state(10.0) == "ejected"


def test_one_probe_at_a_time_even_when_one_was_overtaken() -> None:
    health = Health(HealthPolicy(allowed_fails=1, cooldown=4.0))
    health.end("failed", 0.0, probe=False, may_eject=True)
    assert health.begin(10.0)
    health.release()
    health.end("failed", 10.0, probe=False, may_eject=True)
    assert not health.usable(20.0)  # the first probe is out still
    health.end("neutral", 20.0, probe=True, may_eject=True)
    assert health.usable(20.0)


def test_cooldowns_grow_to_their_limit_and_shrink_again() -> None:
    health, now = Health(HealthPolicy(allowed_fails=1, cooldown=5.0, max_cooldown=30.0)), 0.0
    for longest in (5, 10, 20, 30, 30):
        assert health.begin(now) == (now > 0)
        health.end("failed", now, probe=now > 0, may_eject=True)
        assert health.ejected_until is not None
        assert 0.8 * longest <= health.ejected_until - now <= longest
        now = health.ejected_until
    assert health.begin(now)
    health.end("good", now, probe=True, may_eject=True)
    health.end("failed", now + 100, probe=False, may_eject=True)
    assert health.ejected_until is not None
    assert health.ejected_until - now - 100 <= 5.0


def test_a_backend_is_shared_by_its_groups() -> None:
    models = Models(Routing())
    one, other = Deployment(ACCOUNTS[0], "up", rpm=1), Deployment(ACCOUNTS[1], "up")
    first, second = models.set("a", [one, other]), models.set("b", [one])
    assert first.backends[0] is second.backends[0]
    assert isinstance(second.begin(0.0), Lease)
    assert first.begin(0.0, only=[first.backends[0]]) == 60.0
    assert isinstance(Backend.of(one, HealthPolicy(), threading.RLock()).begin(0.0, 0), Lease)
