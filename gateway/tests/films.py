"""Videos for tests, by plain HTTP: small ones, done in a fraction of a second."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import httpx

MODEL = "local/motion-1"
SMALL = {"model": MODEL, "prompt": "a quiet lake", "size": "320x180", "seconds": "1"}


def finished(http: httpx.Client, video_id: str) -> dict[str, Any]:
    """A video when its job has ended well."""
    until = time.monotonic() + 60
    while (video := http.get(f"/videos/{video_id}").json())["status"] in {"queued", "in_progress"}:
        assert time.monotonic() < until, video
        time.sleep(0.05)
    assert video["status"] == "completed", video
    assert isinstance(video, dict)
    return video


def film(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A small video that is done."""
    answer = http.post("/videos", json={**SMALL, **fields})
    assert answer.status_code == 200, answer.text
    return finished(http, answer.json()["id"])


def upstream_id(managed: str) -> str:
    """The provider's own id in a managed one: what its files are called."""
    text = managed.partition("_")[2]
    found = re.search(rb"(?:char|video)_[0-9a-f]{32}", base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert found, managed
    return found[0].decode()
