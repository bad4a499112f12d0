"""What reviews have found in routing: each once went wrong."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from core.tests import stepped
from core.tests.offers import OFFER
from core.tests.stepped import Call, World
from core.tests.test_routing_groups import ACCOUNTS, chat, config
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import (
    APIError,
    BadRequestError,
    ConfigurationError,
    ListVideos,
    MissingCredentials,
    NotFoundError,
    RelaySDP,
)
from callsheet.io import Sent
from callsheet.operations import OPERATIONS
from callsheet.routing.budget import ALWAYS, SHARE, TO_WELL, RetryBudget
from callsheet.routing.directory import Directory
from callsheet.routing.health import Health, HealthPolicy

ONE_AND_ANOTHER = {"m": "east/up", "n": "west/up"}
KINDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def generate(world: World, **fields: Any) -> Call:
    return world.begin("generate_video", prompt="x", model="m", **fields)


@pytest.mark.parametrize("failure", ["unsent", "429", "401", "no model", "content", "too long"])
def test_what_lives_at_one_account_is_not_shown_to_what_it_falls_back_to(failure: str) -> None:
    routing: dict[str, Any] = {kind: {"m": ["n"]} for kind in KINDS}
    with World.of(config(ONE_AND_ANOTHER, **routing)) as world:
        for call in (
            world.begin("responses", model="m", input="x", conversation="conv_east"),
            generate(world, input_reference={"file_id": "file_east"}),
        ):
            world.fail(call, failure)
            while call.wakes is not None or call.asked is not None:
                world.tick(10)
                if call.asked is not None:
                    world.fail(call, failure)
            assert set(call.accounts) == {"east"}
        [first, _] = world.router.models.backends()
        first.health.pause(world.now + 1000)
        assert world.begin("responses", model="m", input="x", conversation="conv_east").accounts == ["east"]
        assert world.begin("responses", model="m", input="x").accounts == ["west"]


def test_an_ephemeral_key_is_shown_nowhere_that_the_name_may_lead_to() -> None:
    with (
        World.of(config(ONE_AND_ANOTHER, fallbacks={"m": ["n"]})) as world,
        patch.object(Directory, "_offers", lambda *_: True),
    ):
        call = world.begin("relay_sdp", model="m", sdp=OFFER.decode(), ephemeral_key="ek_of_west")
        assert isinstance(call.error, BadRequestError)
        assert call.error.param == "ephemeral_key"
        assert "provider='east', provider='west'" in call.error.message


def test_a_list_is_that_of_the_model_s_account() -> None:
    with World.of(config(ONE_AND_ANOTHER, fallbacks={"m": ["n"]})) as world:
        with patch.object(Directory, "_offers", lambda *_: True):
            route = world.router.route(OPERATIONS["list_videos"], ListVideos(model="m"), None, None, None)
        place = route.first()
        assert place.deployment.account.id == "east"
        assert route.elsewhere() is None


@pytest.mark.parametrize(
    ("kind", "failure"), [("fallbacks", "500"), ("context_window_fallbacks", "too long"), ("content_policy_fallbacks", "content")]
)  # fmt: skip
def test_another_model_under_the_same_star_is_another_one_to_ask(kind: str, failure: str) -> None:
    models = {"x/*": {"account": "east", "model": "*"}}
    routing: dict[str, Any] = {kind: {"x/small": ["x/big"]}}
    with World.of(config(models, **routing)) as world:
        call = chat(world, "x/small")
        world.fail(call, failure)
        assert (call.accounts, call.record.model) == (["east", "east"], "big")
        world.answer(call, 0)
        assert call.error is None
        call = chat(world, "x/big")
        world.fail(call, "content")
        assert call.accounts == ["east"]
    with World.of(config({"x/*": "east/one"}, **routing)) as world:  # whatever it is called it is the same model
        call = chat(world, "x/small")
        world.fail(call, failure)
        assert call.accounts == ["east"]


def test_what_may_have_begun_is_not_sent_elsewhere_for_want_of_a_key() -> None:
    def second_request(io: Any, _hint: float | None) -> Any:
        io.sent.append(Sent("POST", True, "not_sent"))
        return MissingCredentials("it can't be renewed")

    def nothing_sent(io: Any, hint: float | None) -> Any:
        io.sent.clear()
        return second_request(io, hint)

    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        with patch.dict(stepped.FAILURES, {"renewal": second_request, "no key": nothing_sent}):
            call = generate(world)
            world.fail(call, "renewal")
            assert (call.accounts, call.record.maybe) == (["east"], True)
            call = generate(world)
            world.fail(call, "no key")
            assert len(call.accounts) == 2


def test_what_is_left_of_anothers_time_speaks_against_nobody() -> None:
    accounts = [{**ACCOUNTS[0], "timeout": 5}, *ACCOUNTS[1:]]
    with World.of({**config({"m": ["east/up", "west/up"]}), "accounts": accounts}) as world:
        call = chat(world, "m")
        world.tick(4.5)
        world.fail(call, "500")
        assert call.accounts == ["east", "west"]
        world.tick(0.5)
        world.fail(call, "timeout")
        [east, west] = world.router.models.backends()
        assert (east.health.failures, west.health.failures) == (1, 0)


def test_who_had_nearly_all_of_the_time_is_judged_by_it() -> None:
    """Though it was not the first to be asked."""
    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        call = chat(world, "m")
        world.fail(call, "unsent")
        assert call.accounts == ["east", "west"]
        world.tick(600)
        world.fail(call, "timeout")
        assert [one.health.failures for one in world.router.models.backends()] == [1, 1]


def test_a_long_cooldown_is_no_shorter_for_who_can_not_be_ejected() -> None:
    for may_eject in (False, True):
        health = Health(HealthPolicy(1, 600.0))
        health.end("failed", 0.0, probe=False, may_eject=may_eject)
        assert not health.usable(400.0)
        assert health.usable(700.0)


def test_an_ephemeral_key_heeds_only_what_can_take_it() -> None:
    """What the name falls back to does no calls: so there is but one account that it may be of."""
    offers = {"plain": {"relay_sdp", "chat_completions"}, "polite": {"chat_completions"}}
    models = {"m": "far/up", "n": "west/up"}
    with World.of(config(models, fallbacks={"m": ["n"]})) as world:
        with patch.object(Directory, "_offers", lambda _, provider, operation: operation in offers[provider]):
            request = RelaySDP.model_validate({"model": "m", "sdp": OFFER.decode(), "ephemeral_key": "ek_1"})
            route = world.router.route(OPERATIONS["relay_sdp"], request, None, None, None)
        assert (route.only, len(route.targets)) == ("far", 1)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_refused_content_is_final_whatever_its_status(status: int) -> None:
    refused = stepped._status(status, APIError, "content_filter")
    with World.of(config({"m": "east/up"})) as world:
        with patch.dict(stepped.FAILURES, {"refused": refused}):
            call = chat(world, "m")
            world.fail(call, "refused")
            world.tick(30)
        assert (len(call.accounts), call.over) == (1, True)
        assert world.router.models.backends()[0].health.failures == 0


@pytest.mark.parametrize(
    ("code", "state"),
    [("500", "ejected"), ("server_error", "ejected"), ("insufficient_quota", "ejected"), ("502", "ejected"),
     ("rate_limit_exceeded", "paused"), ("429", "paused"), ("invalid_value", "healthy"), ("404", "healthy"), ("x", "healthy")],
)  # fmt: skip
def test_an_error_inside_of_an_answer_counts_by_its_code(code: str, state: str) -> None:
    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        with patch.dict(stepped.FAILURES, {"inside": lambda _io, _hint: APIError("no", code=code)}):
            for _ in range(1 if state == "paused" else 2):
                call = chat(world, "m")
                world.fail(call, "inside")
                assert call.accounts == ["east"]  # it may have been paid for
        assert world.router.models.backends()[0].health.state(world.now) == state


def test_a_star_is_no_name_in_target_model_names() -> None:
    with World.of(config({"x/*": {"account": "east", "model": "*"}})) as world:
        for names in (["x/*"], ["x/a", "x/*"], ["*"]):
            call = world.begin("generate_video", prompt="x", target_model_names=names)
            assert isinstance(call.error, NotFoundError)
            assert (call.error.param, call.accounts) == ("target_model_names", [])


def test_a_model_at_an_account_has_one_price_by_any_name() -> None:
    def entry(name: str, info: dict[str, Any] | None = None, **prices: Any) -> dict[str, Any]:
        params = {"model": "polite/up", "account_id": "east", **prices}
        return {"model_name": name, "litellm_params": params, "model_info": info or {}}

    def of(*entries: dict[str, Any]) -> dict[str, Any]:
        return {"accounts": ACCOUNTS, "model_list": [*entries]}

    cheap = {"input_cost_per_token": 0.5}
    with World.of(of(entry("inside"), entry("resold", {"base_model": "b"}, **cheap), entry("third"))) as world:
        for name in ("inside", "resold", "third"):
            [one] = world.router.models.deployments(name)
            assert (dict(one.prices), one.info["base_model"]) == (cheap, "b")
    said: list[dict[str, Any]] = [
        {"input_cost_per_token": "2e-06"},
        {"input_cost_per_token": 0.000002, "output_cost_per_token": 1},
    ]
    with World.of(of(*(entry(f"m{number}", {"team": number}, **one) for number, one in enumerate(said)))) as world:
        ones = [world.router.models.deployments(name)[0] for name in ("m0", "m1")]
        assert [float(one.prices["input_cost_per_token"]) for one in ones] == [0.000002] * 2
        assert [one.prices["output_cost_per_token"] for one in ones] == [1, 1]
    for odd in (entry("b", input_cost_per_token=0.25), entry("b", {"base_model": "other"})):
        with pytest.raises(ConfigurationError, match="another price under another name") as wrong:
            World.of(of(entry("a", {"base_model": "b"}, **cheap), odd)).__enter__()
        assert wrong.value.at == ("model_list", 1)


@pytest.mark.parametrize(
    ("failure", "hint", "retries", "calls", "apart"), [("429", 0.0, 0, 200, 1.5), ("500", None, 2, 100, 6)]
)
def test_a_fallback_is_asked_however_long_a_model_fails(
    failure: str, hint: float | None, retries: int, calls: int, apart: float
) -> None:
    """The pauses of who is at its limit grow, and of who can't be ejected: a budget is not used up by asking it again."""
    with World.of(config(ONE_AND_ANOTHER, fallbacks={"m": ["n"]}, retries=retries)) as world:
        world.router._budgets.default_factory = RetryBudget
        asked = 0
        for _ in range(calls):
            call = chat(world, "m")
            if call.accounts == ["east"]:
                asked += 1
                world.fail(call, failure, hint)
            world.answer(call, 0)
            assert call.error is None
            world.tick(apart)
        assert asked < 15


@given(st.lists(st.sampled_from(["throttled", "failed", "good", 0.5, 3.0, 80.0]), max_size=30))
@example(["failed", "failed", 3.0, "throttled", 3.0, "throttled"])
def test_pauses_double_until_a_call_succeeds(steps: list[Any]) -> None:
    health, now, paused = Health(), 1000.0, 0
    for step in steps:
        if isinstance(step, float):
            now += step
            continue
        was = health.paused_until
        health.end(step, now, probe=False, may_eject=False)
        if step == "good":
            paused = 0
        elif step == "throttled" or health.failures >= 2:
            first, most = (1.0, 60.0) if step == "throttled" else (5.0, 300.0)
            longer = now >= was
            assert health.paused_until == max(was, now + min(most, first * 2.0 ** (paused * longer)))
            paused += longer
        else:
            assert health.paused_until == was


def test_a_pause_holds_for_who_would_be_probed() -> None:
    health = Health()
    for _ in range(2):
        health.end("failed", 1000.0, probe=False, may_eject=True, retry_after=60.0)
    assert (health.state(1002.0), health.state(1010.0), health.state(1061.0)) == ("ejected", "paused", "half-open")
    assert [health.usable(now) for now in (1002.0, 1010.0, 1061.0)] == [False, False, True]


@given(st.lists(st.booleans(), max_size=300))
def test_a_budget_holds(wells: list[bool]) -> None:
    budget, spent = RetryBudget(), 0
    for well in wells:
        budget.began()
        spent += budget.spend(False, to_well=well)
        assert spent <= SHARE * budget.calls + ALWAYS + TO_WELL * any(wells)
    if not any(wells):
        assert spent <= SHARE * len(wells) + ALWAYS


def test_what_follows_a_refusal_is_no_retry() -> None:
    models = {"m": "east/up", "n": ["west/up", "far/up"]}
    with World.of(config(models, content_policy_fallbacks={"m": ["n"]}, retries=1)) as world:
        call = chat(world, "m")
        world.fail(call, "content")
        world.fail(call, "500")
        world.answer(call, 0)
        assert (call.accounts[0], sorted(call.accounts[1:]), call.error) == ("east", ["far", "west"], None)


def test_all_are_dead() -> None:
    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        world.router._budgets.default_factory = RetryBudget
        asked = 0
        for _ in range(60):  # of more, the bucket lets fewer through
            call = chat(world, "m")
            while call.asked is not None:
                world.fail(call, "unsent")
            world.tick(0.1)
            asked += len(call.accounts)
        assert asked <= 60 * (1 + SHARE) + ALWAYS + 1


@pytest.mark.parametrize("strategy", ["shuffle", "least-busy", "lowest-latency", "priority"])
def test_one_of_two_is_dead_and_many_call_at_once(strategy: str) -> None:
    """At most 2 of 100 fail though the first 16 all begin before anything is known."""
    with World.of(config({"m": ["east/up", "west/up"]}, strategy=strategy)) as world:
        world.router._budgets.default_factory = RetryBudget
        failed = 0
        for _ in range(100 // 16 + 1):
            calls = [chat(world, "m") for _ in range(16)]
            while any(call.asked is not None for call in calls):
                for call in calls:
                    if call.asked is not None:
                        if call.accounts[-1] == "east":
                            world.fail(call, "unsent")
                        else:
                            world.answer(call, 0)
            world.tick(0.25)
            failed += sum(call.error is not None for call in calls)
        assert failed <= 2
