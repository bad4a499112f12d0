"""Whose is what: every operation that takes an id, asked by everybody, with every kind of id, wherever an id may stand.

The upstream is a real server that keeps its own record: what is refused must not have reached it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen
from core.tests.offers import OFFER
from gateway.tests.odd import Odd, over
from pydantic import SecretStr

from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
PRINCIPALS = ("owner", "other", "revoked", "anonymous")
IDS = ("owner's", "other's", "forged", "raw", "wrong kind")
Ask = Callable[[httpx.Client, dict[str, str], str], httpx.Response]
WORDS = {"prompt": "It rains"}


def path(method: str, template: str, **document: Any) -> Ask:
    """The id stands in the path."""

    def ask(http: httpx.Client, headers: dict[str, str], id: str) -> httpx.Response:
        return http.request(method, template.format(id=id), headers=headers, json=document or None)

    return ask


def body(template: str, document: Callable[[str], dict[str, Any]]) -> Ask:
    """The id stands in a JSON body."""
    return lambda http, headers, id: http.post(template, headers=headers, json=document(id))


def form(template: str, document: Callable[[str], dict[str, Any]]) -> Ask:
    """The id stands in a form."""

    def ask(http: httpx.Client, headers: dict[str, str], id: str) -> httpx.Response:
        parts = {name: (None, value) for name, value in document(id).items()}
        return http.post(template, headers=headers, files=parts)

    return ask


CHARACTERS = "/videos/characters/{id}"
VIDEO, RESPONSE = "/videos/{id}", "/responses/{id}"
ASKED: dict[str, tuple[str, Ask]] = {
    "get_character": ("character", path("GET", CHARACTERS)),
    "get_video": ("video", path("GET", VIDEO)),
    "delete_video": ("video", path("DELETE", VIDEO)),
    "download_video": ("video", path("GET", f"{VIDEO}/content")),
    "head of a download": ("video", path("HEAD", f"{VIDEO}/content")),
    "events": ("video", path("GET", f"{VIDEO}/events")),
    "remix": ("video", path("POST", f"{VIDEO}/remix", **WORDS)),
    "edit, id in the path": ("video", path("POST", f"{VIDEO}/edits", **WORDS)),
    "edit": ("video", body("/videos/edits", lambda id: {"video": {"id": id}, **WORDS})),
    "edit, a form": ("video", form("/videos/edits", lambda id: {"video[id]": id, **WORDS})),
    "edit, JSON in a form": ("video", form("/videos/edits", lambda id: {"video": f'{{"id": "{id}"}}', **WORDS})),
    "extend": ("video", body("/videos/extensions", lambda id: {"video": {"id": id}, "seconds": "4", **WORDS})),
    "generate_video": ("character", body("/videos", lambda id: {"model": "film", "characters": [{"id": id}], **WORDS})),
    "list_videos": ("video", lambda http, headers, id: http.get("/videos", params={"after": id}, headers=headers)),
    "get_response": ("resp", path("GET", RESPONSE)),
    "delete_response": ("resp", path("DELETE", RESPONSE)),
    "cancel_response": ("resp", path("POST", f"{RESPONSE}/cancel")),
    "list_input_items": ("resp", path("GET", f"{RESPONSE}/input_items")),
    "responses": (
        "resp",
        body("/responses", lambda id: {"model": "talk", "input": "And?", "previous_response_id": id}),
    ),
    "hang_up": ("rtc", path("POST", "/realtime/calls/{id}/hangup")),
}


@frozen
class House:
    """A gateway with keys, its upstream, and what each principal shows."""

    http: httpx.Client
    wire: FakeUpstream
    shown: dict[str, dict[str, str]]
    entry: Callable[[str, str], dict[str, Any]]
    """A model_list's entry, by the model's name here and there."""

    def made(self, kind: str, principal: str) -> str:
        """The id of something new that belongs to a principal."""
        headers = self.shown[principal]
        match kind:
            case "character":
                files: Any = {"video": ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(64), "video/mp4")}
                data = {"name": "Luna", "model": "film"}
                answer = self.http.post("/videos/characters", data=data, files=files, headers=headers)
            case "video":
                answer = self.http.post("/videos", json={"model": "film", **WORDS}, headers=headers)
            case "resp":
                asked = {"model": "talk", "input": "Hi", "store": True, "background": True}
                answer = self.http.post("/responses", json=asked, headers=headers)
            case _:
                files = {
                    "sdp": (None, OFFER, "application/sdp"),
                    "session": (None, '{"type": "realtime", "model": "talk"}'),
                }
                answer = self.http.post("/realtime/calls", files=files, headers=headers)
                return answer.headers["location"].rpartition("/")[2]
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def id_of(self, kind: str, what: str) -> str:
        match what:
            case "owner's":
                return self.made(kind, "owner")
            case "other's":
                return self.made(kind, "other")
            case "forged":
                id = self.made(kind, "owner")
                return id[:-6] + ("A" if id[-6] != "A" else "B") + id[-5:]
            case "raw":
                self.made(kind, "owner")
                return self.raw(kind)
        other = "character" if kind == "video" else "video"
        return f"{kind}_{self.made(other, 'owner').partition('_')[2]}"

    def raw(self, kind: str) -> str:
        """The upstream's own id of what was made last."""
        return self.wire.book.entries[-1].id


def entry(url: str, name: str, upstream: str) -> dict[str, Any]:
    params = {"model": f"openai/{upstream}", "api_key": FAKE_KEY, "api_base": url}
    return {"model_name": name, "litellm_params": params}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    wire = FakeUpstream(polls_until_done=0)
    with wire.serve() as url:
        names = {"film": "sora-2", "film-b": "sora-2", "talk": "gpt-realtime"}
        models = [entry(url, name, upstream) for name, upstream in names.items()]
        state = State(tmp_path_factory.mktemp("house"))
        client = make_client({"model_list": models})
        with over(Odd, client, state, master_key=SecretStr(MASTER)) as http:
            admin = {"authorization": f"Bearer {MASTER}"}
            shown: dict[str, dict[str, str]] = {"anonymous": {}, "master": admin}
            for name, owner in (("owner", "a"), ("colleague", "a"), ("other", "b"), ("revoked", "a")):
                made = http.post("/keys", json={"name": name, "owner": owner}, headers=admin)
                assert made.status_code == 201, made.text
                shown[name] = {"authorization": f"Bearer {made.json()['key']}"}
                if name == "revoked":
                    http.delete(f"/keys/{made.json()['id']}", headers=admin)
            yield House(http, wire, shown, partial(entry, url))


def wanted(principal: str, what: str) -> int:
    """What must come of it."""
    if principal in {"revoked", "anonymous"}:
        return 401
    return 200 if (principal, what) in {("owner", "owner's"), ("other", "other's")} else 404


@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("operation", ASKED)
def test_whose_it_is(house: House, operation: str, principal: str) -> None:
    kind, ask = ASKED[operation]
    for what in IDS:
        id = house.id_of(kind, what)
        before = len(house.wire.seen)
        answer = ask(house.http, house.shown[principal], id)
        expected = wanted(principal, what)
        assert answer.status_code == expected, f"{what}: {answer.status_code} {answer.text[:300]}"
        if expected != 200:
            assert len(house.wire.seen) == before, f"{what}: the upstream heard of it"


@pytest.mark.parametrize("operation", ASKED)
def test_keys_of_one_owner_share_and_the_master_key_reads_what_has_a_row(house: House, operation: str) -> None:
    kind, ask = ASKED[operation]
    assert ask(house.http, house.shown["colleague"], house.made(kind, "owner")).status_code == 200
    answer = ask(house.http, house.shown["master"], house.made(kind, "owner"))
    assert answer.status_code == (200 if kind in {"video", "character"} else 404)


def test_lists_show_ones_own(house: House) -> None:
    ours, theirs = house.made("video", "owner"), house.made("video", "other")
    lists = {}
    for name in ("owner", "colleague", "other", "master"):
        answer = house.http.get("/videos", params={"limit": 100}, headers=house.shown[name])
        lists[name] = {video["id"] for video in answer.json()["data"]}
    assert ours in lists["owner"] == lists["colleague"]
    assert theirs in lists["other"]
    assert not lists["owner"] & lists["other"]
    assert {ours, theirs} <= lists["master"]


@pytest.mark.parametrize("filter", [None, "owner", "key"])
def test_spending_is_shown_to_its_owner(house: House, filter: str | None) -> None:
    """Whatever he asks for: nobody else's calls and keys are in the answer, nor in its sums."""
    admin = house.shown["master"]
    for name in ("owner", "other"):
        house.made("video", name)
    keys = {key["name"]: key for key in house.http.get("/keys", headers=admin).json()["data"]}
    for principal, asked in itertools.product(PRINCIPALS, ("owner", "other")):
        query = {"owner": {"owner": keys[asked]["owner"]}, "key": {"key": keys[asked]["id"]}}.get(filter or "", {})
        params = {**query, "group_by": "key,owner,model,account"}
        answer = house.http.get("/spend", params=params, headers=house.shown[principal])
        if principal in {"revoked", "anonymous"}:
            assert answer.status_code == 401
            continue
        assert answer.status_code == 200, answer.text
        document, seen = answer.json(), filter is None or asked == principal
        assert {one["owner"] for one in document["data"]} == ({keys[principal]["owner"]} if seen else set())
        assert document["total"]["calls"] == sum(one["calls"] for one in document["data"])
        everybodys = house.http.get("/spend", params=params, headers=admin).json()
        assert everybodys["total"]["calls"] > (document["total"]["calls"] if filter is None or not seen else 0)


def test_what_the_master_key_makes_of_a_tenants_is_the_tenants(house: House) -> None:
    source = house.made("video", "owner")
    made = house.http.post(
        "/videos/edits", json={"video": {"id": source}, **WORDS}, headers=house.shown["master"]
    ).json()
    assert house.http.get(f"/videos/{made['id']}", headers=house.shown["owner"]).status_code == 200
    assert house.http.get(f"/videos/{made['id']}", headers=house.shown["other"]).status_code == 404


def test_what_was_deleted_is_gone_whatever_the_upstream_says(house: House) -> None:
    """One that has it still, as many do for a while, is not asked."""
    gone = house.made("video", "owner")
    assert house.http.delete(f"/videos/{gone}", headers=house.shown["owner"]).status_code == 200
    before = len(house.wire.seen)
    for operation, (kind, ask) in ASKED.items():
        if kind == "video":
            for principal in ("owner", "colleague", "master"):
                assert ask(house.http, house.shown[principal], gone).status_code == 404, operation
    assert len(house.wire.seen) == before


def test_what_belongs_to_two_owners_makes_nothing_together(house: House) -> None:
    """Not even for the master key: whose would it be?"""
    ids = [{"id": house.made("character", name)} for name in ("owner", "other")]
    before = len(house.wire.seen)
    asked = {"model": "film", "characters": ids, **WORDS}
    answer = house.http.post("/videos", json=asked, headers=house.shown["master"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ids_of_different_owners")
    assert len(house.wire.seen) == before


def test_a_key_may_be_made_for_some_models(house: House) -> None:
    admin = house.shown["master"]
    made = house.http.post("/keys", json={"name": "talker", "owner": "a", "models": ["talk"]}, headers=admin).json()
    shown = {"authorization": f"Bearer {made['key']}"}
    assert [model["id"] for model in house.http.get("/models", headers=shown).json()["data"]] == ["talk"]
    before = len(house.wire.seen)
    for answer in (
        house.http.post("/videos", json={"model": "film", **WORDS}, headers=shown),
        house.http.post("/videos", json=WORDS, headers=shown),
        house.http.get("/models/film", headers=shown),
    ):
        assert answer.status_code in {400, 403, 404}, answer.text
    assert len(house.wire.seen) == before
    video = house.made("video", "owner")  # of the same owner, and of a model that this key may not use
    before = len(house.wire.seen)
    for operation in ("get_video", "edit", "delete_video", "download_video"):
        assert ASKED[operation][1](house.http, shown, video).status_code == 403
    assert len(house.wire.seen) == before
    assert house.http.post("/responses", json={"model": "talk", "input": "Hi"}, headers=shown).status_code == 200
    clip = {"video": ("a.mp4", bytes(64), "video/mp4")}
    before = len(house.wire.seen)
    for path, data in [("/videos/edits", WORDS), ("/videos/extensions", {**WORDS, "seconds": "4"})]:
        assert (
            house.http.post(path, data=data, files=clip, headers=shown).status_code == 400
        )  # the choice would be ours
    assert house.http.post("/videos/characters", data={"name": "Luna"}, files=clip, headers=shown).status_code == 400
    assert house.http.get("/videos", params={"model": "film"}, headers=shown).json()["data"] == []
    assert len(house.wire.seen) == before
    assert house.http.post("/keys", json={"name": "none", "models": []}, headers=admin).status_code == 400


def test_two_names_of_one_model_are_two(house: House) -> None:
    admin = house.shown["master"]
    made = house.http.post("/keys", json={"name": "b", "owner": "a", "models": ["film-b"]}, headers=admin).json()
    shown = {"authorization": f"Bearer {made['key']}"}
    video = house.http.post("/videos", json={"model": "film-b", **WORDS}, headers=shown).json()["id"]
    for path in ("edits", "remix"):
        changed = house.http.post(f"/videos/{video}/{path}", json=WORDS, headers=shown).json()["id"]
        assert house.http.get(f"/videos/{changed}", headers=shown).status_code == 200


@pytest.mark.parametrize("id", ["video_\ud800", "video_" + "A" * 100_000, "video_\0", "video_", "", "video_é"])
def test_odd_ids_are_not_there(house: House, id: str) -> None:
    answer = house.http.post(
        "/videos/edits",
        content=json.dumps({"video": {"id": id}, **WORDS}),
        headers={**house.shown["owner"], "content-type": "application/json"},
    )
    assert answer.status_code in {400, 404}, answer.text[:200]


def test_a_root_key_that_is_rotated_gives_nothing_a_second_life(house: House, tmp_path: Path) -> None:
    """Neither deleted things nor limits of models, under whichever name."""
    state = State(tmp_path / "rotated")
    client = make_client({"model_list": [house.entry("film", "sora-2"), house.entry("talk", "gpt-realtime")]})
    admin = {"authorization": f"Bearer {MASTER}"}
    with over(Odd, client, state, master_key=SecretStr(MASTER)) as http:
        source = http.post("/videos", json={"model": "film", **WORDS}, headers=admin).json()["id"]
        key = http.post("/keys", json={"name": "t", "owner": "", "models": ["talk"]}, headers=admin)
        assert key.status_code == 400  # nobody gets the master key's own things
    state = State(tmp_path / "rotated")
    state.rotate_root()
    with over(
        Odd, make_client({"model_list": [house.entry("film", "sora-2")]}), state, master_key=SecretStr(MASTER)
    ) as http:
        managed = state.codecs.owned_by("").decode(source, "video")
        second = state.codecs.owned_by("").encode("video", managed.account, managed.upstream)
        assert second != source
        assert http.get(f"/videos/{second}", headers=admin).json()["prompt"] == WORDS["prompt"]
        assert http.delete(f"/videos/{second}", headers=admin).status_code == 200
        assert http.get("/videos", headers=admin).json()["data"] == []
        for id in (source, second):
            assert http.get(f"/videos/{id}", headers=admin).status_code == 404
