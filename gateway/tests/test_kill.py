"""kill -9 while jobs are being ordered: every id that a client was told is there after a restart, and in the list; and the
ledger comes to what the vendor's own book says.

More of it: python3 dev.py kills.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.serving import launched, serving

from callsheet.testing import FAKE_KEY, FakeUpstream, Fault

KEY = "sk-cs-of-the-killed-0123456789"
HEADERS = {"authorization": f"Bearer {KEY}"}
KILLS = int(os.environ.get("CALLSHEET_KILLS", "20"))
ENTRY = """
model_list:
- model_name: film
  litellm_params: {{model: openai/sora-2, api_base: "{url}", api_key: {key}}}
  model_info: {{base_model: sora-2}}
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


MASTER = {"authorization": f"Bearer {KEY}"}
OFTEN = """
gateway: {reconcile_seconds: 0.5}
"""
TEXT = """
- model_name: text
  litellm_params: {{model: openai/gpt-5.4, api_base: "{url}", api_key: {key}}}
  model_info: {{base_model: gpt-5.4}}
"""


def rows_of(folder: Path, sql: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{folder / 'gateway' / 'gateway.db'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(sql)]
    finally:
        connection.close()


def two_keys(base: str) -> list[str]:
    with httpx.Client(base_url=base, headers=MASTER, trust_env=False, timeout=30) as http:
        return [http.post("/keys", json={"name": name, "owner": name}).json()["key"] for name in "ab"]


@pytest.mark.timeout(120 + 10 * KILLS)
def test_the_ledger_is_the_vendors_bill(tmp_path: Path) -> None:
    """Jobs of two keys, some of which fail: to the micro-dollar, within a minute of the restart."""
    wire, dice, rounds = FakeUpstream(), random.Random(4), max(1, round(KILLS * 0.3))
    words, data, keys = ["--config", str(tmp_path / "config.yaml")], tmp_path / "data", list[str]()
    with wire.serve() as url:
        (tmp_path / "config.yaml").write_text(ENTRY.format(url=url, key=FAKE_KEY) + OFTEN)
        for number in range(rounds):
            process, said = launched(data, subprocess.DEVNULL, *words, CALLSHEET_MASTER_KEY=KEY)
            ordered = threading.Event()

            def order(name: str, key: str, base: str, ordered: threading.Event) -> None:
                headers = {"authorization": f"Bearer {key}"}
                with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=30) as http:
                    for take in count():
                        prompt = f"Take {take} of {name}"
                        try:
                            http.post(
                                "/videos", json={"model": "film", "prompt": prompt, "seconds": str(4 + take % 3 * 4)}
                            )
                        except httpx.HTTPError:
                            return
                        ordered.set()

            try:
                keys = keys or two_keys(said["base_url"])
                threads = [
                    threading.Thread(target=order, args=(f"{number} {one}", key, said["base_url"], ordered))
                    for one, key in enumerate(keys * 2)
                ]
                for thread in threads:
                    thread.start()
                assert ordered.wait(30)
                wire.fail_job()
                time.sleep(dice.uniform(0, 0.4))
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            for thread in threads:
                thread.join(20)
        with serving(data, *words, CALLSHEET_MASTER_KEY=KEY) as gateway:
            until = time.monotonic() + 60
            while rows_of(data, "SELECT id FROM charges WHERE state IN ('begun', 'running', 'unknown')"):
                assert time.monotonic() < until
                time.sleep(0.1)
            with gateway.http(headers=MASTER) as http:
                listed = of_the_list(http)
        charges = rows_of(data, "SELECT state, cost, key, resource FROM charges WHERE resource IS NOT NULL")
        assert sum(charge["cost"] for charge in charges) == wire.book.bill("video") > 0
        assert len(charges) == len(wire.book.accepted("video")) == len(listed)
        assert {charge["resource"] for charge in charges} == listed.keys()
        assert len({charge["key"] for charge in charges}) == 2
        assert rows_of(data, "SELECT id FROM charges WHERE resource IS NULL AND (state <> 'void' OR cost <> 0)") == []


@pytest.mark.timeout(60 + 10 * KILLS)
def test_answers_that_were_delivered_are_in_the_ledger(tmp_path: Path) -> None:
    """But for those of the last 50 ms; and what was under way counts with the most that it can have cost."""
    wire, dice, rounds = FakeUpstream(), random.Random(5), max(1, round(KILLS * 0.2))
    words, data = ["--config", str(tmp_path / "config.yaml")], tmp_path / "data"
    delivered, killed_at, unfinished = list[tuple[float, str]](), 0.0, 0
    chat = {"model": "text", "messages": [{"role": "user", "content": "Hi"}]}
    with wire.serve() as url:
        (tmp_path / "config.yaml").write_text("model_list:" + TEXT.format(url=url, key=FAKE_KEY))
        for _ in range(rounds):
            process, said = launched(data, subprocess.DEVNULL, *words, CALLSHEET_MASTER_KEY=KEY)
            told = list[tuple[float, str]]()

            def talk(base: str, told: list[tuple[float, str]]) -> None:
                with httpx.Client(base_url=base, headers=MASTER, trust_env=False, timeout=30) as http:
                    while True:
                        try:
                            answer = http.post("/chat/completions", json=chat)
                        except httpx.HTTPError:
                            return
                        assert answer.headers["x-callsheet-cost"] == "0.000198"
                        told.append((time.monotonic(), answer.headers["x-request-id"]))

            def hang(base: str) -> None:
                with (
                    httpx.Client(base_url=base, headers=MASTER, trust_env=False, timeout=30) as http,
                    suppress(httpx.HTTPError),
                ):
                    http.post("/responses", json={"model": "text", "input": "Hi"})

            stalls = wire.fail("POST /responses", Fault.stall_after_headers(after_accept=True))
            base = said["base_url"]
            threads = [threading.Thread(target=hang, args=(base,))]
            threads += [threading.Thread(target=talk, args=(base, told)) for _ in range(2)]
            try:
                for thread in threads:
                    thread.start()
                while not told or not stalls.happened:
                    time.sleep(0.01)
                time.sleep(0.1 + dice.uniform(0, 0.2))
            finally:
                killed_at = time.monotonic()
                process.kill()
                process.wait()
                process.stdout.close()
            for thread in threads:
                thread.join(20)
            delivered += [(killed_at - at, id) for at, id in told]
            unfinished += 1
        with serving(data, *words, CALLSHEET_MASTER_KEY=KEY):
            pass
        charges = {
            row["request_id"]: row for row in rows_of(data, "SELECT * FROM charges WHERE operation LIKE 'chat%'")
        }
        missing = [(age, id) for age, id in delivered if id not in charges]
        assert [age for age, _ in missing if age > 0.05] == []
        settled = [charge for charge in charges.values() if charge["state"] == "settled"]
        assert {charge["cost"] for charge in settled} == {198}
        assert len(settled) >= len([age for age, _ in delivered if age > 0.05])
        lost = rows_of(data, "SELECT state, reserved FROM charges WHERE operation = 'responses'")
        assert len(lost) == unfinished
        assert {charge["state"] for charge in lost} == {"unknown"}
        assert sum(charge["reserved"] for charge in lost) >= wire.book.bill("response") > 0
