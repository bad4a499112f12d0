"""What the tests of Idempotency-Key share: a gateway over a vendor, and how its answers are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field
from core.tests.offers import OFFER
from gateway.tests.odd import Odd, over
from pydantic import SecretStr

from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.idempotency import HEADER
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
MODELS = {"film": "sora-2", "talk": "gpt-realtime", "text": "gpt-5.4"}
CLIP = b"\0\0\0\x18ftypmp42" + bytes(64)
FILM = {"model": "film", "prompt": "A fox"}
CHAT = {"model": "text", "messages": [{"role": "user", "content": "Hi"}]}
Ask = Callable[[str], httpx.Response]


def entries(url: str) -> list[dict[str, Any]]:
    params = {"api_base": url, "api_key": FAKE_KEY}
    return [
        {"model_name": name, "litellm_params": {"model": f"openai/{model}", **params}} for name, model in MODELS.items()
    ]


@define(eq=False)
class House:
    """A gateway with keys over a vendor, and its data directory, which outlives it."""

    folder: Path
    wire: FakeUpstream
    url: str
    now: list[float] = field(factory=lambda: [time.time()])
    http: httpx.Client = field(init=False)
    keys: dict[str, str] = field(factory=dict)

    @contextmanager
    def open(self, client: Any = None, **settings: Any) -> Iterator[State]:
        state = State(self.folder, lambda: self.now[0])
        client = client or make_client({"model_list": entries(self.url)})
        with over(Odd, client, state, master_key=SecretStr(MASTER), **settings) as self.http:
            self.keys["master"] = MASTER
            for name, owner in (("ours", "a"), ("colleague", "a"), ("other", "b")):
                if name not in self.keys:
                    made = self.ask("POST", "/keys", who="master", json={"name": name, "owner": owner})
                    self.keys[name] = made.json()["key"]
            yield state

    def ask(self, method: str, path: str, key: str | None = None, who: str = "ours", **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[who]}", **body.pop("headers", {})}
        if key is not None:
            headers[HEADER] = key
        return self.http.request(method, path, headers=headers, **body)

    def post(self, path: str, key: str | None = None, document: Any = None, **options: Any) -> httpx.Response:
        if document is not None:
            options["json"] = document
        return self.ask("POST", path, key, **options)

    @property
    def done(self) -> list[str]:
        """The kinds of work that the vendor has begun."""
        return [entry.kind for entry in self.wire.book.entries]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    wire = FakeUpstream(polls_until_done=0)
    with wire.serve() as url:
        house = House(tmp_path / "house", wire, url)
        with house.open():
            yield house


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer says that is the same when it is given again."""
    kept = ("content-type", "location", "x-should-retry", "x-callsheet-provider", "openai-poll-after-ms")
    return answer.status_code, answer.content, {name: answer.headers.get(name) for name in kept}


def replayed(first: httpx.Response, again: httpx.Response) -> bool:
    """Whether an answer is the first one, given again."""
    assert "idempotent-replayed" not in first.headers
    if "idempotent-replayed" not in again.headers:
        return False
    assert again.headers["idempotent-replayed"] == "true"
    assert told(again) == told(first)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    return True


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def film(house: House) -> str:
    return str(house.post("/videos", document=FILM).json()["id"])


def stored(house: House) -> str:
    asked = {"model": "text", "input": "Hi", "store": True, "background": True}
    return str(house.post("/responses", document=asked).json()["id"])


def call(house: House) -> httpx.Response:
    files = {"sdp": (None, OFFER, "application/sdp"), "session": (None, '{"type": "realtime", "model": "talk"}')}
    return house.post("/realtime/calls", files=files)


ROUTES: dict[str, Callable[[House], tuple[str, str, dict[str, Any]]]] = {
    "generate_video": lambda house: ("POST", "/videos", {"json": FILM}),
    "a form": lambda house: ("POST", "/videos", {"data": FILM, "files": {"input_reference": ("a.png", b"x", "image/png")}}),
    "create_character": lambda house: (
        "POST", "/videos/characters", {"data": {"name": "Luna", "model": "film"}, "files": {"video": ("a.mp4", CLIP)}},
    ),
    "edit": lambda house: ("POST", "/videos/edits", {"json": {"video": {"id": film(house)}, "prompt": "Night"}}),
    "edit, id in the path": lambda house: ("POST", f"/videos/{film(house)}/edits", {"json": {"prompt": "Night"}}),
    "extend": lambda house: (
        "POST", "/videos/extensions", {"json": {"video": {"id": film(house)}, "prompt": "On", "seconds": "4"}},
    ),
    "remix": lambda house: ("POST", f"/videos/{film(house)}/remix", {"json": {"prompt": "Rain"}}),
    "delete_video": lambda house: ("DELETE", f"/videos/{film(house)}", {}),
    "responses": lambda house: ("POST", "/responses", {"json": {"model": "text", "input": "Hi"}}),
    "responses, streamed": lambda house: ("POST", "/responses", {"json": {"model": "text", "input": "Hi", "stream": True}}),
    "cancel_response": lambda house: ("POST", f"/responses/{stored(house)}/cancel", {}),
    "delete_response": lambda house: ("DELETE", f"/responses/{stored(house)}", {}),
    "chat_completions": lambda house: ("POST", "/chat/completions", {"json": CHAT}),
    "chat, streamed": lambda house: ("POST", "/chat/completions", {"json": {**CHAT, "stream": True}}),
    "mint_realtime_secret": lambda house: ("POST", "/realtime/client_secrets", {"json": {"model": "talk"}}),
    "relay_sdp": lambda house: (
        "POST", "/realtime/calls?model=talk", {"content": OFFER, "headers": {"content-type": "application/sdp"}},
    ),
    "hang_up": lambda house: (
        "POST", f"/realtime/calls/{call(house).headers['location'].rpartition('/')[2]}/hangup", {},
    ),
}  # fmt: skip
