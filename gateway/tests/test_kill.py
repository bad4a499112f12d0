"""kill -9 while jobs are being ordered: every id that a client was told is there after a restart, and in the list."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from gateway.tests.serving import launched, serving

KEY = "sk-cs-of-the-killed-0123456789"
HEADERS = {"authorization": f"Bearer {KEY}"}
ORDER = {"model": "local/motion-1", "prompt": "A fox", "size": "64x64", "seconds": "1"}
ROUNDS = int(os.environ.get("CALLSHEET_KILLS", "5"))
"""How often; CALLSHEET_KILLS=200 takes some minutes."""


def order(base: str, told: list[str], stop: threading.Event) -> None:
    with httpx.Client(base_url=base, headers=HEADERS, trust_env=False) as http:
        while not stop.is_set():
            try:
                answer = http.post("/videos", json=ORDER)
            except httpx.HTTPError:
                return  # it was killed
            if answer.status_code == 200:
                told.append(answer.json()["id"])


@pytest.mark.timeout(30 + 10 * ROUNDS)
def test_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    told: list[str] = []
    dice = random.Random(7)
    for _ in range(ROUNDS):
        process, said = launched(tmp_path / "data", subprocess.DEVNULL, CALLSHEET_MASTER_KEY=KEY)
        stop = threading.Event()
        threads = [threading.Thread(target=order, args=(said["base_url"], told, stop)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(dice.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
        for thread in threads:
            thread.join(10)
        assert process.stdout is not None
        process.stdout.close()
    assert len(told) >= ROUNDS
    with serving(tmp_path / "data", CALLSHEET_MASTER_KEY=KEY) as gateway, gateway.http(headers=HEADERS) as http:
        assert [id for id in told if http.get(f"/videos/{id}").status_code != 200] == []
        listed, after = [], None
        while True:
            page = http.get("/videos", params={"limit": 100, **({"after": after} if after else {})}).json()
            listed += [video["id"] for video in page["data"]]
            if not page["has_more"]:
                break
            after = page["last_id"]
        assert set(told) <= set(listed)
        assert len(listed) == len(set(listed))
