"""Jobs survive their workers: killed, exiting, closing, sleeping ones; and no two workers do the same job."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from callsheet_local import jobs as jobs_module

from .conftest import SMALL, Hooks, frames_of

PROGRAM = """
import sys, time
sys.path.insert(0, {tests!r})
import callsheet_local.jobs
callsheet_local.jobs.LEASE_SECONDS = 1.6
from conftest import Hooks
hooks = Hooks(data_dir={root!r})
{body}
"""


def program(root: Path, body: str) -> subprocess.Popen[str]:
    source = PROGRAM.format(tests=str(Path(__file__).parent), root=str(root), body=body)
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)


def row(root: Path, id: str) -> dict[str, Any]:
    connection = sqlite3.connect(root / "index.sqlite3")
    connection.row_factory = sqlite3.Row
    try:
        return dict(connection.execute("SELECT * FROM videos WHERE id = ?", (id,)).fetchone())
    finally:
        connection.close()


def change(root: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(root / "index.sqlite3", timeout=10)
    try:
        with connection:
            connection.execute(sql, values)
    finally:
        connection.close()


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_kill_9_while_rendering_loses_nothing(tmp_path: Path) -> None:
    """The killed process's job, its first frame included, is begun anew by the next one that looks."""
    from .test_first_frame import picture, psnr

    (tmp_path / "first.png").write_bytes(picture((640, 360)))
    body = f"""
first = __import__("pathlib").Path({str(tmp_path / "first.png")!r})
video = hooks("generate_video", prompt="A long story", seconds=20, size="640x360", input_reference=first)
print(video.id, flush=True)
while True:
    time.sleep(1)
"""
    child = program(tmp_path / "data", body)
    try:
        assert child.stdout is not None
        id = child.stdout.readline().strip()
        until(lambda: row(tmp_path / "data", id)["progress"] >= 5)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]  # it is a pipe
    assert [path.name.partition(".")[0] for path in (tmp_path / "data" / "work").iterdir()] == [id]
    assert row(tmp_path / "data", id)["status"] == "in_progress"
    hooks = Hooks(data_dir=tmp_path / "data")
    video = hooks.wait(hooks("get_video", video_id=id))
    assert (video.status, row(hooks.root, id)["starts"]) == ("completed", 2)
    frames = frames_of(hooks.bytes(id))
    assert len(frames) == 480
    import io

    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(picture((640, 360)))) as image:
        assert psnr(frames[0], np.asarray(image)) > 33
    assert hooks.left("work", "inputs") == []
    hooks.provider.close()


def test_a_program_that_starts_a_job_and_ends_gives_it_back(tmp_path: Path) -> None:
    body = 'print(hooks("generate_video", prompt="A story", seconds=10, size="640x360").id)'
    started = time.monotonic()
    with program(tmp_path, body) as child:
        id = child.communicate()[0].strip()
    assert child.returncode == 0
    assert time.monotonic() - started < 10
    left = row(tmp_path, id)
    assert (left["status"], left["lease_owner"], left["starts"]) == ("queued", None, 0)
    hooks = Hooks(data_dir=tmp_path)
    assert hooks.wait(hooks("list_videos").data[0]).status == "completed"
    hooks.provider.close()


def test_two_processes_share_a_directory(tmp_path: Path) -> None:
    """Each makes its own videos and looks at the other's; every job is begun once and completed."""
    body = """
videos = [hooks("generate_video", prompt=f"{sys.argv} {n}", seconds=2, size="320x180") for n in range(4)]
for video in videos:
    hooks("list_videos")
    assert hooks.wait(video).status == "completed"
"""
    children = [program(tmp_path, body) for _ in range(2)]
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    hooks = Hooks(data_dir=tmp_path)
    videos = hooks("list_videos").data
    assert [video.status for video in videos] == ["completed"] * 8
    assert [row(tmp_path, video.id)["starts"] for video in videos] == [1] * 8
    hooks.provider.close()


def test_close_stops_at_once_and_the_job_can_be_begun_again_at_once(tmp_path: Path) -> None:
    first = Hooks(data_dir=tmp_path)
    video = first("generate_video", prompt="A long story", seconds=20, size="640x360")
    until(lambda: first("get_video", video_id=video.id).progress > 3)
    started = time.monotonic()
    first.provider.close()
    assert time.monotonic() - started < 1.5
    left = row(tmp_path, video.id)
    assert (left["status"], left["lease_until"], left["starts"]) == ("queued", None, 0)
    assert list((tmp_path / "work").iterdir()) == []
    second = Hooks(data_dir=tmp_path)
    until(lambda: second("get_video", video_id=video.id).progress > 3)
    second.provider.close()


def test_a_live_lease_is_respected_and_a_dead_one_is_not(hooks: Hooks) -> None:
    video = quietly(hooks, "generate_video", prompt="x", seconds=1, size="64x64")
    sql = "UPDATE videos SET status = 'in_progress', lease_owner = 'somebody', lease_until = ?, starts = 1 WHERE id = ?"
    change(hooks.root, sql, time.time() + 1.0, video.id)
    for _ in range(10):
        assert hooks("get_video", video_id=video.id).status == "in_progress"
        time.sleep(0.05)
    assert row(hooks.root, video.id)["lease_owner"] == "somebody"
    assert hooks.wait(hooks("get_video", video_id=video.id)).status == "completed"
    assert row(hooks.root, video.id)["starts"] == 2


def quietly(hooks: Hooks, name: str, **fields: Any) -> Any:
    """Start a job with no worker called."""
    studio = hooks.provider._open()
    kick, studio.workers.kick = studio.workers.kick, lambda: None  # type: ignore[method-assign]
    try:
        return hooks(name, **fields)
    finally:
        studio.workers.kick = kick  # type: ignore[method-assign]


def test_a_job_that_kills_its_workers_is_given_up(hooks: Hooks) -> None:
    video = quietly(hooks, "generate_video", prompt="x", seconds=1, size="64x64")
    sql = "UPDATE videos SET status = 'in_progress', lease_owner = 'dead', lease_until = 1, starts = ? WHERE id = ?"
    change(hooks.root, sql, jobs_module.MAX_STARTS, video.id)
    video = hooks.wait(hooks("get_video", video_id=video.id))
    assert (video.status, video.error.code) == ("failed", "worker_died")
    assert "died 3 times" in video.error.message
    assert hooks("delete_video", video_id=video.id).deleted


def test_a_worker_that_lost_its_lease_drops_its_work(hooks: Hooks) -> None:
    """As after a sleep of the machine: somebody else has the job, and what the old worker made must not appear."""
    video = hooks("generate_video", prompt="A long story", seconds=20, size="640x360")
    until(lambda: hooks("get_video", video_id=video.id).progress > 3)
    change(
        hooks.root, "UPDATE videos SET lease_owner = 'other', lease_until = ? WHERE id = ?", time.time() + 99, video.id
    )
    until(lambda: list((hooks.root / "work").iterdir()) == [])
    left = row(hooks.root, video.id)
    assert (left["status"], left["lease_owner"]) == ("in_progress", "other")
    assert not (hooks.root / "videos" / f"{video.id}.mp4").exists()


def test_what_goes_wrong_while_rendering_is_told_and_the_next_job_is_done(hooks: Hooks) -> None:
    source = hooks.made("generate_video", prompt="x", seconds=1, size="64x64")
    edit = quietly(hooks, "edit", video=source.id, prompt="warm")
    broken = hooks.root / "inputs" / f"{edit.id}.mp4"
    broken.unlink()
    broken.write_bytes(b"nonsense" * 200)
    failed = hooks.wait(edit)
    assert (failed.status, failed.error.code, failed.expires_at) == ("failed", "source_not_mp4", None)
    assert not broken.exists()
    hooks.made("generate_video", prompt="the next", seconds=1, size="64x64")


def test_several_workers_render_at_once(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path, workers=2)
    videos = [hooks("generate_video", prompt=f"{n}", seconds=20, size="320x180") for n in range(3)]
    most = 0
    while not all(video.finished for video in videos):
        videos = hooks("list_videos").data  # at one moment: one by one, the first may end before the last is looked at
        most = max(most, sum(video.status == "in_progress" for video in videos))
        time.sleep(0.01)
    assert most == 2
    assert {video.status for video in videos} == {"completed"}
    hooks.provider.close()


def test_a_forked_child_has_workers_of_its_own(hooks: Hooks) -> None:
    hooks.made("generate_video", prompt="before", seconds=1, size="64x64")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            video = hooks.wait(hooks("generate_video", prompt="in the child", seconds=1, size=SMALL))
            os.write(writer, video.status.encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "completed"


@pytest.mark.parametrize("threads", [8])
def test_many_threads_use_one_provider(hooks: Hooks, threads: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(n: int) -> str:
        video = hooks.wait(hooks("generate_video", prompt=f"number {n}", seconds=1, size="64x64"))
        assert hooks("list_videos").data
        return str(video.status)

    with ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(one, range(threads * 2))) == {"completed"}
