"""Room on the disk: quota, expiry, sweeping; and data directories that can't be used."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from callsheet import APIStatusError, ConfigurationError, NotFoundError
from callsheet_local.settings import default_data_dir

from .conftest import SMALL, Hooks
from .test_jobs import change


def test_a_full_directory_refuses_new_work_and_says_what_to_do(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path, quota_mb=0.3)
    videos = []
    with pytest.raises(APIStatusError) as caught:
        for n in range(200):
            videos.append(hooks.made("generate_video", prompt=f"noise {n}", seconds=1, size="640x360"))
    error = caught.value
    assert (error.status_code, error.code) == (507, "quota_exceeded")
    assert "of 0.3 MB are used" in str(error)
    assert "Delete videos that you don't need" in str(error)
    assert "CALLSHEET_LOCAL_QUOTA_MB" in str(error)
    assert sum(path.stat().st_size for path in (tmp_path / "videos").iterdir()) < 300_000
    for video in videos:
        hooks("delete_video", video_id=video.id)
    hooks.made("generate_video", prompt="room again", seconds=1, size="640x360")
    hooks.provider.close()


def test_what_is_still_to_be_made_counts(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path, quota_mb=5)
    hooks("generate_video", prompt="long", seconds=20, size="1280x720")
    hooks("generate_video", prompt="long", seconds=20, size="1280x720")
    with pytest.raises(APIStatusError, match="videos that are being made are counted"):
        hooks("generate_video", prompt="long", seconds=20, size="1280x720")
    hooks.provider.close()


def test_expired_videos_lose_their_bytes_and_keep_their_row(hooks: Hooks) -> None:
    video = hooks.made("generate_video", prompt="short-lived", seconds=1, size="64x64")
    kept = hooks.made("generate_video", prompt="another", seconds=1, size="64x64")
    change(hooks.root, "UPDATE videos SET expires_at = ? WHERE id = ?", time.time() - 120, video.id)
    old = hooks("get_video", video_id=video.id)
    assert old.status == "completed"
    assert old.expires_at < time.time()
    assert not (hooks.root / "videos" / f"{video.id}.mp4").exists()
    for name, fields in (("download_video", {"video_id": video.id}), ("edit", {"video": video.id, "prompt": "x"})):
        with pytest.raises(
            NotFoundError, match=r"expired 2 minutes ago: its bytes are gone.*kept for 24 hours"
        ) as caught:
            hooks(name, **fields)
        assert caught.value.code == "expired"
    assert hooks.bytes(kept.id)
    assert hooks("delete_video", video_id=video.id).deleted


def test_the_expired_make_room_first(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path, quota_mb=0.25)
    video = hooks.made("generate_video", prompt="first", seconds=1, size=SMALL)
    (tmp_path / "videos" / f"{video.id}.jpg").write_bytes(b"x" * 200_000)
    with pytest.raises(APIStatusError, match="full"):
        hooks("generate_video", prompt="second", seconds=1, size=SMALL)
    change(hooks.root, "UPDATE videos SET expires_at = 1 WHERE id = ?", video.id)
    hooks.made("generate_video", prompt="second", seconds=1, size=SMALL)
    hooks.provider.close()


def test_sweeping_removes_orphans_but_nothing_young_and_nothing_wanted(tmp_path: Path) -> None:
    first = Hooks(data_dir=tmp_path)
    video = first.made("generate_video", prompt="kept", seconds=1, size="64x64")
    first.provider.close()
    old, young = tmp_path / "work" / "video_old.aa.mp4", tmp_path / "work" / "video_young.bb.mp4"
    orphan, leftover = tmp_path / "videos" / "video_gone.mp4", tmp_path / "inputs" / f"{video.id}.image"
    for path in (old, young, orphan, leftover):
        path.write_bytes(b"x")
    for path in (old, orphan):
        os.utime(path, (1, 1))
    second = Hooks(data_dir=tmp_path)
    second("list_videos")
    assert [path.exists() for path in (old, young, orphan, leftover)] == [False, True, False, False]
    assert second.bytes(video.id)
    second.provider.close()


@pytest.mark.parametrize("where", ["file", "below a file", "proc"])
def test_a_directory_that_can_not_be_used(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("here is a file")
    path = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "x", "proc": Path("/proc/self/nothing")}[
        where
    ]
    hooks = Hooks(data_dir=path)
    for name, fields in (
        ("generate_video", {"prompt": "x"}),
        ("get_video", {"video_id": "video_x"}),
        ("list_videos", {}),
    ):
        with pytest.raises(ConfigurationError, match="CALLSHEET_LOCAL_DIR") as caught:
            hooks(name, **fields)
        assert str(path) in str(caught.value)
        assert caught.value.code == "data_dir_unusable"


def test_an_index_that_is_none_or_newer(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite3").write_bytes(b"this is not a database, surely" * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        Hooks(data_dir=tmp_path)("list_videos")
    (tmp_path / "index.sqlite3").unlink()
    connection = sqlite3.connect(tmp_path / "index.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="made by a newer callsheet-local"):
        Hooks(data_dir=tmp_path)("list_videos")


def test_the_usual_directory_of_each_platform() -> None:
    home = Path("/home/luna")
    assert default_data_dir("linux", {}, home) == home / ".local/share/callsheet/local"
    assert default_data_dir("linux", {"XDG_DATA_HOME": "/data"}, home) == Path("/data/callsheet/local")
    assert default_data_dir("linux", {"XDG_DATA_HOME": "relative"}, home) == home / ".local/share/callsheet/local"
    assert default_data_dir("darwin", {}, home) == home / "Library/Application Support/callsheet/local"
    assert default_data_dir("win32", {"LOCALAPPDATA": "/appdata"}, home) == Path("/appdata/callsheet/local")
