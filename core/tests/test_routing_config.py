"""Mistakes in the `routing` of a configuration: each is found at the start, with its place, and quotes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.stepped import World

from callsheet import ConfigurationError
from callsheet.routing.health import HealthPolicy

MODELS = {"m": "east/up", "n": "east/up", "any-*": "east/*"}
SECRET = "sk-canary-20d9"


def config(**routing: Any) -> dict[str, Any]:
    return {"accounts": [{"provider": "polite", "id": "east"}], "models": MODELS, "routing": routing}


MISTAKES: list[tuple[dict[str, Any], tuple[object, ...], str]] = [
    ({"strategie": "shuffle"}, ("routing", "strategie"), "Did you mean 'strategy'"),
    ({SECRET: 1}, ("routing", SECRET), "not shown"),
    ({"strategy": SECRET}, ("routing", "strategy"), "there are: shuffle, least-busy, lowest-latency, priority"),
    ({"strategy": 7}, ("routing", "strategy"), "not a number"),
    ({"fallbacks": ["n"]}, ("routing", "fallbacks"), "a mapping of a model's name to a list of others"),
    ({"fallbacks": {"m": 3}}, ("routing", "fallbacks", "m"), "a list of model names"),
    ({"fallbacks": {"m": [["n"]]}}, ("routing", "fallbacks", "m", 0), "a model's name is wanted, not a list"),
    ({"fallbacks": {"m": [SECRET]}}, ("routing", "fallbacks"), "names a model that is not there"),
    ({"fallbacks": {SECRET: ["m"]}}, ("routing", "fallbacks"), "names a model that is not there"),
    ({"default_fallbacks": {"m": "n"}}, ("routing", "default_fallbacks"), "a list of model names"),
    ({"default_fallbacks": [SECRET]}, ("routing", "default_fallbacks"), "names a model that is not there"),
    ({"context_window_fallbacks": {"m": [SECRET]}}, ("routing", "context_window_fallbacks"), "not there"),
    ({"content_policy_fallbacks": {"m": [SECRET]}}, ("routing", "content_policy_fallbacks"), "not there"),
    ({"retries": 3}, ("routing", "retries"), "from 0 to 2"),
    ({"retries": True}, ("routing", "retries"), "not true or false"),
    ({"retries": 0.5}, ("routing", "retries"), "a whole number from 0 to 2"),
    ({"retry_policy": {"timeouts": 1}}, ("routing", "retry_policy", "timeouts"), "Did you mean 'timeout'"),
    ({"retry_policy": {"timeout": 5}}, ("routing", "retry_policy", "timeout"), "from 0 to 2"),
    ({"retry_policy": [1]}, ("routing", "retry_policy"), "a mapping of kinds of errors"),
    ({"model_retry_policy": {SECRET: {"timeout": 1}}}, ("routing", "model_retry_policy"), "not there"),
    ({"model_retry_policy": {"m": {"timeout": -1}}}, ("routing", "model_retry_policy", "m", "timeout"), "from 0 to 2"),
    ({"allowed_fails": 0}, ("routing", "allowed_fails"), "from 1 to 1000"),
    ({"cooldown_seconds": -1}, ("routing", "cooldown_seconds"), "from 0 to 3600"),
    ({"cooldown_seconds": float("nan")}, ("routing", "cooldown_seconds"), "from 0 to 3600"),
    ({"cooldown_seconds": "os.environ/NOT_SET"}, ("routing", "cooldown_seconds"), "NOT_SET, which is not set"),
]


@pytest.mark.parametrize(("routing", "place", "words"), MISTAKES)
def test_a_mistake_has_its_place(routing: dict[str, Any], place: tuple[object, ...], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught, World.of(config(**routing)):
        pass
    assert words in caught.value.message
    assert caught.value.at == place
    assert SECRET not in caught.value.message


def test_every_key_has_a_mistake() -> None:
    from callsheet.config_routing import _KEYS

    assert set(_KEYS) <= {key for routing, _, _ in MISTAKES for key in routing}


def test_routing_is_no_list() -> None:
    with pytest.raises(ConfigurationError, match="routing: ") as caught, World.of({**config(), "routing": ["shuffle"]}):
        pass
    assert caught.value.at == ("routing",)


def test_what_can_be_said_is_read() -> None:
    said = {
        "strategy": "least-busy",
        "fallbacks": {"m": "n"},
        "default_fallbacks": ["any-one"],
        "context_window_fallbacks": {"m": ["n"]},
        "content_policy_fallbacks": {"any-*": ["n"]},
        "retries": "1",
        "retry_policy": {"timeout": 0},
        "model_retry_policy": {"n": {"rate_limit": 1}},
        "allowed_fails": 3,
        "cooldown_seconds": 7.5,
    }
    with World.of(config(**said)) as world:
        routing = world.router.models.routing
        assert (routing.strategy, routing.retries, routing.retries_by_kind) == ("least-busy", 1, {"timeout": 0})
        assert routing.fallbacks.after(["m"]) == ("n",)
        assert routing.fallbacks.after(["n"]) == ("any-one",)
        assert routing.content_policy.after(["any-two", "any-*"]) == ("n",)
        assert routing.health == HealthPolicy(3, 7.5)
        assert [backend.health.policy for backend in world.router.models.backends()] == [routing.health] * 2


def test_a_cooldown_is_as_long_as_it_is_said_to_be() -> None:
    """Also where it is longer than the longest that grows by itself."""
    with World.of(config(cooldown_seconds=1800)) as world:
        health = world.router.models.backends()[0].health
        for _ in range(2):
            health.end("failed", 0.0, probe=False, may_eject=True)
        assert health.ejected_until is not None
        assert 0.8 * 1800 <= health.ejected_until <= 1800
