"""Idempotency-Key: streams, restarts, kill -9, clients that leave, and what fails in the middle."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from core.tests.offers import OFFER
from gateway.tests.idempotent import CHAT, FILM, MASTER, ROUTES, House, code, entries, replayed
from gateway.tests.idempotent import house as house
from gateway.tests.odd import Items, Odd, over
from gateway.tests.serving import launched, serving

from callsheet import IO, APIError, CreateResponse, Event, GenerateVideo, PluginError, Response, Stream, Video, hookimpl
from callsheet.testing import FAKE_KEY, FakeUpstream, Fault
from callsheet_gateway import idempotency, make_client
from callsheet_gateway.idempotency import HEADER
from callsheet_gateway.kept_answers import DAY
from callsheet_gateway.root_keys import RootKeys
from callsheet_gateway.state import State


def test_streams(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**CHAT, "stream": True}
    first = house.post("/chat/completions", "whole", asked)
    assert first.text.endswith("data: [DONE]\n\n")
    again = house.post("/chat/completions", "whole", asked)
    assert replayed(first, again)
    assert again.headers["content-type"].startswith("text/event-stream")
    assert again.headers["cache-control"] == "no-cache"
    done = house.done

    for key, fault in (("broken", Fault.reset_in_stream(after_content=True)),):
        house.wire.fail("POST /chat/completions", fault)
        assert "[DONE]" not in house.post("/chat/completions", key, asked).text
    for key, name in (("long", "MOST_OF_STREAM"), ("crowded", "MOST_OF_STREAMS")):
        with monkeypatch.context() as patch:
            patch.setattr(idempotency, name, 100)
            assert house.post("/chat/completions", key, asked).text.endswith("data: [DONE]\n\n")
    assert house.done == [*done, *["chat"] * 3]
    for key in ("broken", "long", "crowded"):
        lost = house.post("/chat/completions", key, asked)
        assert code(lost) == (409, "idempotency_answer_lost")
        assert lost.headers["x-should-retry"] == "false"
    assert house.done == [*done, *["chat"] * 3]
    assert replayed(first, house.post("/chat/completions", "whole", asked))


def test_after_a_restart_and_for_a_day(tmp_path: Path) -> None:
    wire = FakeUpstream(polls_until_done=0)
    with wire.serve() as url:
        house = House(tmp_path / "house", wire, url)
        firsts = {}
        with house.open():
            for route in ("generate_video", "create_character", "chat, streamed", "mint_realtime_secret", "relay_sdp"):
                method, path, options = ROUTES[route](house)
                firsts[route] = house.ask(method, path, "k", **options)
            made = house.post("/keys", "k", {"name": "shop"}, who="master")
        done = house.done
        State(house.folder).rotate_root()  # earlier root keys stay
        for age in (0, DAY - 5, 2):
            house.now[0] += age
            with house.open():
                for route, first in firsts.items():
                    method, path, options = ROUTES[route](house)
                    again = house.ask(method, path, "k", **options)
                    assert replayed(first, again)
                assert replayed(made, house.post("/keys", "k", {"name": "shop"}, who="master"))
        assert house.done == done
        house.now[0] += 5
        with house.open():
            assert not replayed(firsts["generate_video"], house.post("/videos", "k", FILM))
        assert house.done == [*done, "video"]
        RootKeys().to_file(house.folder / "root-keys.json")  # the old ones are gone
        with house.open():
            assert code(house.post("/videos", "k", FILM)) == (409, "idempotency_answer_lost")


def test_a_real_restart_and_a_kill(tmp_path: Path) -> None:
    """What was under way when the process was killed is neither done again nor for ever under way."""
    wire = FakeUpstream(polls_until_done=0)
    with wire.serve() as url:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model_list": entries(url)}))
        words = ("--config", str(tmp_path / "config.yaml"))
        headers = {"authorization": f"Bearer {MASTER}"}

        def post(base: str, key: str) -> httpx.Response:
            with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=30) as http:
                return http.post("/videos", json=FILM, headers={HEADER: key})

        with serving(tmp_path / "data", *words, CALLSHEET_MASTER_KEY=MASTER) as gateway:
            first = post(gateway.base_url, "whole")
        process, said = launched(tmp_path / "data", subprocess.DEVNULL, *words, CALLSHEET_MASTER_KEY=MASTER)
        try:
            assert replayed(first, post(said["base_url"], "whole"))
            wire.fail("POST /videos", Fault.slow_headers(5, after_accept=True))
            with ThreadPoolExecutor(1) as pool:
                cut = pool.submit(post, said["base_url"], "cut")
                while len(wire.seen) < 2:
                    time.sleep(0.01)
                assert code(post(said["base_url"], "cut")) == (409, "idempotency_key_in_use")
                process.kill()
                assert isinstance(cut.exception(), httpx.HTTPError)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        with serving(tmp_path / "data", *words, CALLSHEET_MASTER_KEY=MASTER) as gateway:
            assert replayed(first, post(gateway.base_url, "whole"))
            unknown = post(gateway.base_url, "cut")
            assert code(unknown) == (409, "idempotency_outcome_unknown")
            assert unknown.headers["x-should-retry"] == "false"
            assert "GET /v1/videos" in unknown.json()["error"]["message"]
        assert len(wire.seen) == 2


class Slow(Odd):
    """Waits to be let go on, and notes how often it was asked."""

    begun, go_on, asked = threading.Event(), threading.Event(), list[str]()

    async def wait(self, what: str) -> None:
        self.asked.append(what)
        self.begun.set()
        while not self.go_on.is_set():
            await anyio.sleep(0.01)

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        if request.stream:
            self.asked.append("stream")
            return Stream(Items(Event.of("response.created", {"type": "response.created"}), lambda: self.wait("rest")))
        await self.wait("response")
        return Response({"id": "r", "output": []})

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        await self.wait("video")
        return Video(id="v_1", status="queued")


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[httpx.Client]:
    for event in (Slow.begun, Slow.go_on):
        event.clear()
    Slow.asked.clear()
    with over(Slow, state=State(tmp_path)) as http:
        yield http
        Slow.go_on.set()


def ask_and_leave(http: httpx.Client, path: str, document: Any) -> None:
    """Send a request with the key "k", and leave as soon as the provider has begun."""
    body = json.dumps(document).encode()
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=10) as connection:
        head = [f"POST /v1{path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"{HEADER}: k"]
        connection.sendall("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        assert Slow.begun.wait(5)


def settled(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, once the first request is over."""
    until = time.monotonic() + 5
    while (answer := ask()).status_code == 409 and answer.json()["error"]["code"] == "idempotency_key_in_use":
        assert time.monotonic() < until
        time.sleep(0.01)
    return answer


def test_who_has_left_and_asks_again(slow: httpx.Client) -> None:
    """What is given up may be done again; what makes something goes on, and its answer is for who comes back."""
    headers = {HEADER: "k"}
    asked: dict[str, Any] = {"model": "odd/m", "input": "Hi"}
    ask_and_leave(slow, "/responses", asked)
    Slow.go_on.set()
    answer = settled(lambda: slow.post("/responses", json=asked, headers=headers))
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer.headers
    assert Slow.asked == ["response"] * 2
    Slow.go_on.clear()
    Slow.begun.clear()
    video = {"model": "odd/m", "prompt": "A fox"}
    ask_and_leave(slow, "/videos", video)
    assert slow.post("/videos", json=video, headers=headers).status_code == 409
    Slow.go_on.set()
    answer = settled(lambda: slow.post("/videos", json=video, headers=headers))
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    assert Slow.asked == ["response", "response", "video"]


ASKED = {"model": "text", "input": "Hi"}
OFFERED = {"sdp": (None, OFFER, "application/sdp"), "session": (None, '{"type": "realtime", "model": "talk"}')}
LEFT: dict[str, tuple[str, dict[str, Any], bool]] = {
    "a response in the background": ("/responses", {"json": {**ASKED, "background": True}}, False),
    "its stream": ("/responses", {"json": {**ASKED, "background": True, "stream": True}}, False),
    "a response that is stored": ("/responses", {"json": ASKED}, False),
    "a realtime call": ("/realtime/calls", {"files": OFFERED}, False),
    "a response that leaves nothing": ("/responses", {"json": {**ASKED, "store": False}}, True),
    "a chat": ("/chat/completions", {"json": CHAT}, True),
}


@pytest.mark.parametrize("left", LEFT)
def test_who_leaves_what_may_be_paid_for(house: House, left: str) -> None:
    """It is not done a second time, unless it leaves nothing behind but its price."""
    path, options, free = LEFT[left]
    house.wire.fail(f"POST {path}", Fault.stall_after_headers(after_accept=True))
    with pytest.raises(httpx.TimeoutException):
        house.post(path, "k", timeout=0.5, **options)
    again = settled(lambda: house.post(path, "k", **options))
    if free:
        assert again.status_code == 200, again.text
    else:
        assert code(again) == (409, "idempotency_outcome_unknown")
    assert len(house.done) == (2 if free else 1)


def test_a_budget_that_refuses_another_attempt_frees_no_key(tmp_path: Path) -> None:
    wire = FakeUpstream()
    with wire.serve() as url:
        house = House(tmp_path / "house", wire, url)
        params = {"model": "openai/gpt-5.4", "api_base": url, "api_key": FAKE_KEY}
        two = [
            {
                "model_name": "text",
                "litellm_params": {**params, "organization": name},
                "model_info": {"base_model": "gpt-5.4", "account_id": name},
            }
            for name in ("one", "two")
        ]
        with house.open(make_client({"model_list": two})):
            assert house.post("/owners/a/budget", document={"amount": "0.003"}, who="master").status_code == 200
            wire.fail("POST /chat/completions", Fault.status(500, after_accept=True))
            asked = {**CHAT, "max_completion_tokens": 100}
            refused = house.post("/chat/completions", "k", asked)
            assert 400 <= refused.status_code < 500, refused.text
            house.post("/owners/a/budget", document={"amount": "10"}, who="master")
            again = house.post("/chat/completions", "k", asked)
            assert code(again) == (409, "idempotency_outcome_unknown")
            assert house.done == ["chat"]


def test_who_leaves_in_the_middle_of_a_stream(slow: httpx.Client) -> None:
    asked = {"model": "odd/m", "input": "Hi", "stream": True}
    ask_and_leave(slow, "/responses", asked)
    answer = settled(lambda: slow.post("/responses", json=asked, headers={HEADER: "k"}))
    assert code(answer) == (409, "idempotency_answer_lost")
    assert Slow.asked == ["stream", "rest"]


@pytest.mark.parametrize(
    ("error", "first", "again"),
    [
        (ZeroDivisionError("a bug"), (500, "internal_error"), (409, "idempotency_outcome_unknown")),
        (APIError("?", status_code=502, should_retry=True, code="x"), (502, "x"), (502, "x")),
        (PluginError("odd", code="x"), (500, "x"), (500, "x")),
    ],
)
def test_what_fails_in_the_middle(monkeypatch: pytest.MonkeyPatch, error: Exception, first: Any, again: Any) -> None:
    asked = []

    def fail(request: GenerateVideo) -> Video:
        asked.append(request)
        raise error

    monkeypatch.setitem(Odd.does, "generate_video", fail)
    with over(Odd) as http:
        answers = [http.post("/videos", json={"model": "odd/m", "prompt": "x"}, headers={HEADER: "k"}) for _ in "12"]
    assert [code(answer) for answer in answers] == [first, again]


def test_where_nothing_can_be_written_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was done is told, even where its answer can't be kept."""
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.1)
    state, other = State(tmp_path), State(tmp_path)
    asked = []

    def make(request: GenerateVideo) -> Video:
        asked.append(request)
        lock = other.database.alone()
        lock.__enter__()
        locks.append(lock)
        return Video(id=f"v_{len(asked)}", status="queued")

    locks: list[Any] = []
    monkeypatch.setitem(Odd.does, "generate_video", make)
    with over(Odd, state=state) as http:

        def ask(key: str) -> httpx.Response:
            return http.post("/videos", json={"model": "odd/m", "prompt": "x"}, headers={HEADER: key})

        with other.database.alone():
            refused = ask("k")
        assert code(refused) == (503, "not_writable")
        assert refused.headers["x-should-retry"] == "true"
        assert asked == []
        done = ask("k")
        assert done.status_code == 200
        locks.pop().__exit__(None, None, None)
        assert code(ask("k")) == (409, "idempotency_outcome_unknown")
        assert len(asked) == 1
    other.close()


def test_pages_may_read_that_it_was_before() -> None:
    with over(Odd, cors_origins=("http://localhost:5173",)) as http:
        answer = http.get("/models", headers={"origin": "http://localhost:5173"})
        assert "idempotent-replayed" in answer.headers["access-control-expose-headers"]
        asked = {"access-control-request-method": "POST", "access-control-request-headers": HEADER}
        assert http.options("/videos", headers={"origin": "http://localhost:5173", **asked}).status_code == 200
