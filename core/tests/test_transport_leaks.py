"""What calls leave behind: nothing. Not after a hundred of them, not after closing, not in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from core.tests.conftest import Held
from core.tests.server import (
    Server,
    close_unanswered,
    drip_body,
    error_answer,
    events,
    file_answer,
    json_answer,
    reset_in_body,
    sse_answer,
)

from callsheet import CallsheetError

GOOD = {"id": "x1", "status": "queued"}


async def test_a_hundred_calls(client: Any, server: Server, tmp_path: Path) -> None:
    """Good and bad ones, read to the end and left early: files, threads and connections stay as few as they were."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 300_000)
    server.on("/videos", json_answer(GOOD))
    server.on("/videos/characters", json_answer(GOOD))
    server.on("/responses", sse_answer(*[events(("e", n)) for n in range(3)]))
    server.on("/videos/v1/content", file_answer(b"film" * 1000))
    server.on("/videos/broken", reset_in_body)
    server.on("/videos/closed", close_unanswered)
    server.on("/videos/slow", drip_body)
    server.on("/videos/wrong", error_answer(404))

    async def round_of_ten() -> None:
        await client.generate_video(prompt="A fox")
        await client.create_character(name="Luna", video=clip)
        await client.create_character(name="Luna", video=[b"x"] * 3)
        assert len([event async for event in await client.responses(input="hi", stream=True)]) == 3
        async with await client.responses(input="hi", stream=True) as stream:
            await anext(stream)
        await client.download_video("v1", provider="wire", to=tmp_path / "film.mp4")
        for trouble in ("broken", "closed", "slow", "wrong"):
            with pytest.raises(CallsheetError):
                await client.get_video(video_id=trouble, provider="wire", timeout=0.02)

    await round_of_ten()
    held = Held()
    for _ in range(10):
        await round_of_ten()
    assert server.settled(1)  # the one that is kept for the next call
    assert held.more(files=1) == ""


async def test_closing_a_client_closes_its_connections(client: Any, server: Server) -> None:
    server.on("/videos", json_answer(GOOD))
    await client.generate_video(prompt="A fox")
    assert server.open == 1
    await client.close()
    assert server.settled(0)
    await client.close()  # twice is harmless
    with pytest.raises(RuntimeError, match="closed"):
        await client.generate_video(prompt="A fox")


UPLOADER = """
import sys, threading, time
sys.path.insert(0, ROOT)
import psutil
from core.tests.conftest import Mode

def pieces():
    block, left = bytes(range(256)) * 4000, 200_000_000
    while left:
        yield block[:left]
        left -= min(left, len(block))

here, peak, over = psutil.Process(), 0, threading.Event()

def watch():
    global peak
    while not over.wait(0.002):
        peak = max(peak, here.memory_info().rss)

async def upload():
    client = mode.client(base_url=URL, timeout=60)
    await client.create_character(name="Luna", video=[b"x" * 1_000_000])
    before = here.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    await client.create_character(name="Luna", video=pieces() if SOURCE == "iterable" else PATH)
    over.set()
    watcher.join()
    print((peak - before) / 1e6)

mode = Mode(MODE)
mode.run(upload)
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", ["iterable", "sparse file"])
@pytest.mark.parametrize("how", ["blocking", "asyncio", "trio"])
def test_two_hundred_megabytes(server: Server, tmp_path: Path, how: str, source: str) -> None:
    """In a process of its own: its memory grows by less than 20 MB while it uploads them."""
    server.on("/videos/characters", json_answer(GOOD))
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    constants = {"ROOT": str(Path(__file__).parents[2]), "URL": server.url, "PATH": str(path)}
    program = "".join(f"{name} = {value!r}\n" for name, value in {**constants, "MODE": how, "SOURCE": source}.items())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + UPLOADER], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    growth = float(done.stdout)
    print(f"{how}, {source}: {growth:.1f} MB")
    assert growth < 20
    last = server.seen[-1]
    assert last.whole
    assert 200_000_000 < last.size < 200_001_000
