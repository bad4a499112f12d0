"""kill -9 while jobs are being ordered: every id that a client was told is there after a restart, and in the list.

More of it: python3 dev.py kills.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest
from gateway.tests.serving import launched, serving

from callsheet.testing import FAKE_KEY, FakeUpstream

KEY = "sk-cs-of-the-killed-0123456789"
HEADERS = {"authorization": f"Bearer {KEY}"}
KILLS = int(os.environ.get("CALLSHEET_KILLS", "20"))
ENTRY = """
model_list:
- model_name: film
  litellm_params: {{model: openai/sora-2, api_base: "{url}", api_key: {key}}}
"""


class Customers:
    """Three that order one video after another, until they are cut off."""

    def __init__(self, base: str, order: dict[str, str], told: dict[str, str]) -> None:
        self.base, self.order, self.told = base, order, told
        self.sent: list[str] = []
        self.first = threading.Event()
        self.threads = [threading.Thread(target=self._orders, args=(name,)) for name in "abc"]
        for thread in self.threads:
            thread.start()

    def _orders(self, name: str) -> None:
        with httpx.Client(base_url=self.base, headers=HEADERS, trust_env=False, timeout=30) as http:
            for number in count():
                prompt = f"A fox, take {number} of {name} at {self.base}"
                self.sent.append(prompt)
                try:
                    answer = http.post("/videos", json={**self.order, "prompt": prompt})
                except httpx.HTTPError:
                    return  # it was killed
                assert answer.status_code == 200, answer.text
                self.told[answer.json()["id"]] = prompt
                self.first.set()

    def leave(self) -> None:
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


def of_the_list(http: httpx.Client) -> dict[str, str]:
    listed: dict[str, str] = {}
    after: dict[str, str] = {}
    while True:
        page = http.get("/videos", params={"limit": 100, **after}).json()
        ids = {video["id"]: video["prompt"] for video in page["data"]}
        assert not ids.keys() & listed.keys()
        listed |= ids
        if not page["has_more"]:
            return listed
        after = {"after": page["last_id"]}


@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize(
    ("seed", "share", "upstream"),
    [(1, 0.2, False), (2, 0.4, True), (3, 0.4, True)],  # shares of the kills: one after another they take long
    ids=["embedded", "upstream", "upstream again"],
)
def test_what_was_acknowledged_is_there(tmp_path: Path, seed: int, share: float, upstream: bool) -> None:
    told: dict[str, str] = {}
    sent, dice, rounds = 0, random.Random(seed), max(1, round(KILLS * share))
    words: list[str] = []
    order = {"model": "local/motion-1", "size": "64x64", "seconds": "1"}
    wire = FakeUpstream(polls_until_done=0)
    with ExitStack() as stack:
        if upstream:  # which lives on, as a vendor does
            order = {"model": "film", "seconds": "4"}
            config = tmp_path / "config.yaml"
            config.write_text(ENTRY.format(url=stack.enter_context(wire.serve()), key=FAKE_KEY))
            words = ["--config", str(config)]
        for _ in range(rounds):
            process, said = launched(tmp_path / "data", subprocess.DEVNULL, *words, CALLSHEET_MASTER_KEY=KEY)
            try:
                customers = Customers(said["base_url"], order, told)
                assert customers.first.wait(30)
                time.sleep(dice.uniform(0, 0.3))
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            customers.leave()
            sent += len(customers.sent)
        assert len(told) >= rounds
        gateway = stack.enter_context(serving(tmp_path / "data", *words, CALLSHEET_MASTER_KEY=KEY))
        with gateway.http(headers=HEADERS) as http:
            assert [id for id in told if http.get(f"/videos/{id}").status_code != 200] == []
            listed = of_the_list(http)
        assert told.items() <= listed.items()
        if upstream:
            assert len(told) <= len(wire.book.entries) <= sent  # nothing was ordered twice
