"""Names that stand for several deployments: where calls go, where they go on, and where they never go."""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.stepped import Call, World

from callsheet import APIConnectionError, BadRequestError, InternalServerError, NotFoundError, RateLimitError

ACCOUNTS = [
    {"provider": "polite", "id": "east"},
    {"provider": "polite", "id": "west"},
    {"provider": "plain", "id": "far"},
]
OURS: dict[str, Any] = {
    "accounts": ACCOUNTS,
    "models": {"m": ["east/up", "west/up"]},
    "routing": {"strategy": "priority"},
}
THEIRS: dict[str, Any] = {
    "model_list": [
        {"model_name": "m", "litellm_params": {"model": "polite/up", "account_id": "east", "order": 1}},
        {"model_name": "m", "litellm_params": {"model": "polite/up", "account_id": "west", "order": 2}},
    ],
    "routing": {"strategy": "priority"},
}
TALK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


def config(models: dict[str, Any], aliases: Any = None, **routing: Any) -> dict[str, Any]:
    return {"accounts": ACCOUNTS, "models": models, "aliases": aliases, "routing": {"strategy": "priority", **routing}}


def chat(world: World, model: str, **more: Any) -> Call:
    return world.begin("chat_completions", model=model, **TALK, **more)


@pytest.mark.parametrize("spelled", [OURS, THEIRS], ids=["models", "model_list"])
def test_a_group_in_both_spellings(spelled: dict[str, Any]) -> None:
    with World.of(spelled) as world:
        call = chat(world, "m")
        assert (call.record.account, call.record.model) == ("east", "up")
        world.fail(call, "500")
        world.answer(call, 5)
        assert (call.accounts, call.record.attempts, call.result.meta.attempts) == (["east", "west"], 2, 2)
        assert (call.result.meta.account, world.now) == ("west", 1000.0)  # at once


def test_wildcards_stand_for_the_same_part_and_the_longest_name_counts() -> None:
    models = {"polite/*": {"account": "east", "model": "*"}, "polite/big-*": "west/huge-*", "polite/big-one": "far/one"}
    with World.of(config(models, {"large": "polite/big-two"})) as world:
        for said, account, model in (
            ("polite/small", "east", "small"),
            ("polite/a/b", "east", "a/b"),
            ("polite/big-x", "west", "huge-x"),
            ("polite/big-one", "far", "one"),
            ("large", "west", "huge-two"),
        ):
            call = chat(world, said)
            assert (call.record.account, call.record.model) == (account, model)
        assert chat(world, "polite/").record.model != "*"


def test_several_names_are_one_group_and_the_id_remembers() -> None:
    with World.of(config({"a": "east/up", "b": "west/up"})) as world:
        call = world.begin("generate_video", prompt="x", target_model_names=["a", "b"])
        world.fail(call, "unsent")
        world.answer(call, 0)
        assert call.accounts == ["east", "west"]
        look = world.begin("get_video", video_id=call.result.id)
        assert look.accounts == ["west"]
        beside = world.begin("generate_video", prompt="x", model="a", target_model_names=["a", "b"])
        assert isinstance(beside.error, BadRequestError)
        assert beside.error.param == "target_model_names"
        assert "leave one of them out" in beside.error.message
        assert beside.accounts == []


def test_fallbacks_in_their_order() -> None:
    models = {"m": "east/up", "n": "west/up", "o": "far/up", "q": "far/other"}
    with World.of(config(models, {"k": "m"}, fallbacks={"m": ["n", "o"]}, default_fallbacks=["q"])) as world:
        for said in ("m", "k"):
            call = chat(world, said)
            world.fail(call, "500")
            world.fail(call, "lost")
            world.answer(call, 0)
            assert call.accounts == ["east", "west", "far"]
            assert call.record.model == "up"
        call = chat(world, "n")
        world.fail(call, "500")
        # It has failed twice: what it falls back to is asked first for a while.
        assert (call.accounts, call.record.model) == (["far", "west"], "up")
        film = world.begin("generate_video", prompt="x", model="m")
        world.fail(film, "500")  # it may have begun
        assert len(film.accounts) == 1
        assert isinstance(film.error, InternalServerError)
        assert film.error.should_retry is False


def test_without_retries_there_are_fallbacks_still() -> None:
    models = {"m": ["east/up", "west/up"], "n": "far/up"}
    with World.of(config(models, fallbacks={"m": ["n"]}, retries=0)) as world:
        call = chat(world, "m")
        world.fail(call, "500")
        world.answer(call, 0)
        assert call.accounts[0] in {"east", "west"}
        assert call.accounts[1:] == ["far"]
    with World.of(config({"m": ["east/up", "west/up"]}, retries=0)) as world:
        call = chat(world, "m")
        world.fail(call, "500")
        assert len(call.accounts) == 1
        assert isinstance(call.error, InternalServerError)


def test_whoever_names_what_is_not_there_benches_nobody() -> None:
    """By way of a * callers choose the model's name; where the operator has chosen it, it is the deployment's fault."""
    with World.of(config({"x-*": ["east/*", "west/*"], "m": ["east/gone", "west/up"]})) as world:
        for _ in range(6):
            call = chat(world, "x-nothing")
            world.fail(call, "no model")
            assert len(call.accounts) == 1  # what somebody has made up is nowhere else, either
        states = {
            backend.health.failures for backend in world.router.models.backends() if backend.deployment.model == "*"
        }
        assert states == {0}


@pytest.mark.parametrize(("failure", "key"), [("content", "content_policy"), ("too long", "context_window")])
def test_a_refusal_is_final_unless_the_operator_says_otherwise(failure: str, key: str) -> None:
    models = {"m": ["east/up", "west/up"], "safe": "far/up"}
    for routing in ({}, {"fallbacks": {"m": ["safe"]}}):
        with World.of(config(models, **routing)) as world:
            for operation, fields in (("chat_completions", TALK), ("generate_video", {"prompt": "x"})):
                call = world.begin(operation, model="m", **fields)
                world.fail(call, failure)
                assert (call.accounts, type(call.error)) == (["east"], BadRequestError)
    with World.of(config(models, **{f"{key}_fallbacks": {"m": ["safe"]}})) as world:
        for operation, fields in (("chat_completions", TALK), ("generate_video", {"prompt": "x"})):
            call = world.begin(operation, model="m", **fields)
            world.fail(call, failure)
            world.answer(call, 0)
            assert call.accounts == ["east", "far"]
        late = world.begin("generate_video", model="m", prompt="x")
        world.fail(late, "500")  # no refusal: it may have begun
        assert late.accounts == ["east"]


def test_an_operator_can_lower_the_attempts_and_not_raise_them() -> None:
    models = {"m": ["east/up", "west/up", "far/up"], "n": ["east/up", "west/up"]}
    routing = {"retry_policy": {"server_error": 1, "timeout": 0}, "model_retry_policy": {"n": {"server_error": 0}}}
    for plan, said, failure, attempts in (
        ({}, "m", "500", 3),
        ({"retries": 1}, "m", "500", 2),
        ({"retries": 0}, "m", "unsent", 1),
        (routing, "m", "500", 2),
        (routing, "m", "timeout", 1),
        (routing, "m", "unsent", 3),
        (routing, "n", "500", 1),
        ({"retries": 1, "retry_policy": {"server_error": 2}}, "m", "500", 2),
    ):
        with World.of(config(models, **plan)) as world:
            call = chat(world, said)
            while not call.over:
                world.fail(call, failure)
            assert len(call.accounts) == attempts, (plan, said, failure)
            film = world.begin("generate_video", prompt="x", model=said)
            world.fail(film, "500")
            assert len(film.accounts) == 1
    with pytest.raises(ValueError, match="from 0 to 2"), World.of(config(models, retries=3)):
        pass


def test_who_asks_for_a_pause_is_passed_over() -> None:
    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        call = chat(world, "m")
        world.fail(call, "429", 30.0)
        assert (call.accounts, world.now) == (["east", "west"], 1000.0)
        world.answer(call, 0)
        for seconds, account in ((0.0, "west"), (29.0, "west"), (1.5, "east")):
            world.tick(seconds)
            assert chat(world, "m").record.account == account
        world.answer(
            next(call for call in world.calls if call.asked is not None and call.record.account == "east"),
            0,
            {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6s",
                "x-ratelimit-remaining-requests": "9",
            },
        )
        assert chat(world, "m").record.account == "west"
        world.tick(6.5)
        assert chat(world, "m").record.account == "east"


def test_paid_work_follows_only_a_refusal_that_promises() -> None:
    with World.of(config({"m": ["east/up", "west/up"], "n": ["far/up", "west/up"]})) as world:
        polite = world.begin("generate_video", prompt="x", model="m")
        world.fail(polite, "429")
        assert polite.accounts == ["east", "west"]
        plain = world.begin("generate_video", prompt="x", model="n")
        world.fail(plain, "429")
        assert plain.accounts == ["far"]
        assert isinstance(plain.error, RateLimitError)
        assert plain.error.should_retry is False


def test_a_characters_account_is_down() -> None:
    """The answer says so, and nothing is asked elsewhere."""
    models = {"m": ["east/up", "west/up"], "w": "west/up", "safe": "far/up"}
    with World.of(config(models, fallbacks={"m": ["safe"]}, default_fallbacks=["safe"])) as world:
        made = {}
        for name, model in (("Luna", "m"), ("Rex", "w")):
            call = world.begin("generate_video", prompt=name, model=model)
            world.answer(call, 0)
            made[name] = call.result.id
        for down in ("unsent", "lost", "500"):
            call = world.begin("edit", video=made["Luna"], prompt="x")
            while not call.over:
                world.fail(call, down)
                world.tick(10.0)
            assert set(call.accounts) == {"east"}
            assert isinstance(call.error, APIConnectionError | InternalServerError)
            assert "lives at account 'east', and is not looked for elsewhere" in call.error.message
        tags = [world.router.accounts.of_provider(account).tag for account in ("east", "west")]
        luna, rex = (world.router.ids.encode("character", tag, "char_1") for tag in tags)
        call = world.begin("generate_video", prompt="Luna", characters=[luna], model="m")
        while not call.over:
            world.fail(call, "unsent")
            world.tick(10.0)
        assert set(call.accounts) == {"east"}
        asked: list[tuple[list[str], str, str]] = [
            ([luna, rex], "m", "lives at different accounts: polite .east. and polite .west."),
            ([luna], "w", "model 'w' is at account polite .west., but .* lives at polite .east."),
            ([luna], "safe", "model 'safe' is at account plain .far."),
        ]
        for cast, model, words in asked:
            refused = world.begin("generate_video", prompt="both", characters=cast, model=model)
            assert isinstance(refused.error, BadRequestError)
            assert refused.error.code == "ids_at_different_accounts"
            with pytest.raises(BadRequestError, match=words):
                raise refused.error
            assert refused.accounts == []


def test_an_unknown_name_is_nobodys() -> None:
    with World.of(config({"m": "east/up"})) as world:
        world.router.accounts.configured_only = True
        call = chat(world, "nope")
        assert isinstance(call.error, NotFoundError)
        assert (call.error.code, call.accounts) == ("model_not_found", [])


def test_a_look_without_a_home_says_which_are_meant() -> None:
    with World.of(config({"m": ["east/up", "west/up"]})) as world:
        call = world.begin("list_videos", model="m")
        assert isinstance(call.error, BadRequestError)
        assert "provider='east', provider='west'" in call.error.message
