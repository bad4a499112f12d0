"""What may be uploaded: each refusal names the measured value and the allowed one, and leaves nothing behind."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from callsheet import BadRequestError
from callsheet_local.film.cut import _pictures
from callsheet_local.film.probe import probe

from .conftest import Hooks, frames_of, make_clip

Make = Callable[[Path], object]


def written(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def clip(**how: Any) -> Make:
    return functools.partial(make_clip, **how)


def truncated(path: Path) -> None:
    """Cut off in the middle of its frames: the index in front of them tells how many there should be."""
    whole = make_clip(path.with_name("whole.mp4"))
    with av.open(str(whole)) as old, av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def other_container(path: Path) -> None:
    whole = make_clip(path.with_name("whole.mp4"))
    with av.open(str(whole)) as old, av.open(str(path), "w", format="matroska") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)


def no_frames(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + struct.pack(">I4s", 8, b"moov"))


CASES: list[tuple[str, Make, str, str]] = [
    ("empty", written(b""), "clip_empty", "0 bytes arrived"),
    ("garbage", written(os.urandom(5000)), "clip_not_mp4", "not an MP4 that can be read"),
    ("playlist", written(b"#EXTM3U\n#EXT-X-TARGETDURATION:3\nfile:///etc/passwd\n"), "clip_not_mp4", "not an MP4"),
    ("matroska", other_container, "clip_not_mp4", "not an MP4 that can be read"),
    ("truncated", truncated, "clip_truncated", "it is cut off: its header announces 24 frames"),
    ("no moov", written(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 900), "clip_not_mp4", "not an MP4"),
    ("no streams", no_frames, "clip_no", "it has no video in it"),
    ("sound only", clip(video=False, sound=True, size=(64, 64)), "clip_no_video", "no video in it, only audio"),
    ("short", clip(seconds=1.5), "clip_too_short", r"lasts 1\.50 s; a character's clip lasts 2 to 4 s"),
    ("long", clip(seconds=5, fps=8), "clip_too_long", r"lasts 5\.00 s; a character's clip lasts 2 to 4 s"),
    ("4:3", clip(size=(960, 720)), "clip_aspect", r"is 960x720, which is 1\.33:1; allowed are 16:9 .* within 2%"),
    ("480p", clip(size=(854, 480)), "clip_resolution", "short side has 480 pixels; allowed are 720 to 1080"),
]


@pytest.mark.parametrize(("make", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_refused(hooks: Hooks, tmp_path: Path, make: Make, code: str, words: str) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(BadRequestError, match=words) as caught:
        hooks("create_character", name="Nobody", video=path)
    assert caught.value.param == "video"
    assert str(caught.value.code).startswith(code)
    assert list((hooks.root / "work").iterdir()) == list((hooks.root / "characters").iterdir()) == []


@pytest.mark.parametrize(("size", "seconds"), [((720, 720), 4), ((720, 1280), 2)])
def test_accepted(hooks: Hooks, tmp_path: Path, size: tuple[int, int], seconds: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", size=size, seconds=seconds, fps=4)
    assert hooks("create_character", name="A", video=path.read_bytes()).id.startswith("char_")


def test_the_rules_are_settings(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path / "d", clip_min_side=100, clip_min_seconds=0.5)
    assert (
        hooks("create_character", name="A", video=make_clip(tmp_path / "c.mp4", size=(320, 180), seconds=1)).name == "A"
    )
    hooks.provider.close()


def test_too_big_is_refused_by_its_size_and_not_read(hooks: Hooks, tmp_path: Path) -> None:
    path = tmp_path / "big.mp4"
    with path.open("wb") as file:
        file.truncate(101_000_000)
    with pytest.raises(BadRequestError, match=r"big\.mp4 has 101\.0 MB; at most 100 MB are allowed") as caught:
        hooks("create_character", name="A", video=path)
    assert caught.value.code == "clip_too_big"


def test_reading_stops_where_it_becomes_too_big(tmp_path: Path) -> None:
    hooks, given = Hooks(data_dir=tmp_path, clip_max_mb=1), []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1)
            yield b"x" * 100_000

    with pytest.raises(BadRequestError, match="more than 1 MB, which is the most that is allowed; reading stopped"):
        hooks("create_character", name="A", video=endless())
    assert len(given) <= 12
    assert list((tmp_path / "work").iterdir()) == []


def test_the_shape_of_pixels_is_considered(hooks: Hooks, tmp_path: Path) -> None:
    """960x720 with pixels that are a third wider than high is shown as 1280x720."""
    from fractions import Fraction

    path = tmp_path / "anamorphic.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 960, 720, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for _ in range(16):
            out.mux(stream.encode(av.VideoFrame(960, 720, "yuv420p")))
        out.mux(stream.encode(None))
    assert hooks("create_character", name="A", video=path).name == "A"


def turned_clip(path: Path, quarter: int) -> Path:
    """A 1280x720 clip, red on its left and blue on its right, whose header says to turn it clockwise before it is shown."""
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=4, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        picture = np.zeros((720, 1280, 3), np.uint8)
        picture[:, :640], picture[:, 640:] = (220, 20, 20), (20, 20, 220)
        for _ in range(8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    a, b = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter]
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    content = path.read_bytes()
    at = content.index(upright, content.index(b"tkhd"))
    matrix = struct.pack(">9i", a * 65536, b * 65536, 0, -b * 65536, a * 65536, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:at] + matrix + content[at + len(matrix) :])
    return path


@pytest.mark.parametrize(
    ("quarter", "size", "red"), [(1, "720x1280", "top"), (2, "1280x720", "right"), (3, "720x1280", "bottom")]
)
def test_rotation_is_considered(hooks: Hooks, tmp_path: Path, quarter: int, size: str, red: str) -> None:
    """What is shown on the left of the stored picture is where a player shows it: in edits, and in the cut-out."""
    path = turned_clip(tmp_path / "turned.mp4", quarter)
    video = hooks.made("edit", video=path, prompt="more contrast")
    assert video.size == size
    frame = frames_of(hooks.bytes(video.id))[0]
    pixels, _ = _pictures(path, probe(path))
    for picture in (frame, pixels[0]):
        assert f"{picture.shape[1]}x{picture.shape[0]}" == size
        edges = {"top": picture[8, 360], "bottom": picture[-8, 360], "right": picture[360, -8], "left": picture[360, 8]}
        assert [name for name, color in edges.items() if color[0] > 150 > color[2]][:1] == [red]
