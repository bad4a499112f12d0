"""The provider as others see it: through the registry, the clients, and what importing it costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import callsheet
from callsheet import AsyncClient, Client
from callsheet.spec import HOOKS
from callsheet_local import LocalProvider, LocalSettings

from .conftest import SMALL, frames_of


def test_it_has_no_address():
    """Whoever gives one means a server, and must not be answered by this machine instead."""
    with pytest.raises(callsheet.ConfigurationError, match="this provider is on this machine and has no address"):
        Client(provider="local", base_url="http://127.0.0.1:4000/v1")


def test_importing_it_loads_no_media_library() -> None:
    program = (
        "import sys, callsheet_local; p = callsheet_local.LocalProvider(callsheet_local.LocalSettings()); p.close();"
        "print([m for m in ('av', 'numpy', 'PIL', 'sqlite3', 'httpx') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_it_is_found_and_offers_what_it_says() -> None:
    [info] = [info for info in Client().providers() if info.name == "local"]
    assert (info.error, info.embedded, info.missing, info.unknown_hooks) == (None, True, (), ())
    assert set(info.operations) == set(HOOKS)
    assert not LocalProvider.notes


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    from callsheet.account import Account

    environ = {"CALLSHEET_LOCAL_DIR": str(tmp_path), "CALLSHEET_LOCAL_WORKERS": "2", "CALLSHEET_LOCAL_QUOTA_MB": "7.5"}
    settings: Any = Account.of("local", LocalSettings, environ=environ).settings
    assert (settings.data_dir, settings.workers, settings.quota_mb) == (tmp_path, 2, 7.5)
    for wrong in ({"workers": 9}, {"quota_mb": -1}, {"clip_min_seconds": 9}, {"colour": "red"}):
        with pytest.raises(callsheet.ConfigurationError, match=next(iter(wrong))):
            Account.of("local", LocalSettings, wrong, environ={})


def test_the_whole_way_through_the_client(tmp_path: Path, red_clip: Path) -> None:
    seen: list[int | None] = []
    with Client(provider="local", settings={"data_dir": tmp_path / "data"}) as client:
        luna = client.create_character(name="Luna", video=red_clip)
        video = client.generate_video(
            prompt="Luna by the sea",
            seconds=2,
            size=SMALL,
            characters=[luna.id],
            model="local/motion-1",
            wait=True,
            on_progress=lambda video: seen.append(video.progress),
        )
        longer = client.wait(client.extend(video=video, prompt="Luna in the snow", seconds=1))
        warm = client.wait(client.edit(video=longer.id, prompt="golden hour"))
        assert (longer.seconds, warm.seconds) == ("3", "3")
        assert longer.remixed_from_video_id == video.id
        assert warm.remixed_from_video_id == longer.id
        saved = client.download_video(warm, to=tmp_path / "warm.mp4")
        assert len(frames_of(saved)) == 72
        with client.download_video(warm, range="bytes=0-11") as part:
            assert b"".join(part)[4:8] == b"ftyp"
        assert [one.id for one in client.list_videos().data] == [warm.id, longer.id, video.id]
        with pytest.raises(callsheet.NotFoundError):
            client.get_video(video_id=luna.id)
    assert seen[-1] == 100


def test_the_whole_way_through_the_async_client(tmp_path: Path, red_clip: Path) -> None:
    async def main() -> None:
        async with AsyncClient(provider="local", settings={"data_dir": tmp_path / "data"}) as client:
            luna = await client.create_character(name="Luna", video=red_clip.read_bytes())
            videos = await asyncio.gather(
                *(client.generate_video(prompt=p, seconds=1, size=SMALL, characters=[luna.id]) for p in ("Luna", "x"))
            )
            done = [await client.wait(video) for video in videos]
            assert [video.warnings is None for video in done] == [True, False]
            path = await client.download_video(done[0], to=tmp_path / "a.mp4")
            assert len(frames_of(path)) == 24

    asyncio.run(main())


def test_the_bundled_clip_is_a_character(tmp_path: Path) -> None:
    from .test_characters import BUNNY

    assert "Blender Foundation, CC BY 3.0" in BUNNY.with_name("CREDIT.txt").read_text()
    with Client(provider="local", settings={"data_dir": tmp_path}) as client:
        assert client.create_character(name="Bunny", video=BUNNY).name == "Bunny"
