"""Virtual keys, the admin API over them, and the master key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.odd import Odd, over
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.datastructures import Headers

from callsheet import BadRequestError, NotFoundError, Video
from callsheet.models import GenerateVideo
from callsheet_gateway.errors import Refused
from callsheet_gateway.keys import PREFIX
from callsheet_gateway.principal import Doorkeeper
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
ADMIN = {"authorization": f"Bearer {MASTER}"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    state = State(tmp_path_factory.mktemp("keys"))
    with over(Odd, state=state, master_key=SecretStr(MASTER)) as client:
        yield client


def admitted(state: State, headers: dict[str, str]) -> Any:
    try:
        return Doorkeeper(state.keys, SecretStr(MASTER)).admit(Headers(headers))
    except Refused as refusal:
        return refusal.status_code


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_from_its_making_to_its_end(state: State) -> None:
    now = [1_800_000_000.0]
    state.keys.clock = lambda: now[0]
    key, secret = state.keys.create("shop", owner="acme", models=["film"], expires_at=1_800_000_100)
    who = admitted(state, bearer(secret))
    assert (who.name, who.owner, who.models, who.admin) == ("shop", "acme", {"film"}, False)
    assert admitted(state, {"api-key": secret}) == who  # as Azure's clients show it
    _, other = state.keys.rotate(key.id)
    assert admitted(state, bearer(secret)) == 401
    assert admitted(state, bearer(other)) == who
    now[0] += 99.9
    assert admitted(state, bearer(other)) == who
    now[0] += 0.1
    assert admitted(state, bearer(other)) == 401
    now[0] -= 50
    assert admitted(state, bearer(other)) == who
    assert state.keys.disable(key.id).disabled_at == 1_800_000_050
    assert admitted(state, bearer(other)) == 401
    with pytest.raises(NotFoundError, match="disabled; create a new one"):
        state.keys.rotate(key.id)


def test_only_hashes_are_kept(state: State) -> None:
    _, secret = state.keys.create("shop")
    state.close()
    kept = b"".join(file.read_bytes() for file in state.folder.iterdir())
    assert secret.encode() not in kept
    assert secret.removeprefix(PREFIX)[5:].encode() not in kept
    state.__attrs_post_init__()  # for the fixture's end
    assert state.keys.find(secret) is not None


def test_another_process_is_heard_of(state: State) -> None:
    other = State(state.folder)
    key, secret = other.keys.create("made elsewhere")
    assert state.keys.find(secret) is not None
    other.keys.disable(key.id)
    state.keys._looked -= 0.25  # so much later
    assert state.keys.find(secret) is None
    other.close()


@given(st.text(max_size=80))
def test_no_other_text_is_a_key(text: str) -> None:
    state = State.passing()
    try:
        _, secret = state.keys.create("shop")
        for shown in (text, f"{PREFIX}{text}", secret[:-1], f"{secret}x", secret.upper(), f"{secret} {text}".strip()):
            if shown != secret:
                assert state.keys.find(shown) is None
    finally:
        state.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": MASTER},
        {"authorization": f"Basic {MASTER}"},
        {"authorization": f"Bearer {MASTER}x"},
        {"authorization": f"Bearer {MASTER[:-1]}"},
        {"api-key": ""},
        {"authorization": "Bearer wrong", "api-key": MASTER},
        {"cookie": f"key={MASTER}"},
    ],
)
def test_what_is_no_key(state: State, headers: dict[str, str]) -> None:
    assert admitted(state, headers) == 401


@pytest.mark.parametrize("headers", [ADMIN, {"authorization": f"bearer  {MASTER} "}, {"api-key": MASTER}])
def test_the_master_key(state: State, headers: dict[str, str]) -> None:
    assert admitted(state, headers).admin


@pytest.mark.parametrize(
    ("words", "param"),
    [({"name": " "}, "name"), ({"name": "a\nb"}, "name"), ({"name": "a" * 81}, "name"), ({"owner": ""}, "owner"),
     ({"expires_at": 5}, "expires_at"), ({"models": [""]}, "models")],
)  # fmt: skip
def test_keys_that_can_not_be(state: State, words: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        state.keys.create(**{"name": "a", **words})
    assert caught.value.param == param


def test_the_admin_api(http: httpx.Client) -> None:
    made = http.post("/keys", json={"name": "shop", "owner": "acme", "models": ["odd/m"]}, headers=ADMIN)
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith(PREFIX)
    assert http.get("/models", headers=bearer(key["key"])).status_code == 200
    listed = http.get("/keys", headers=ADMIN).json()["data"]
    assert key["key"] not in str(listed)
    assert [one for one in listed if one["id"] == key["id"]] == [{n: v for n, v in key.items() if n != "key"}]
    assert http.get(f"/keys/{key['id']}", headers=ADMIN).json()["shown"] == f"{key['key'][:10]}..."
    rotated = http.post(f"/keys/{key['id']}/rotate", headers=ADMIN).json()
    assert http.get("/models", headers=bearer(key["key"])).status_code == 401
    assert http.get("/models", headers=bearer(rotated["key"])).status_code == 200
    assert http.delete(f"/keys/{key['id']}", headers=ADMIN).json()["disabled_at"]
    assert http.get("/models", headers=bearer(rotated["key"])).status_code == 401


@pytest.mark.parametrize(
    ("document", "status", "param"),
    [
        ({}, 400, "name"),
        ({"name": "a", "admin": True}, 400, "admin"),
        ({"name": "a", "id": "key_mine"}, 400, "id"),
        ({"name": "a", "models": ["odd/zzz"]}, 400, "models"),
        ({"name": "a", "models": "odd/m"}, 400, "models"),
        ({"name": "a", "expires_at": 7}, 400, "expires_at"),
        ({"name": "a", "owner": 5}, 400, "owner"),
    ],
)
def test_what_the_admin_api_refuses(http: httpx.Client, document: dict[str, Any], status: int, param: str) -> None:
    answer = http.post("/keys", json=document, headers=ADMIN)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_the_admin_api_is_for_the_master_key(http: httpx.Client) -> None:
    key = http.post("/keys", json={"name": "plain"}, headers=ADMIN).json()
    for method, path in [
        ("GET", "/keys"), ("POST", "/keys"), ("GET", f"/keys/{key['id']}"), ("DELETE", f"/keys/{key['id']}"),
        ("POST", f"/keys/{key['id']}/rotate"),
    ]:  # fmt: skip
        assert http.request(method, path, headers=bearer(key["key"])).status_code == 403
        assert http.request(method, path).status_code == 401
    assert http.get("/keys/key_none", headers=ADMIN).status_code == 404
    assert http.delete("/keys/key_none", headers=ADMIN).status_code == 404


def test_what_needs_no_key_and_what_does(http: httpx.Client) -> None:
    for path in ("/health/live", "/openapi.json"):
        assert http.get(path).status_code == 200
    for path in ("/models", "/models/odd/m", "/providers", "/videos", "/videos/x", "/videos/x/content", "/keys"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert http.get("/nothing").status_code == 404
    assert http.put("/models").status_code == 405


def test_a_database_of_a_newer_gateway_is_left_alone(tmp_path: Path) -> None:
    State(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "gateway.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Exception, match="written by a newer callsheet-gateway"):
        State(tmp_path)


def test_where_nothing_can_be_written_nothing_is_bought(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what can be read is read; later it works again."""
    bought = []

    def buy(request: GenerateVideo) -> Video:
        bought.append(request)
        return Video(id="v", status="queued")

    monkeypatch.setitem(Odd.does, "generate_video", buy)
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.1)
    locked = State(state.folder)
    with over(Odd, state=locked, master_key=SecretStr(MASTER)) as http, state.database.alone():
        answer = http.post("/videos", json={"model": "odd/m", "prompt": "x"}, headers=ADMIN)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_writable")
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("5", "true")
        made = http.post("/keys", json={"name": "a"}, headers=ADMIN)
        assert (made.status_code, made.headers["x-should-retry"]) == (503, "true")
        assert http.get("/videos", headers=ADMIN).status_code == 200
    assert bought == []
