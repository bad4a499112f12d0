"""The router as a state machine: any order of calls, failures, pauses and changes of what there is to choose from.

The invariants have the numbers of the test programme. I2, shares by weight, is a matter of many choices and stands in
test_routing_shares.py.
"""

from __future__ import annotations

import gc
import math
import random
from typing import Any

import pytest
from core.tests.stepped import ACCOUNTS, FAILURES, PAID, TENANTS, Call, Choice, World, managed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callsheet.routing import Deployment, Models, Routing
from callsheet.routing.backend import Backend, Lease
from callsheet.routing.health import MAX_PAUSE, HealthPolicy
from callsheet.routing.policy import STRATEGIES, Fallbacks, Strategy
from callsheet.routing.route import Place, Route

POLICY = HealthPolicy(allowed_fails=2, cooldown=4.0, max_cooldown=30.0)
TALK = [{"role": "user", "content": "x" * 80}]
DEPLOYMENTS = st.builds(
    lambda account, **limits: Deployment(account, "up", **limits),
    st.sampled_from(ACCOUNTS),
    weight=st.sampled_from([1.0, 1.0, 3.0, 0.0]),
    order=st.sampled_from([None, None, 1, 2]),
    rpm=st.sampled_from([None, None, None, 2, 6]),
    tpm=st.sampled_from([None, None, None, 60, 400]),
    max_parallel_requests=st.sampled_from([None, None, 1, 3]),
)
GROUPS = st.lists(DEPLOYMENTS, min_size=1, max_size=5)
BROKEN = sorted(set(FAILURES) - TENANTS - {"429"})
PICK = st.integers(0, 1000)


def facts(backend: Backend) -> tuple[object, ...]:
    health = backend.health
    return health.failures, health.ejections, health.ejected_until, health.paused_until


def faded(backend: Backend, now: float) -> float:
    """Seconds that calls have taken: what was measured fades by half in a minute."""
    return backend.latency * 2.0 ** ((backend.measured_at - now) / 60)


class RouterMachine(RuleBasedStateMachine):
    strategy: Strategy = "shuffle"

    @initialize(
        seed=PICK,
        first=st.lists(DEPLOYMENTS, min_size=2, max_size=5),
        second=GROUPS,
        third=GROUPS,
        plenty=st.booleans(),
        others=st.booleans(),
        go_on=st.booleans(),
    )
    def made(
        self,
        seed: int,
        first: list[Deployment],
        second: list[Deployment],
        third: list[Deployment],
        plenty: bool,
        others: bool,
        go_on: bool,
    ) -> None:
        random.seed(seed)
        to_third = Fallbacks({"one": ("three",)})
        routing = Routing(
            self.strategy,
            fallbacks=to_third if others else Fallbacks(),
            content_policy=to_third if go_on else Fallbacks(),
            health=POLICY,
        )
        self.go_on = go_on
        models = Models(routing)
        self.world = World(models, plenty)
        self.world.check = self.check_choice
        for name, deployments in (("one", first), ("two", [*second, first[0]]), ("three", third)):
            models.set(name, deployments)
        self._patches = self.world.patched()
        self._patches.__enter__()
        self.made_it = True

    # What happens

    @rule(name=st.sampled_from(["one", "one", "two", "three"]), stream=st.booleans(), hurried=st.booleans())
    def chat(self, name: str, stream: bool, hurried: bool) -> None:
        timeout = 500.0 if hurried else None
        self.world.begin("chat_completions", model=name, messages=TALK, stream=stream, timeout=timeout)

    @rule(name=st.sampled_from(["one", "two"]), many=st.integers(2, 5))
    def several(self, name: str, many: int) -> None:
        for _ in range(many):
            self.world.begin("chat_completions", model=name, messages=TALK)

    @rule(name=st.sampled_from(["one", "two"]))
    def film(self, name: str) -> None:
        self.world.begin("generate_video", model=name, prompt="a fox")

    @rule(
        name=st.sampled_from(["one", "two", None]),
        account=st.sampled_from(ACCOUNTS),
        what=st.sampled_from(["character", "previous", "look", "edit", "said"]),
    )
    def pinned(self, name: str | None, account: Any, what: str) -> None:
        """What belongs to an account stays there (I9). Refused where the model that is named is not there."""
        begin, home = self.world.begin, account.id
        match what:
            case "character":
                cast = [{"id": managed("character", account)}]
                begin("generate_video", home=home, model=name, prompt="a fox", characters=cast)
            case "previous":
                begin("responses", home=home, model=name, input="x" * 80, previous_response_id=managed("resp", account))
            case "look":
                begin("get_video", home=home, video_id=managed("video", account))
            case "edit":
                begin("edit", home=home, video=managed("video", account), prompt="at night")
            case _:
                begin("get_video", home=home, video_id="video_own", provider=home)

    def waiting(self) -> list[Call]:
        return [call for call in self.world.calls if call.asked is not None]

    def streams(self) -> list[Call]:
        return [
            call
            for call in self.world.calls
            if call.streams and call.choices and call.choices[-1].running and call.over
        ]

    @precondition(lambda self: self.waiting())
    @rule(which=PICK, used=st.sampled_from([0, 10, 30, 200]), empty=st.sampled_from([None, None, None, "6s", "300s"]))
    def answer(self, which: int, used: int, empty: str | None) -> None:
        call = self.waiting()[which % len(self.waiting())]
        backend = call.choices[-1].backend if call.choices else None
        told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": empty} if empty else None
        self.world.answer(call, used, told)
        assert call.over, call.error
        assert call.error is None, call.error
        if backend is not None:
            began = not call.streams  # a stream is judged by its first event, which these have not
            assert not began or backend.health.failures == 0
            if began and call.choices[-1].probe:
                assert backend.health.ejected_until is None, "I7: a probe went well"
            if empty:
                assert backend.health.paused_until > self.world.now

    @precondition(lambda self: self.waiting())
    @rule(which=PICK, failure=st.sampled_from(sorted(FAILURES)), hint=st.sampled_from([None, None, 0.5, 7.0, 3600.0]))
    def fail(self, which: int, failure: str, hint: float | None) -> None:
        call = self.waiting()[which % len(self.waiting())]
        before = {backend: facts(backend) for backend in self.backends()}
        number, last = len(call.accounts), call.choices[-1] if call.choices else None
        self.world.fail(call, failure, hint if failure in {"429", "500"} else None)
        hurry = call.hurried and failure == "timeout"
        if failure in TENANTS or hurry or last is None:
            assert before == {backend: facts(backend) for backend in before}, f"I5: {failure} changed health"
        elif failure == "429":
            assert last.backend.health.paused_until >= self.world.now + min(hint or 1.0, MAX_PAUSE)
        if call.operation in PAID and failure in {"lost", "timeout", "500"}:
            assert call.over, "what may have begun is not begun again"
            assert getattr(call.error, "should_retry", None) is False
        if failure in TENANTS and not (failure == "content" and self.go_on and call.operation != "get_video"):
            assert call.over, f"{failure} was sent again"
        if failure == "429" and hint == 3600.0 and not call.over:
            assert call.choices, "an hour's hint is obeyed by nobody but others"
            assert call.choices[-1].backend is not last.backend if last else True
        assert len(call.accounts) <= 3, "I4: attempts"
        assert len(call.accounts) - number <= 1

    @rule(
        name=st.sampled_from(["one", "two"]),
        which=PICK,
        failures=st.lists(st.sampled_from(BROKEN), min_size=2, max_size=4),
    )
    def goes_down(self, name: str, which: int, failures: list[str]) -> None:
        """A deployment fails call after call."""
        backends = self.world.router.models._groups[name].backends
        down = backends[which % len(backends)]
        for failure in failures:
            for _ in range(3):
                self.world.begin("chat_completions", model=name, messages=TALK)
            for call in [call for call in self.waiting() if call.choices and call.choices[-1].backend is down][:2]:
                self.world.fail(call, failure)

    @precondition(lambda self: any(not call.over for call in self.world.calls))
    @rule(which=PICK)
    def give_up(self, which: int) -> None:
        under_way = [call for call in self.world.calls if not call.over]
        before = {backend: facts(backend) for backend in self.backends()}
        self.world.give_up(under_way[which % len(under_way)])
        assert before == {backend: facts(backend) for backend in before}, "I5: who leaves changes no health"

    @precondition(lambda self: self.streams())
    @rule(which=PICK, collected=st.booleans())
    def end_stream(self, which: int, collected: bool) -> None:
        call = self.streams()[which % len(self.streams())]
        (self.world.let_go if collected else self.world.close)(call)
        gc.collect(0)  # what a failure before it may have left in a circle

    @rule(quarters=st.sampled_from([1, 4, 10, 24, 100, 239, 240]))
    def tick(self, quarters: int) -> None:
        self.world.tick(quarters / 4)

    @precondition(lambda self: self.ejected())
    @rule(which=PICK, good=st.booleans())
    def cooldown_ends(self, which: int, good: bool) -> None:
        """I7: after it one call gets through, and I8: only one. It heals, or the next cooldown begins."""
        backend = self.ejected()[which % len(self.ejected())]
        until = backend.health.ejected_until
        assert until is not None
        self.world.tick(max(0, math.ceil((until - self.world.now) * 4)) / 4)
        if backend.health.ejected_until != until or backend.health.probing or not self.world.room(backend, 0):
            return
        if self.world.now < backend.health.paused_until:
            return  # it has said itself when to come back
        group = backend.groups[0]
        lease = group.begin(self.world.now, only=[backend])
        assert isinstance(lease, Lease), "I7: nobody gets through after a cooldown"
        assert lease.probe
        second = group.begin(self.world.now, only=[backend])
        assert not isinstance(second, Lease), "I8: two probes"
        self.world.ledger.append(Choice(backend, self.world.now, 0, probe=True, running=False))
        lease.judge("good" if good else "failed", self.world.now)
        lease.release(self.world.now)
        assert backend.health.state(self.world.now) in ({"healthy", "paused"} if good else {"ejected"})

    @rule(name=st.sampled_from(["one", "one", "two", "three"]), deployments=GROUPS)
    def others_are_there(self, name: str, deployments: list[Deployment]) -> None:
        self.world.router.models.set(name, deployments)

    @precondition(lambda self: self.waiting())
    @rule(which=PICK, weight=st.sampled_from([0.0, 1.0, 5.0]))
    def one_more_or_less(self, which: int, weight: float) -> None:
        """Add a deployment to a group, or take one away, or change a weight; what is known of the rest stays."""
        models = self.world.router.models
        group, _ = models.find("one") or (None, None)
        assert group is not None
        there = [backend.deployment for backend in group.backends]
        before = {backend: facts(backend)[:2] for backend in group.backends}
        if which % 2 and len(there) > 1:
            there.pop(which % len(there))
        else:
            there.append(Deployment(ACCOUNTS[which % len(ACCOUNTS)], "up", weight=weight))
        for backend in models.set("one", there).backends:
            assert backend not in before or facts(backend)[1] == before[backend][1]

    # What holds

    def backends(self) -> list[Backend]:
        return self.world.router.models.backends()

    def ejected(self) -> list[Backend]:
        return [backend for backend in self.backends() if backend.health.ejected_until is not None]

    def check_choice(self, route: Route, place: Place | None, usable: dict[Backend, bool]) -> None:
        """I1, I3, I4, I8, I9, and what the strategy says, at each choice."""
        world, now = self.world, self.world.now
        free = {backend for backend in usable if world.room(backend, route.tokens)}
        well = {backend for backend in free if usable[backend]}
        if place is None:
            full = [each for each in usable if usable[each] and each not in free]
            assert not well, "somebody could have been asked"
            assert not free or full, "nobody is well, and nobody was asked"
            return
        assert place.lease is not None
        backend = place.lease.backend
        assert backend in free, "I3: beyond its limits, or I4: asked again while others were not"
        if not usable[backend]:
            assert not well, "I1: one that is left alone was asked, and another one was well"
        if place.lease.probe:
            assert not any(choice.probe for choice in world.running(backend)), "I8: a second probe"
        elif backend.health.ejected_until is not None:
            assert not well, "I8: beside the probe"
        group = next(group for group, _ in route.targets if backend in group.backends)
        earlier = [group for group, _ in route.targets][: [group for group, _ in route.targets].index(group)]
        pool = well or free
        assert not any(other in each.backends for each in earlier for other in pool), "a fallback came before its turn"
        mates = [other for other in pool if other in group.backends and other is not backend]
        shares = {other: other.deployment.weight for other in group.backends}
        place_of = {other: group._order(number, other) for number, other in enumerate(group.backends)}
        assert all(place_of[backend] <= place_of[other] for other in mates), "another one is first in order"
        if any(shares[other] for other in mates):
            assert shares[backend] or not any(shares.values()), "a weight of 0 takes nothing while others can"
        tier = [other for other in group.backends if place_of[other] == place_of[backend]]
        rivals = [other for other in mates if other in tier]
        if self.strategy == "least-busy":
            assert all(backend.in_flight - 1 <= other.in_flight for other in rivals)
        if self.strategy == "lowest-latency":
            usual = min(filter(None, (faded(other, now) for other in tier)), default=1.0)
            took = (faded(backend, now) or usual) * backend.in_flight
            others = [(faded(other, now) or usual) * (other.in_flight + 1) for other in rivals]
            assert all(took <= other * (1 + 1e-9) for other in others)

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "made_it"):
            return
        world = self.world
        assert world.problems == [], world.problems
        for backend in {choice.backend for choice in world.ledger}:
            running, deployment = len(world.running(backend)), backend.deployment
            assert backend.in_flight == running
            if backend.limiter is not None:
                assert backend.limiter.in_flight == running
            assert running <= (deployment.max_parallel_requests or running), "I3: at once"
            late = world.of_the_last_minute(backend)
            assert len(late) <= (deployment.rpm or len(late)), "I3: rpm"
            probes = sum(choice.probe for choice in world.running(backend))
            assert probes <= 1, "I8"

    @invariant()
    def little_is_left_alone(self) -> None:
        if not hasattr(self, "made_it"):
            return
        now = self.world.now
        for group in self.world.router.models._groups.values():
            if len(group.backends) > 1:
                ejected = sum(backend.health.ejected_until is not None for backend in group.backends)
                assert ejected <= len(group.backends) // 2, f"I6: {ejected} of {len(group.backends)}"
        for backend in self.backends():
            assert (backend.health.ejected_until or now) <= now + POLICY.max_cooldown, "I7"
            assert backend.health.paused_until <= now + MAX_PAUSE, "I7"

    @invariant()
    def pinned_calls_are_at_home(self) -> None:
        for call in self.world.calls if hasattr(self, "made_it") else ():
            assert call.home is None or set(call.accounts) <= {call.home}, f"I9: {call.home} left for {call.accounts}"
            assert len(call.accounts) <= 3, "I4"

    def teardown(self) -> None:
        if not hasattr(self, "made_it"):
            return
        try:
            for call in self.world.calls:
                if not call.over:
                    self.world.give_up(call)
                elif call in self.streams():
                    self.world.let_go(call)
            gc.collect(0)
            assert self.world.problems or not any(
                backend.in_flight for backend in {choice.backend for choice in self.world.ledger}
            )
        finally:
            self._patches.__exit__(None, None, None)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_router(strategy: Strategy) -> None:
    machine = type(f"Machine_{strategy.replace('-', '_')}", (RouterMachine,), {"strategy": strategy})
    run_state_machine_as_test(machine, settings=settings(max_examples=50, stateful_step_count=50, deadline=None))
