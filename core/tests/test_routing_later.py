"""Small rules of routing that nothing else would miss: what each failure tells of a deployment, and where a call goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from core.tests import stepped
from core.tests.stepped import World
from core.tests.test_routing_groups import ACCOUNTS, chat, config

from callsheet import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    Client,
    Event,
    Provider,
    ProviderSettings,
    UnsupportedOperation,
)
from callsheet.account import Account
from callsheet.routing.backend import Backend
from callsheet.routing.deployment import Deployment
from callsheet.routing.models import Models

TWO = {"m": ["east/up", "west/up"]}


def backends(world: World) -> list[Backend]:
    return world.router.models.backends()


def failing(error: Callable[[], APIError]) -> Any:
    return patch.dict(stepped.FAILURES, {"so": lambda _io, _hint: error()})


@pytest.mark.parametrize("status", [403, 408, 409, 422])
def test_what_the_caller_or_chance_has_done_speaks_against_nobody(status: int) -> None:
    with World.of(config(TWO)) as world, failing(lambda: APIError("no", status_code=status)):
        for _ in range(3):
            call = chat(world, "m")
            while call.asked is not None:
                world.fail(call, "so")
        assert [one.health.failures for one in backends(world)] == [0, 0]


@pytest.mark.parametrize(("seconds", "failures"), [(1.0, 1), (4.5, 0)])
def test_who_is_in_a_hurry_learns_nothing_of_a_connection_that_had_no_time(seconds: float, failures: int) -> None:
    """A connection that does not come about in its own time is the deployment's fault; out of the caller's time it is not."""

    def late() -> APIError:
        return APITimeoutError("no connection", sent=False)

    with World.of(config({"m": "east/up"})) as world, failing(late):
        call = world.begin("chat_completions", model="m", messages=[], timeout=4.5)
        world.now += seconds
        world.fail(call, "so")
        assert backends(world)[0].health.failures == failures


def test_a_full_pool_speaks_against_nobody() -> None:
    full = APITimeoutError("all in use", sent=False, code="pool_timeout")
    with World.of(config(TWO)) as world, failing(lambda: full):
        call = chat(world, "m")
        world.fail(call, "so")
        assert [one.health.failures for one in backends(world)] == [0, 0]


def test_a_client_s_own_timeout_is_how_long_a_call_may_take_and_no_hurry() -> None:
    """One of a single call is."""
    hurried = []

    async def call(*_args: object, **routing: Any) -> None:
        hurried.append(routing["hurried"])

    with Client("local/x", config=None) as client, patch.object(type(client.router), "call", call):
        client.chat_completions(messages=[])
        client.chat_completions(messages=[], timeout=3.0)
    assert hurried == [False, True]


@pytest.mark.parametrize("failure", ["content", "too long"])
def test_what_has_refused_is_not_asked_again_by_another_name(failure: str) -> None:
    """m goes on with n, and n with m: each is asked once."""
    kind = "content_policy_fallbacks" if failure == "content" else "context_window_fallbacks"
    routing: dict[str, Any] = {kind: {"m": ["n"], "n": ["o"], "o": ["m"]}}
    with World.of(config({"m": "east/up", "n": "west/up", "o": "far/up"}, **routing)) as world:
        call = chat(world, "m")
        for account in ("east", "west", "far"):
            assert call.accounts[-1] == account
            world.fail(call, failure)
        assert (call.accounts, call.over) == (["east", "west", "far"], True)


def test_content_refused_with_401_moves_nowhere() -> None:
    refused = APIError("no", status_code=500, code="content_filter", should_retry=True)
    with World.of(config(TWO)) as world, failing(lambda: refused):
        call = chat(world, "m")
        world.fail(call, "so")
        assert (call.accounts, call.over) == (["east"], True)


def test_where_those_that_are_well_are_full_nobody_else_is_asked() -> None:
    models = {"m": [{"account": "east", "model": "up", "max_parallel_requests": 1}, "west/up"]}
    with World.of(config(models)) as world:
        chat(world, "m")
        backends(world)[1].health.pause(world.now + 100)
        call = chat(world, "m")
        assert (call.accounts, getattr(call.error, "code", None)) == ([], "deployments_at_limit")


def test_a_stream_counts_by_its_first_event() -> None:
    with World.of(config(TWO)) as world:
        for failures in (1, 2):
            call = chat(world, "m", stream=True)
            world.answer(call, 0)
            end = APIConnectionError("cut", sent=True)
            with pytest.raises(APIConnectionError), patch.object(stepped._Events, "__anext__", side_effect=end):
                call.result.__anext__().send(None)
            assert backends(world)[0].health.failures == failures
        backends(world)[0].health.release()
        call = chat(world, "m", stream=True)
        world.answer(call, 0)
        backends(world)[0].health.failures = 1
        with (
            pytest.raises(StopIteration),
            patch.object(stepped._Events, "__anext__", return_value=Event("message", "{}")),
        ):
            call.result.__anext__().send(None)
        assert backends(world)[0].health.failures == 0
        world.close(call)
        assert all(one.in_flight == 0 for one in backends(world))


class Small(Provider):
    """It can look at videos, and nothing else."""

    get_video = stepped.Stepped.get_video


@contextmanager
def world_with_a_small_one(models: dict[str, Any], **routing: Any) -> Iterator[World]:
    before = stepped._nobody

    def nobody() -> Any:
        accounts = before()
        accounts.registry.register("small", Small)
        return accounts

    accounts = [*ACCOUNTS, {"provider": "small", "id": "tiny"}]
    with (
        patch.object(stepped, "_nobody", nobody),
        World.of({**config(models, **routing), "accounts": accounts}) as world,
    ):
        yield world


def test_a_home_that_can_not_do_it_says_so() -> None:
    """Though others of the group can."""
    with world_with_a_small_one({"m": ["east/up", "tiny/up"]}) as world:
        account = backends(world)[1].deployment.account
        call = world.begin(
            "edit", model="m", prompt="x", video={"id": world.router.ids.encode("video", account.tag, "v")}
        )
        assert isinstance(call.error, UnsupportedOperation)
        assert call.accounts == []


def test_what_it_falls_back_to_must_be_able_to() -> None:
    routing: dict[str, Any] = {"content_policy_fallbacks": {"m": ["n"]}, "fallbacks": {"m": ["n"]}}
    with world_with_a_small_one({"m": "east/up", "n": "tiny/up"}, **routing) as world:
        for failure in ("content", "unsent"):
            call = chat(world, "m")
            world.fail(call, failure)
            assert call.accounts == ["east"]
            assert not isinstance(call.error, UnsupportedOperation)


def test_an_alias_of_an_alias() -> None:
    models = Models()
    group = models.set("m", [Deployment(Account("polite", ProviderSettings(), "east"), "up")])
    models.alias("k", "m")
    models.alias("j", "k")
    assert models.find("j") == (group, None)


def test_a_503_that_names_a_time_is_heeded() -> None:
    with World.of(config(TWO)) as world:
        call = chat(world, "m")
        world.fail(call, "500", 50.0)
        assert backends(world)[0].health.paused_until == world.now + 50.0


def test_names_in_any_order_are_one_group() -> None:
    with World.of(config({"a": "east/up", "b": "west/up"})) as world:
        models = world.router.models
        groups = [group for name in "ab" if (found := models.find(name)) is not None for group in [found[0]]]
        assert models.union(groups) is models.union(groups[::-1])
