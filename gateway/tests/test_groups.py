"""Several deployments behind one name, over HTTP: two upstreams, one of which may be ill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen
from gateway.tests.serving import CLIP, MASTER, Gateway, serving
from prometheus_client.parser import text_string_to_metric_families

from callsheet.testing import FAULTS, FakeUpstream

EAST, WEST = "sk-of-the-east-0123456789", "sk-of-the-west-0123456789"
CONFIG = """
model_list:
- {{model_name: film, litellm_params: {{model: openai/sora-2, account_id: east, api_base: "{east}", api_key: {k1}, order: 1}}}}
- {{model_name: film, litellm_params: {{model: openai/sora-2, account_id: west, api_base: "{west}", api_key: {k2}, order: 2}}}}
- {{model_name: pro, litellm_params: {{model: openai/sora-2-pro, account_id: west, api_base: "{west}", api_key: {k2}}}}}
- {{model_name: talk, litellm_params: {{model: openai/gpt, account_id: east, api_base: "{east}", api_key: {k1}}}}}
- {{model_name: busy, litellm_params: {{model: openai/gpt-b, account_id: east, api_base: "{east}", api_key: {k1}, rpm: 2}}}}
- {{model_name: "gpt-*", litellm_params: {{model: "openai/gpt-*", account_id: west, api_base: "{west}", api_key: {k2}}}}}
router_settings: {{model_group_alias: {{movie: film}}, num_retries: 1}}
routing: {{strategy: priority}}
litellm_settings: {{fallbacks: [{{talk: [gpt-4]}}], context_window_fallbacks: [{{talk: [gpt-long]}}]}}
"""


@frozen
class World:
    gateway: Gateway
    http: httpx.Client
    east: FakeUpstream
    west: FakeUpstream

    def video(self, **fields: Any) -> httpx.Response:
        return self.http.post("/videos", json={"prompt": "A fox", "seconds": "4", **fields})

    def talk(self, model: str) -> httpx.Response:
        return self.http.post(
            "/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "hi"}]}
        )

    def standing(self) -> dict[tuple[str, str], dict[str, Any]]:
        providers = self.http.get("/providers").json()["data"]
        return {(one["account"], one["model"]): one for each in providers for one in each["deployments"]}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    east, west = FakeUpstream(keys={EAST}), FakeUpstream(keys={WEST})
    with ExitStack() as stack:
        urls = {"east": stack.enter_context(east.serve()), "west": stack.enter_context(west.serve())}
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(**urls, k1=EAST, k2=WEST))
        gateway = stack.enter_context(serving(tmp_path / "data", "--config", str(config), CALLSHEET_MASTER_KEY=MASTER))
        http = stack.enter_context(gateway.http(headers={"authorization": f"Bearer {MASTER}"}))
        yield World(gateway, http, east, west)
    assert not east.problems
    assert not west.problems


def test_names_lists_and_homes(world: World) -> None:
    assert [model["id"] for model in world.http.get("/models").json()["data"]] == [
        "film", "pro", "talk", "busy", "gpt-*", "movie",
    ]  # fmt: skip
    first = world.video(model="movie").json()
    assert first["model"] == "movie"
    assert (len(world.east.book.entries), len(world.west.book.entries)) == (1, 0)  # the first in order
    assert world.http.get(f"/videos/{first['id']}").json()["id"] == first["id"]
    luna = world.http.post(
        "/videos/characters",
        data={"name": "Luna", "target_model_names": "pro"},
        files={"video": ("luna.mp4", CLIP.read_bytes(), "video/mp4")},
    )
    assert luna.status_code == 200, luna.text
    assert [entry.kind for entry in world.west.book.entries] == ["character"]
    cast = world.video(model="film", prompt="Luna waves", characters=[{"id": luna.json()["id"]}])
    assert cast.status_code == 200, cast.text  # where she lives, though the other one comes first
    assert [entry.kind for entry in world.west.book.entries] == ["character", "video"]
    world.west.book.entries.clear()
    made = world.video(target_model_names=["pro", "gpt-4"])
    assert (made.status_code, made.json()["error"]["param"]) == (400, "target_model_names")
    made = world.video(target_model_names="pro")
    assert (made.status_code, made.json()["model"]) == (200, "pro")
    assert [entry.model for entry in world.west.book.entries] == ["sora-2-pro"]
    made = world.video(target_model_names=["pro", "film"]).json()
    assert len(world.west.book.entries) + len(world.east.book.entries) == 3
    assert world.http.get(f"/videos/{made['id']}").status_code == 200
    for wrong in (["film", 5], "film,,pro", 5, ["film"] * 20, ["film", "nothing"]):
        assert world.video(target_model_names=wrong).status_code in {400, 404}, wrong
    assert world.talk("gpt-any").json()["model"] == "gpt-any"
    assert world.west.seen[-1].document["model"] == "gpt-any"


def test_keys_may_name_a_pattern(world: World) -> None:
    key = world.gateway.new_key(name="k", models=["gpt-*"])
    headers = {"authorization": f"Bearer {key}"}
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    assert world.http.post("/chat/completions", json={**asked, "model": "gpt-4"}, headers=headers).status_code == 200
    assert world.http.post("/chat/completions", json={**asked, "model": "talk"}, headers=headers).status_code == 403
    refused = world.http.post("/videos", json={"prompt": "x", "target_model_names": ["film"]}, headers=headers)
    assert refused.status_code == 403
    providers = world.http.get("/providers", headers=headers).json()["data"]
    assert {one["model"] for each in providers for one in each["deployments"]} == {"gpt-*"}


def test_one_that_is_ill_is_left_alone_and_shown(world: World) -> None:
    world.east.fail("POST /videos", FAULTS["401"](), None)
    answers = [world.video(model="film") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6  # a refused key began nothing: the other one does it
    assert (len(world.east.book.entries), len(world.west.book.entries)) == (0, 6)
    assert len([seen for seen in world.east.seen if seen.path.endswith("/videos")]) == 2
    ill, well = world.standing()["east", "sora-2"], world.standing()["west", "sora-2"]
    assert (ill["state"], ill["ejections"], well["state"]) == ("ejected", 1, "healthy")
    assert 0 < ill["seconds_left"] <= 5
    assert ill["names"] == ["film"]
    figures = world.http.get(f"{world.gateway.root}/metrics").text
    usable = {
        (sample.labels["account"], sample.labels["model"]): sample.value
        for family in text_string_to_metric_families(figures)
        for sample in family.samples
        if sample.name == "callsheet_deployment_usable"
    }
    assert (usable["east", "sora-2"], usable["west", "sora-2"]) == (0, 1)


def test_fallbacks_and_what_home_means(world: World) -> None:
    world.east.fail("POST /chat/completions", FAULTS["500"](), None)
    assert world.talk("talk").status_code == 200
    assert world.west.seen[-1].document["model"] == "gpt-4"
    made = world.video(model="film").json()
    world.east.fail(None, FAULTS["503"](), None)
    before = len(world.west.seen)
    answer = world.http.get(f"/videos/{made['id']}")
    assert answer.status_code == 503
    assert "lives at account 'east', and is not looked for elsewhere" in answer.json()["error"]["message"]
    edited = world.http.post("/videos/edits", json={"video": {"id": made["id"]}, "prompt": "night"})
    assert edited.status_code == 503
    assert len(world.west.seen) == before


def test_limits_are_said_before_anything_is_sent(world: World) -> None:
    assert [world.talk("busy").status_code for _ in range(2)] == [200, 200]
    sent = len(world.east.seen)
    refused = world.talk("busy")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "deployments_at_limit")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert len(world.east.seen) == sent
