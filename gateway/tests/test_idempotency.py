"""Idempotency-Key: what comes twice is done once, on every route that changes something."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from core.tests.offers import OFFER
from gateway.tests.idempotent import (
    CHAT,
    CLIP,
    FILM,
    MASTER,
    ROUTES,
    House,
    code,
    entries,
    replayed,
)
from gateway.tests.idempotent import house as house

from callsheet.testing import Fault
from callsheet_gateway import make_client
from callsheet_gateway.face import Face
from callsheet_gateway.idempotency import HEADER
from callsheet_gateway.routes import api_routes
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State


@pytest.mark.parametrize("route", ROUTES)
def test_what_comes_twice_is_done_once(house: House, route: str) -> None:
    method, path, options = ROUTES[route](house)
    before = len(house.wire.seen)
    first = house.ask(method, path, "one", **options)
    assert first.status_code in {200, 201}, first.text
    after, done = len(house.wire.seen), house.done
    assert after == before + 1
    assert replayed(first, house.ask(method, path, "one", **options))
    assert replayed(first, house.ask(method, f"{house.http.base_url}".removesuffix("/v1/") + path, "one", **options))
    assert (len(house.wire.seen), house.done) == (after, done)
    other = house.ask(method, path, "two", **options)
    assert "idempotent-replayed" not in other.headers
    assert len(house.wire.seen) > after or method == "DELETE"
    assert "idempotent-replayed" not in house.ask(method, path, **options).headers


def test_every_route_that_changes_something_is_asked_above_or_below() -> None:
    state = State.passing()
    try:
        client = make_client({"model_list": entries("http://127.0.0.1:1")})
        routes = api_routes(Face(client, GatewaySettings(), state))
    finally:
        state.close()
    names: list[dict[str, str]] = [getattr(route.app, "names") for route in routes]  # noqa: B009  for mypy
    changing = {name for of_route in names for method, name in of_route.items() if method in {"POST", "DELETE"}}
    not_offered = {"POST /responses/compact", "POST /responses/input_tokens"}
    of_keys = {"POST /keys", "DELETE /keys/{key_id}", "POST /keys/{key_id}/rotate", "POST /keys/{key_id}/limits"}
    of_keys |= {"POST /keys/{key_id}/budget", "POST /owners/{owner}/budget"}
    assert changing - not_offered - of_keys <= set(ROUTES)


def test_virtual_keys(house: House) -> None:
    def ask(method: str, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        return house.ask(method, path, key, "master", **body)

    made = ask("POST", "/keys", "k", json={"name": "shop", "owner": "shop"})
    assert made.status_code == 201
    assert replayed(made, ask("POST", "/keys", "k", json={"owner": "shop", "name": "shop"}))
    listed = ask("GET", "/keys").json()["data"]
    assert [key["name"] for key in listed].count("shop") == 1
    path = f"/keys/{made.json()['id']}"
    changes: dict[str, dict[str, Any]] = {f"{path}/limits": {"rpm": 9}, f"{path}/budget": {"amount": 1}}
    for changed, body in {**changes, "/owners/shop/budget": {"amount": 5}}.items():
        assert replayed(ask("POST", changed, "k5", json=body), ask("POST", changed, "k5", json=body))
        assert ask("POST", changed, "k5", json={}).status_code == 422
    rotated = ask("POST", f"{path}/rotate", "k")
    assert rotated.status_code == 200
    assert replayed(rotated, ask("POST", f"{path}/rotate", "k"))
    house.keys["shop"] = rotated.json()["key"]
    assert house.ask("GET", "/videos", who="shop").status_code == 200  # it was not rotated a second time
    assert replayed(ask("DELETE", path, "k"), ask("DELETE", path, "k"))
    kept = b"".join(file.read_bytes() for file in house.folder.glob("gateway.db*"))
    assert rotated.json()["key"].encode() not in kept
    assert made.json()["key"].encode() not in kept


def test_the_same_document_however_it_is_spelled(house: House) -> None:
    def form(filename: str, content: bytes, **fields: str) -> httpx.Response:
        files = {"video": (filename, content, "video/mp4")}
        return house.post("/videos/characters", "f", data={"name": "Luna", "model": "film", **fields}, files=files)

    large = os.urandom(3_000_000)  # which lies on the disk
    first = form("a.mp4", large)
    assert first.status_code == 200, first.text
    assert house.wire.seen[-1].body.count(large) == 1  # reading it twice has not harmed it
    again = form("another name.mp4", large)
    assert replayed(first, again)
    assert first.request.headers["content-type"] != again.request.headers["content-type"]  # another boundary
    assert code(form("a.mp4", large[:-1] + b"x")) == (422, "idempotency_key_reused")
    assert code(form("a.mp4", large, name="Stella")) == (422, "idempotency_key_reused")

    def text(document: str) -> httpx.Response:
        return house.post("/videos", "j", content=document, headers={"content-type": "application/json"})

    first = text('{"model": "film", "prompt": "A f\\u00f6x", "seconds": "4"}')
    assert first.status_code == 200, first.text
    assert replayed(first, text('\n{"seconds":"4","prompt":"A f\xf6x","model":"film"}'))
    assert code(text('{"model": "film", "prompt": "A fox", "seconds": "4"}')) == (422, "idempotency_key_reused")

    first = house.post("/chat/completions", "n", {**CHAT, "n": 1, "temperature": 0, "logit_bias": {"50": 1.5}})
    equal = {**CHAT, "n": 1.0, "temperature": -0.0, "logit_bias": {"50": 1.5}}
    assert replayed(first, house.post("/chat/completions", "n", equal))
    other = {**equal, "logit_bias": {"50": 1.25}}
    assert code(house.post("/chat/completions", "n", other)) == (422, "idempotency_key_reused")
    assert house.done == ["character", "video", "chat"]


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_keys_that_are_none(house: House, key: str) -> None:
    answer = house.post("/videos", document=FILM, headers={HEADER: key.encode("latin-1")})
    assert code(answer) == (400, "invalid_idempotency_key")
    assert house.done == []
    assert house.ask("GET", "/videos", headers={HEADER: key.encode("latin-1")}).status_code == 200  # nobody looks at it


def test_keys_that_are_some(house: House) -> None:
    for key in ("x", "x" * 255, "a b", "~!\"#$%&'()"):
        assert replayed(house.post("/videos", key, FILM), house.post("/videos", key, FILM))
    twice = [("authorization", f"Bearer {house.keys['ours']}"), (HEADER, "a"), (HEADER, "b")]
    answer = house.http.post("/videos", json=FILM, headers=twice)
    assert code(answer) == (400, "invalid_idempotency_key")


def test_twenty_at_once_are_one(house: House) -> None:
    house.wire.fail("POST /videos", Fault.slow_headers(0.002, after_accept=True))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: house.post("/videos", "k", FILM), range(20)))
    done = [answer for answer in answers if answer.status_code == 200]
    in_use = [answer for answer in answers if answer.status_code != 200]
    assert house.done == ["video"]
    assert len({answer.json()["id"] for answer in done}) == 1
    assert len([answer for answer in done if "idempotent-replayed" not in answer.headers]) == 1
    assert in_use
    for answer in in_use:
        assert code(answer) == (409, "idempotency_key_in_use")
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("1", "true")
    # What differs is told so, even meanwhile.
    house.wire.fail("POST /videos", Fault.slow_headers(0.002, after_accept=True))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(house.post, "/videos", "m", FILM)
        time.sleep(0.3)
        assert code(house.post("/videos", "m", {**FILM, "prompt": "A cat"})) == (422, "idempotency_key_reused")
        assert first.result().status_code == 200


@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
def test_the_openai_package_gets_its_answer_by_asking_again(house: House) -> None:
    house.wire.fail("POST /videos", Fault.slow_headers(0.002, after_accept=True))

    async def everybody() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=str(house.http.base_url), api_key=MASTER) as client:
            again = client.with_options(max_retries=10)
            form: dict[str, Any] = {**FILM, "input_reference": ("a.png", CLIP, "image/png")}
            ask = [again.videos.create(**form, extra_headers={"Idempotency-Key": "sdk"}) for _ in range(20)]
            return await asyncio.gather(*ask)

    videos = asyncio.run(everybody())
    assert len({video.id for video in videos}) == 1
    assert house.done == ["video"]


def test_whose_key_it_is(house: House) -> None:
    ours, other, master = [house.post("/videos", "k", FILM, who=who) for who in ("ours", "other", "master")]
    assert len({answer.json()["id"] for answer in (ours, other, master)}) == 3
    assert house.done == ["video"] * 3
    assert replayed(ours, house.post("/videos", "k", FILM, who="colleague"))  # of one owner
    [id] = [key["id"] for key in house.ask("GET", "/keys", who="master").json()["data"] if key["name"] == "ours"]
    house.keys["ours"] = house.post(f"/keys/{id}/rotate", who="master").json()["key"]
    assert replayed(ours, house.post("/videos", "k", FILM))
    assert replayed(other, house.post("/videos", "k", FILM, who="other"))
    assert replayed(master, house.post("/videos", "k", FILM, who="master"))
    assert house.done == ["video"] * 3


def test_a_page_with_an_ephemeral_key(house: House) -> None:
    """Its answer may be lost, too: it asks again, though its key is for one call only."""

    def minted(model: str = "talk") -> str:
        return str(house.post("/realtime/client_secrets", document={"model": model}).json()["value"])

    def relay(token: str, offer: bytes = OFFER) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/sdp", HEADER: "k"}
        return house.http.post("/realtime/calls", content=offer, headers=headers)

    token = minted()
    first = relay(token)
    assert first.status_code == 201, first.text
    assert replayed(first, relay(token))
    assert replayed(first, relay(minted()))  # a fresh one, for the same call
    assert code(relay(token, OFFER.replace(b"\r\ns=-", b"\r\ns=x"))) == (422, "idempotency_key_reused")
    assert house.done.count("call") == 1
    sdp = {"content": OFFER, "headers": {"content-type": "application/sdp"}}
    assert "idempotent-replayed" not in house.post("/realtime/calls?model=talk", "k", **sdp).headers
    assert house.done.count("call") == 2


@pytest.mark.parametrize(
    ("path", "document", "fault", "status", "kept"),
    [
        ("/videos", FILM, Fault.status(400), 400, True),
        ("/videos", FILM, Fault.status(404), 404, True),
        ("/videos", FILM, Fault.status(422), 422, True),
        ("/videos", FILM, Fault.status(500, after_accept=True), 500, True),
        ("/videos", FILM, Fault.reset_before_headers(after_accept=True), 502, True),
        ("/videos", FILM, Fault.bad_json(after_accept=True), 502, True),
        ("/videos", FILM, Fault.status(401), 401, False),
        ("/videos", FILM, Fault.status(403), 403, False),
        ("/chat/completions", CHAT, Fault.status(400), 400, True),
        ("/chat/completions", CHAT, Fault.status(429, retry_after=300), 429, False),
        # Nobody promises that nothing was begun.
        ("/chat/completions", CHAT, Fault.status(503, retry_after=300), 503, True),
        ("/videos", FILM, Fault.status(503, after_accept=True), 503, True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_errors(house: House, path: str, document: Any, fault: Fault, status: int, kept: bool) -> None:
    house.wire.fail(f"POST {path}", fault)
    first = house.post(path, "k", document)
    assert first.status_code == status, first.text
    asked = len(house.wire.seen)
    again = house.post(path, "k", document)
    if kept:
        assert replayed(first, again)
        assert len(house.wire.seen) == asked
    else:
        assert again.status_code == 200
        assert "idempotent-replayed" not in again.headers
    assert house.done.count("video") <= 1


def test_what_was_refused_may_be_corrected(house: House) -> None:
    """Under the same key: nothing was done."""
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"model": "film"}, 400),
        ({**FILM, "seconds": [1]}, 400),
        ({**FILM, "model": "nothing"}, 404),
        ({**FILM, "characters": [{"id": "character_forged"}]}, 404),
    ]
    for document, status in wrong:
        assert house.post("/videos", "k", document).status_code in {400, status}
    assert house.post("/videos", "k", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert house.post("/responses/compact", "k", {}).status_code == 501
    assert house.wire.seen == []
    first = house.post("/videos", "k", FILM)
    assert first.status_code == 200
    assert replayed(first, house.post("/videos", "k", FILM))
    assert house.post("/keys", "k", {"name": "x", "models": ["?"]}, who="master").status_code == 400
    assert house.post("/keys", "k", {"name": "x"}, who="master").status_code == 201
