"""Limits of one key: so many requests and tokens in any minute, so many at once. What is over is refused unsent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define
from gateway.tests.odd import Items, Odd, over
from pydantic import SecretStr

from callsheet import APIConnectionError, BadRequestError, Event, Response, Stream, Video
from callsheet.headers import reset_after
from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.key_limits import Caps
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
ADMIN = {"authorization": f"Bearer {MASTER}"}
TEXT = {"model": "odd/m", "input": "Hi"}
NAMES = ("limit", "remaining")


@define
class Shop:
    """A gateway, and a key with limits."""

    http: httpx.Client
    state: State
    now: list[float]
    asked: list[Any]
    headers: dict[str, str]
    id: str

    def ask(self, **fields: Any) -> httpx.Response:
        return self.http.post("/responses", json={**TEXT, **fields}, headers=self.headers)

    def statuses(self, number: int) -> list[int]:
        return [self.ask().status_code for _ in range(number)]

    def change(self, **limits: int | None) -> None:
        answer = self.http.post(f"/keys/{self.id}/limits", json=limits, headers=ADMIN)
        assert answer.status_code == 200, answer.text


@contextmanager
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Any = None, **limits: int) -> Iterator[Shop]:
    asked: list[Any] = []

    def does(request: Any) -> Any:
        asked.append(request)
        return answer(request) if callable(answer) else Response(answer or {"id": "r"})

    for operation in ("responses", "chat_completions"):
        monkeypatch.setitem(Odd.does, operation, does)
    state, now = State(folder / "state"), [1000.0]
    state.limits.keys.now = lambda: now[0]
    with over(Odd, state=state, master_key=SecretStr(MASTER)) as http:
        made = http.post("/keys", json={"name": "shop", "owner": "acme", **limits}, headers=ADMIN)
        assert made.status_code == 201, made.text
        assert {name: made.json()[name] for name in limits} == limits
        yield Shop(http, state, now, asked, {"authorization": f"Bearer {made.json()['key']}"}, made.json()["id"])


def rates(answer: httpx.Response, what: str) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(f"x-ratelimit-{name}-{what}") for name in NAMES)


def test_so_many_requests_in_any_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, monkeypatch, rpm=2) as key:
        first = key.ask()
        assert (first.status_code, rates(first, "requests"), rates(first, "tokens")) == (200, ("2", "1"), (None, None))
        key.now[0] += 10.5
        second = key.ask()
        assert (second.status_code, rates(second, "requests")) == (200, ("2", "0"))
        assert reset_after(second.headers) == {"requests": 60.0}
        key.now[0] += 10
        refused = key.ask()
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["type"]) == (429, "rate_limit_exceeded", "rate_limit_error")
        assert "this key's limits are used up: 2 requests a minute" in error["message"]
        assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("40", "39500")
        assert (refused.headers["x-should-retry"], rates(refused, "requests")) == ("true", ("2", "0"))
        assert len(key.asked) == 2
        key.now[0] += 39.4
        assert key.ask().status_code == 429
        key.now[0] += 0.1
        assert key.statuses(2) == [200, 429]


def test_what_counts_as_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is for a provider does, whatever comes of it. What is refused before does not, nor what asks no provider."""
    monkeypatch.setitem(Odd.does, "get_video", lambda _: Video(id="v", status="completed"))
    with shop(tmp_path, monkeypatch, rpm=1) as key:
        for path in ("/models", "/providers", "/videos", "/health/live", "/spend"):
            answer = key.http.get(path, headers=key.headers)
            assert (answer.status_code, rates(answer, "requests")) == (200, (None, None)), path
        assert key.ask(model=5).status_code == 400
        assert (
            key.http.post("/responses", json={"model": "odd/zzz", "input": 5}, headers=key.headers).status_code == 400
        )
        assert key.http.post("/keys", json={"name": "x"}, headers=key.headers).status_code == 403
        assert key.http.get("/videos/video_forged", headers=key.headers).status_code == 404
        assert key.ask().status_code == 429


def test_nobody_else_pays_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, monkeypatch, rpm=1, max_parallel_requests=1) as key:
        _, other = key.state.keys.create("other", owner="acme")
        for wrong in ("sk-cs-nobodys", "x", other + "x"):
            answer = key.http.post("/responses", json=TEXT, headers={"authorization": f"Bearer {wrong}"})
            assert answer.status_code == 401
        assert key.statuses(2) == [200, 429]
        for headers in ({"authorization": f"Bearer {other}"}, ADMIN):
            for _ in range(5):
                answer = key.http.post("/responses", json=TEXT, headers=headers)
                assert (answer.status_code, rates(answer, "requests")) == (200, (None, None))


def test_many_at_once_get_exactly_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, monkeypatch, rpm=7) as key, ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: key.ask().status_code, range(40)))
        assert (statuses.count(200), statuses.count(429), len(key.asked)) == (7, 33, 7)


def test_tokens_are_guessed_and_then_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = {"input_tokens": 3, "output_tokens": 7, "total_tokens": 10}
    with shop(tmp_path, monkeypatch, {"id": "r", "usage": usage}, tpm=120) as key:
        first = key.ask(max_output_tokens=100)
        assert (first.status_code, rates(first, "tokens")) == (200, ("120", "20"))  # as guessed
        second = key.ask(max_output_tokens=100)
        assert (second.status_code, rates(second, "tokens")) == (200, ("120", "10"))
        third = key.ask(max_output_tokens=101)
        assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert key.ask(max_output_tokens=90).status_code == 200
        far = key.ask(max_output_tokens=121)
        assert (far.status_code, far.json()["error"]["code"]) == (400, "tokens_over_limit")
        assert "may have 121 tokens with its answer, and its key 120 a minute" in far.json()["error"]["message"]
        assert "retry-after" not in far.headers
        assert len(key.asked) == 3


def test_tokens_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = '{"response": {"usage": {"total_tokens": 50}}}'
    events = [Event("response.created", "{}"), Event("response.completed", last)]
    with shop(tmp_path, monkeypatch, lambda _: Stream(Items(*events)), tpm=60) as key:
        assert key.ask(stream=True, max_output_tokens=10).status_code == 200
        refused = key.ask(stream=True, max_output_tokens=11)
        assert (refused.status_code, rates(refused, "tokens")) == (429, ("60", "10"))
        assert key.ask(stream=True, max_output_tokens=10).status_code == 200


@pytest.mark.parametrize(
    ("error", "left"),
    [(BadRequestError("no"), 100), (APIConnectionError("cut", sent=True), 40)],
    ids=["turned away", "lost"],
)
def test_tokens_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, left: int) -> None:
    """What was turned away costs none; of what was lost on its way nobody knows."""

    def fail(_: Any) -> Any:
        raise error

    with shop(tmp_path, monkeypatch, fail, tpm=100) as key:
        assert key.ask(max_output_tokens=60).status_code >= 400
        key.asked.clear()
        assert key.ask(max_output_tokens=left).status_code != 429
        assert key.asked


def test_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = partial(anyio.sleep, 60)
    answer = partial(lambda _: Stream(Items(Event("message", "{}"), endless)))
    with shop(tmp_path, monkeypatch, answer, max_parallel_requests=1) as key:
        with key.http.stream("POST", "/responses", json={**TEXT, "stream": True}, headers=key.headers) as stream:
            assert stream.status_code == 200
            refused = key.ask(stream=True)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "1 at once" in refused.json()["error"]["message"]
            assert key.http.get("/models", headers=key.headers).status_code == 200
        [limiter] = key.state.limits.keys._limiters.values()
        until = time.monotonic() + 5
        while limiter.in_flight:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(key.asked) == 1


def test_limits_are_changed_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, monkeypatch, rpm=1, tpm=1000) as key:
        assert key.statuses(2) == [200, 429]
        key.change(rpm=3)
        assert key.statuses(3) == [200, 200, 429]  # what was used stays used
        key.change(rpm=None)
        assert key.statuses(5) == [200] * 5
        assert key.state.keys.sure(key.id).caps == Caps(tpm=1000)
        other = State(key.state.folder)
        other.keys.limit(key.id, Caps(rpm=1))
        other.close()
        key.state.keys._looked -= 0.25  # so much later
        assert key.ask().status_code == 429


def test_an_answer_that_comes_again_is_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, monkeypatch, rpm=1) as key:
        key.headers["idempotency-key"] = "one"
        assert key.statuses(3) == [200] * 3
        assert len(key.asked) == 1
        key.headers["idempotency-key"] = "two"
        assert key.ask().status_code == 429
        key.now[0] += 60
        assert key.ask().status_code == 200  # a refusal is not what is kept


def test_the_headers_are_the_keys_own(tmp_path: Path) -> None:
    """An upstream speaks of the operator's limits."""
    state = State(tmp_path / "state")
    _, bound = state.keys.create("bound", caps=Caps(rpm=9))
    _, free = state.keys.create("free")
    with FakeUpstream().serve() as url:
        params = {"model": "openai/gpt-5.4", "api_base": url, "api_key": FAKE_KEY}
        client = make_client({"model_list": [{"model_name": "talk", "litellm_params": params}]})
        with over(Odd, client, state, master_key=SecretStr(MASTER)) as http:
            said = {}
            for name, key in (("bound", bound), ("free", free)):
                asked = {"model": "talk", "messages": [{"role": "user", "content": "Hi"}]}
                answer = http.post("/chat/completions", json=asked, headers={"authorization": f"Bearer {key}"})
                assert answer.status_code == 200, answer.text
                said[name] = {n: v for n, v in answer.headers.items() if n.startswith("x-ratelimit-")}
    reset = said["bound"].pop("x-ratelimit-reset-requests")
    assert said["bound"] == {"x-ratelimit-limit-requests": "9", "x-ratelimit-remaining-requests": "8"}
    assert 0 < float(reset.removesuffix("s")) <= 60
    assert said["free"]["x-ratelimit-limit-requests"] == "500"


@pytest.mark.parametrize(
    "limits", [{"rpm": 0}, {"tpm": -1}, {"rpm": True}, {"tpm": 1.5}, {"max_parallel_requests": 10**10}]
)
def test_limits_that_can_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]) -> None:
    with shop(tmp_path, monkeypatch) as key:
        for path, more in (("/keys", {"name": "a"}), (f"/keys/{key.id}/limits", {})):
            answer = key.http.post(path, json={**more, **limits}, headers=ADMIN)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(limits)))


def test_limiters_of_keys_that_are_idle_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet_gateway.limits._MOST_KEYS", 2)
    with shop(tmp_path, monkeypatch, rpm=5) as key:
        assert key.ask().status_code == 200
        for number in range(5):
            _, secret = key.state.keys.create(f"{number}", caps=Caps(rpm=1))
            headers = {"authorization": f"Bearer {secret}"}
            assert key.http.post("/responses", json=TEXT, headers=headers).status_code == 200
            key.now[0] += 30
        assert len(key.state.limits.keys._limiters) <= 4
