"""A gateway over a fake vendor that keeps a book, and a look into the ledger of the one and the book of the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field
from gateway.tests.odd import Odd, over
from pydantic import SecretStr

from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
MODELS = {
    "film": "sora-2",
    "big-film": "sora-2-pro",
    "text": "gpt-5.4",
    "talk": "gpt-realtime",
    "riddle": "nobody-knows",
}
CHAT = {"model": "text", "messages": [{"role": "user", "content": "Hi"}]}
ASKED = {"model": "text", "input": "Hi"}
CLIP = b"\0\0\0\x18ftypmp42" + bytes(64)


def entries(url: str, models: dict[str, str] = MODELS, provider: str = "openai") -> list[dict[str, Any]]:
    params = {"api_base": url, "api_key": FAKE_KEY}
    return [
        # The vendor's prices are good at the vendor's address; elsewhere somebody has to say what a model is.
        {
            "model_name": name,
            "litellm_params": {"model": f"{provider}/{model}", **params},
            "model_info": {"base_model": model},
        }
        for name, model in models.items()
    ]


def soon(holds: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What holds in a moment."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, "it never holds"
        time.sleep(0.005)
    return found


@define(eq=False)
class Till:
    """A gateway with keys of two owners, and its data directory, which outlives it. `now` is the time that it is there."""

    folder: Path
    wire: FakeUpstream
    url: str
    now: list[float] = field(factory=lambda: [0.0])
    http: httpx.Client = field(init=False)
    state: State = field(init=False)
    keys: dict[str, str] = field(factory=dict)
    config: dict[str, Any] | None = None

    def clock(self) -> float:
        return time.time() + self.now[0]

    @contextmanager
    def open(self, **settings: Any) -> Iterator[Till]:
        settings = {"reconcile_seconds": 1000.0, **settings}
        self.state = State(self.folder, self.clock)
        client = make_client(self.config or {"model_list": entries(self.url)})
        with over(Odd, client, self.state, master_key=SecretStr(MASTER), **settings) as self.http:
            for name, owner in (("ours", "a"), ("other", "b")):
                if name not in self.keys:
                    headers = {"authorization": f"Bearer {MASTER}"}
                    made = self.http.post("/keys", json={"name": name, "owner": owner}, headers=headers)
                    self.keys[name] = made.json()["key"]
            yield self

    def ask(self, method: str, path: str, who: str = "ours", **options: Any) -> httpx.Response:
        return self.http.request(method, path, headers=self.headers(who), **options)

    def headers(self, who: str = "ours") -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[who]}"}

    def post(self, path: str, document: Any, who: str = "ours") -> httpx.Response:
        return self.ask("POST", path, who, json=document)

    def film(self, prompt: str = "A fox", who: str = "ours", **more: Any) -> httpx.Response:
        return self.post("/videos", {"model": "film", "prompt": prompt, **more}, who)

    def charges(self, **where: Any) -> list[dict[str, Any]]:
        rows = [dict(row) for row in self.state.database.read("SELECT * FROM charges ORDER BY created_at, rowid")]
        for row in rows:
            row["asked"] = json.loads(row["asked"] or "{}")
        return [row for row in rows if all(row[name] == value for name, value in where.items())]

    def one(self, state: str, **where: Any) -> dict[str, Any]:
        """The only charge, once it is in a state."""

        def found() -> Any:
            rows = self.charges(**where)
            assert len(rows) <= 1, rows
            return rows[0] if rows and rows[0]["state"] == state else None

        return dict(soon(found))

    def states(self, **where: Any) -> list[str]:
        return [row["state"] for row in self.charges(**where)]

    def sum(self, **where: Any) -> int:
        return sum(row["cost"] or 0 for row in self.charges(**where))

    def figures(self) -> dict[str, float]:
        text = self.http.get("/metrics", headers={"authorization": f"Bearer {MASTER}"}).text
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("callsheet_")]
        return {name: float(value) for name, _, value in lines}


@contextmanager
def till(folder: Path, **wire: Any) -> Iterator[Till]:
    """A till over a fake that is set so, not opened."""
    vendor = FakeUpstream(**wire)
    with vendor.serve() as url:
        yield Till(folder / "house", vendor, url)
