"""Clips made on the spot, providers on data directories of their own, and hooks called without a client."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from callsheet import IO
from callsheet.account import Account
from callsheet.drive import finish, step_through
from callsheet.operations import OPERATIONS
from callsheet_local import LocalProvider, LocalSettings

SMALL = "320x180"


class Blocking:
    """A transport that has no wire."""

    async def open(self, request: Any) -> Any:
        raise AssertionError("the local provider must not touch the network")

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def run(self, function: Callable[..., Any], *args: object) -> Any:
        return function(*args)


class Hooks:
    """A provider whose hooks are called as a sync client calls them."""

    def __init__(self, **settings: Any) -> None:
        self.account = Account.of("local", LocalSettings, settings, environ={})
        self.provider = LocalProvider(self.account.settings)  # type: ignore[arg-type]  # it is a LocalSettings

    def __call__(self, name: str, /, **fields: Any) -> Any:
        operation = OPERATIONS[name]
        way = IO(self.account, self.provider, operation, Blocking(), time.monotonic() + 600)
        return finish(getattr(self.provider, name)(operation.request(**fields), way))

    def wait(self, video: Any, on_progress: Callable[[Any], object] = lambda _: None) -> Any:
        deadline = time.monotonic() + 60
        while not video.finished:
            on_progress(video)
            assert time.monotonic() < deadline, video
            time.sleep(0.02)
            video = self("get_video", video_id=video.id)
        return video

    def left(self, *folders: str) -> list[Path]:
        """What lies in folders of the data directory. A job is told as completed before what it needed is removed."""
        deadline = time.monotonic() + 5
        while True:
            found = [file for folder in folders for file in (self.root / folder).iterdir()]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def made(self, name: str, /, **fields: Any) -> Any:
        """Start a job and wait for it."""
        video = self.wait(self(name, **fields))
        assert video.status == "completed", video.error
        return video

    def bytes(self, id: str, **fields: Any) -> bytes:
        return b"".join(step_through(self("download_video", video_id=id, **fields)))

    def opened(self, id: str, **fields: Any) -> Any:
        """What a download says of itself, closed again."""
        download = self("download_video", video_id=id, **fields)
        finish(download.aclose())
        return download

    @property
    def root(self) -> Path:
        return self.account.settings.data_dir  # type: ignore[attr-defined]


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    made = Hooks(data_dir=tmp_path / "data")
    yield made
    made.provider.close()


def make_clip(
    path: Path,
    *,
    size: tuple[int, int] = (1280, 720),
    seconds: float = 2.0,
    color: tuple[int, int, int] = (220, 40, 40),
    shape: str = "disc",
    fps: int = 12,
    sound: bool = False,
    video: bool = True,
    still: bool = False,
) -> Path:
    """A coloured shape that moves over a textured ground."""
    width, height = size
    dice = np.random.default_rng(7)
    ground = dice.integers(60, 110, (height // 20 + 1, width // 20 + 1, 3)).repeat(20, 0).repeat(20, 1)[:height, :width]
    y, x = np.mgrid[:height, :width]
    radius = height * 0.18
    with av.open(str(path), "w", format="mp4") as out:
        if video:
            stream: Any = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "threads": "2"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if sound:
            audio: Any = out.add_stream("aac", rate=44100, layout="stereo")
        count = round(seconds * fps)
        for i in range(count if video else 0):
            picture = ground.astype(np.uint8).copy()
            cx = width * (0.25 + (0 if still else 0.5 * i / max(1, count - 1)))
            if shape == "disc":
                where = np.hypot(x - cx, y - height * 0.6) < radius
            else:
                where = (abs(x - cx) < radius * 0.5) & (abs(y - height * 0.5) < radius * 1.4)
            picture[where] = color
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if video:
            out.mux(stream.encode(None))
        if sound:
            tone = (0.2 * np.sin(np.arange(int(seconds * 44100)) * 0.06)).astype(np.float32)
            for start in range(0, len(tone) - 1023, 1024):
                piece = np.stack([tone[start : start + 1024]] * 2)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path


@pytest.fixture(scope="session")
def red_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "red.mp4")


@pytest.fixture(scope="session")
def blue_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "blue.mp4", color=(30, 60, 230), shape="pillar")


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Hooks]:
    """Takes small clips as characters: what is tested with it has nothing to do with their size, and is quicker."""
    made = Hooks(data_dir=tmp_path / "data", clip_min_side=100)
    yield made
    made.provider.close()


@pytest.fixture(scope="session")
def small_red_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "red.mp4", size=(320, 180))


@pytest.fixture(scope="session")
def small_blue_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("clips") / "blue.mp4", size=(320, 180), color=(30, 60, 230), shape="pillar"
    )


@pytest.fixture(scope="session")
def sounding_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small, 25 frames a second, stereo: not as we would have made it."""
    return make_clip(tmp_path_factory.mktemp("clips") / "sound.mp4", size=(320, 180), fps=25, sound=True)


@contextmanager
def opened(content: bytes | Path) -> Iterator[Any]:
    """An MP4, to be read."""
    source: Any = io.BytesIO(content) if isinstance(content, bytes) else str(content)
    with av.open(source, format="mp4") as container:
        yield container


def frames_of(content: bytes | Path) -> list[Any]:
    """All frames as RGB arrays."""
    with opened(content) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def packets_of(content: bytes, kind: str) -> list[bytes]:
    with opened(content) as container:
        stream = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]
