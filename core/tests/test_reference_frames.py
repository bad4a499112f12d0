"""Pictures out of clips: real ones, odd ones, hostile ones."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from callsheet import BadRequestError, ConfigurationError
from callsheet import reference_frames as module
from callsheet.reference_frames import Frame, reference_frames

ROOT = Path(__file__).parents[2]
BUNNY = ROOT / "plugins" / "local" / "src" / "callsheet_local" / "media" / "bunny-720p-3s.mp4"
RED, BLUE, BLACK = (220, 20, 20), (20, 20, 220), (0, 0, 0)
Color = tuple[int, int, int]


def halves(width: int, height: int, left: Color, right: Color) -> av.VideoFrame:
    """A picture of two colours, side by side."""
    frame = av.VideoFrame(width, height, "rgb24")
    plane = frame.planes[0]
    line = bytes(left) * (width // 2) + bytes(right) * (width - width // 2)
    plane.update(line.ljust(plane.line_size, b"\0") * height)
    return frame


def clip(
    path: Path | None = None,
    *,
    format: str = "mp4",
    codec: str = "libx264",
    size: tuple[int, int] = (128, 72),
    count: int = 12,
    rate: int = 8,
    picture: Callable[[int], av.VideoFrame] | None = None,
    ratio: Fraction | None = None,
) -> bytes:
    """A film in any container, made here; by default red on its left, and on its right bluer with every frame."""
    target: Any = io.BytesIO()
    options = {"preset": "ultrafast", "qp": "4"} if codec == "libx264" else {}
    with av.open(target, "w", format=format) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        for number in range(count):
            frame = picture(number) if picture else halves(*size, RED, (20, 20, 20 + 200 * number // count))
            out.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        out.mux(stream.encode(None))
    if path:
        path.write_bytes(target.getvalue())
    return bytes(target.getvalue())


def shown(frame: Frame) -> Image.Image:
    """The JPEG, as another library reads it."""
    image = Image.open(io.BytesIO(frame.jpeg))
    assert image.format == "JPEG"
    assert image.size == (frame.width, frame.height)
    return image.convert("RGB")


def refusal(content: Any, count: int = 3) -> BadRequestError:
    with pytest.raises(BadRequestError) as refused:
        reference_frames(content, count)
    assert refused.value.param == "video"
    assert str(refused.value).startswith("the clip can't be used: it ")
    return refused.value


def test_a_real_clip() -> None:
    frames = reference_frames(BUNNY, 3)
    assert [(frame.width, frame.height) for frame in frames] == [(1280, 720)] * 3
    assert len({frame.jpeg for frame in frames}) == 3
    assert all(len(set(shown(frame).resize((16, 9)).tobytes())) > 40 for frame in frames)
    assert reference_frames(str(BUNNY), 3) == reference_frames(BUNNY.read_bytes(), 3) == frames
    with BUNNY.open("rb") as file:
        assert reference_frames(file, 3) == frames
        assert not file.closed


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_they_are_spread_evenly(count: int) -> None:
    def numbered(number: int) -> av.VideoFrame:
        return halves(64, 64, (0, 0, 0), (40 + 2 * number,) * 3)

    frames = reference_frames(clip(size=(64, 64), count=100, picture=numbered), count)
    numbers = [(shown(frame).getpixel((48, 32))[0] - 40) / 2 for frame in frames]  # type: ignore[index]
    wanted = [(2 * place + 1) * 100 / (2 * count) for place in range(count)]
    assert numbers == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize(
    ("format", "codec"),
    [
        ("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx"),
        ("avi", "mpeg4"), ("mpegts", "libx264"), ("flv", "flv"), ("gif", "gif"), ("mpeg", "mpeg2video"), ("mp4", "libx265"),
    ],
)  # fmt: skip
def test_containers(format: str, codec: str) -> None:
    rate = 25 if codec == "mpeg2video" else 8
    frames = reference_frames(clip(format=format, codec=codec, rate=rate, count=24), 3)
    assert [(frame.width, frame.height) for frame in frames] == [(128, 72)] * 3
    for frame in frames:
        left, right = (shown(frame).getpixel((x, 36)) for x in (32, 96))
        assert left[0] > 150 > left[2]  # type: ignore[index]
        assert right[0] < 100  # type: ignore[index]


@pytest.mark.parametrize(("quarter", "red"), [(0, "left"), (1, "top"), (2, "right"), (3, "bottom")])
def test_rotation_is_honoured(quarter: int, red: str) -> None:
    """The header says to turn the picture clockwise before it is shown."""
    content = clip()
    a, b = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter]
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = content.index(upright, content.index(b"tkhd"))
    matrix = struct.pack(">9i", a * 65536, b * 65536, 0, -b * 65536, a * 65536, 0, 0, 0, 1 << 30)
    [frame] = reference_frames(content[:at] + matrix + content[at + len(matrix) :], 1)
    width, height = (72, 128) if quarter % 2 else (128, 72)
    assert (frame.width, frame.height) == (width, height)
    edges = {"top": (width // 2, 6), "bottom": (width // 2, height - 6), "left": (6, height // 2)}
    edges["right"] = (width - 6, height // 2)
    pixels = {name: shown(frame).getpixel(at) for name, at in edges.items()}
    assert max(pixels, key=lambda name: pixels[name][0] - pixels[name][2]) == red  # type: ignore[index]


def test_pixels_that_are_not_square() -> None:
    assert {(frame.width, frame.height) for frame in reference_frames(clip(ratio=Fraction(2)))} == {(256, 72)}


def test_large_pictures_are_made_smaller_and_odd_ones_even() -> None:
    [large] = reference_frames(clip(size=(2560, 1440), count=2), 1)
    assert (large.width, large.height) == (1920, 1080)
    [odd] = reference_frames(clip(format="webm", codec="libvpx", size=(99, 51), count=2), 1)
    assert (odd.width, odd.height) == (100, 52)


def test_colours_are_neither_washed_out_nor_clipped() -> None:
    [frame] = reference_frames(clip(picture=lambda _: halves(128, 72, BLACK, (255, 255, 255))), 1)
    assert max(shown(frame).getpixel((32, 36))) < 8  # type: ignore[arg-type]
    assert min(shown(frame).getpixel((96, 36))) > 247  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_clips_give_what_they_have(count: int) -> None:
    assert len(reference_frames(clip(count=count), 3)) == count


def test_black_pictures_are_passed_over() -> None:
    def fading(number: int) -> av.VideoFrame:
        return halves(128, 72, BLACK, BLACK) if number < 22 else halves(128, 72, RED, BLUE)

    # Of the first third all is black, of the second the middle.
    frames = reference_frames(clip(count=40, picture=fading), 3)
    assert 1 <= len(frames) <= 2
    assert all(shown(frame).getpixel((32, 36))[0] > 150 for frame in frames)  # type: ignore[index]


def test_a_clip_that_is_black_throughout_is_a_clip() -> None:
    frames = reference_frames(clip(picture=lambda _: halves(128, 72, BLACK, BLACK)), 2)
    assert [(frame.width, frame.height) for frame in frames] == [(128, 72)] * 2


def test_a_clip_that_breaks_off_gives_what_came() -> None:
    content = clip(format="mpegts", count=60)
    assert 1 <= len(reference_frames(content[: len(content) // 2], 3)) <= 3


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "clip_empty"),
        (b"\0" * 5000, "clip_unreadable"),
        (b"hello " * 1000, "clip_unreadable"),
        (b"<!doctype html><p>404", "clip_unreadable"),
        (BUNNY.read_bytes()[:20_000], "clip_unreadable"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n", "clip_unreadable"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n", "clip_unreadable"),
    ],
)
def test_what_is_no_clip(content: bytes, code: str) -> None:
    assert refusal(content).code == code


def test_a_picture_and_a_song_are_no_clips() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(picture, "JPEG")
    assert refusal(picture.getvalue()).code == "clip_unreadable"
    song = io.BytesIO()
    with av.open(song, "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=48_000)
        frame = av.AudioFrame("fltp", "stereo", 1024)
        frame.sample_rate = 48_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    refused = refusal(song.getvalue())
    assert (refused.code, "only audio" in str(refused)) == ("clip_without_video", True)


def test_too_much_of_a_clip(tmp_path: Path) -> None:
    assert refusal(clip(count=70, rate=1)).code == "clip_too_long"
    assert refusal(clip(format="matroska", codec="ffv1", size=(4104, 4096), count=1)).code == "clip_resolution"
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(module.MOST_BYTES + 1)  # a hole: nothing is written
    assert refusal(large).code == "clip_too_big"


def test_work_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames times their size, before one of them is decoded."""
    monkeypatch.setattr(module, "_MOST_WORK", 11 * 128 * 72)
    assert refusal(clip(count=12)).code == "clip_too_long"
    assert len(reference_frames(clip(count=11))) == 3
    monkeypatch.setattr(module, "_count", lambda file: 12)  # and once more while they are, for those that lie
    assert refusal(clip(count=12)).code == "clip_too_long"


def test_frames_larger_than_announced_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header is let pass; the decoder is what refuses."""
    content = clip(size=(256, 256))
    monkeypatch.setattr(module, "_MOST_PIXELS", 128 * 128)
    monkeypatch.setattr(module, "_count", lambda file: 12)
    assert refusal(content).code == "clip_unreadable"


def test_a_clip_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip(tmp_path / "secret.mp4")
    monkeypatch.chdir(tmp_path)
    playlist = b"ffconcat version 1.0\nfile secret.mp4\n"
    with av.open(module._Reader(io.BytesIO(playlist)), "r") as opened:  # what PyAV does by itself
        assert opened.format.name == "concat"
        assert opened.streams.video
    assert refusal(playlist).code == "clip_unreadable"


def test_no_count_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="at least one"):
        reference_frames(BUNNY, 0)


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigurationError, match=r"pip install callsheet\[media\]"):
        reference_frames(BUNNY)


SMALL = clip(count=6)
WEB = clip(format="webm", codec="libvpx", count=6)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([SMALL, WEB]),
    st.lists(st.tuples(st.integers(0, len(SMALL)), st.binary(min_size=1, max_size=8)), max_size=12),
    st.one_of(st.none(), st.integers(0, len(SMALL))),
)
@example(SMALL, [(4, b"moov")], None)
@example(SMALL, [(32, b"\xff" * 8)], None)
def test_anything_is_pictures_or_a_refusal(content: bytes, changes: list[tuple[int, bytes]], cut: int | None) -> None:
    broken = bytearray(content[:cut])
    for at, change in changes:
        broken[at : at + len(change)] = change
    try:
        frames = reference_frames(bytes(broken), 2)
    except BadRequestError:
        return
    assert 1 <= len(frames) <= 2
    for frame in frames:
        shown(frame)
