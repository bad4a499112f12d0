"""Reference pictures out of a clip: how a provider has characters whose vendor takes pictures only.

    frames = await frames_of_upload(request.video, io, count=3)     # in a hook
    frames = reference_frames("luna.mp4", 3)                        # anywhere else; it blocks

Needs PyAV: `pip install callsheet[media]`. A clip is a stranger's file. It is read as bytes and in no other way, so that
no playlist or reference in it opens another file or address, and only so much of it is decoded.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from attrs import field, frozen

from callsheet.errors import BadRequestError, ConfigurationError

if TYPE_CHECKING:
    from callsheet.body import Upload
    from callsheet.io import IO

__all__ = ["MOST_BYTES", "MOST_SECONDS", "Frame", "frames_of_upload", "reference_frames"]

T = TypeVar("T")

MOST_BYTES = 100_000_000
MOST_SECONDS = 60
_MOST_PIXELS = 4096 * 4096
_MOST_WORK = 8_000_000_000
"""Pixels that are decoded of one clip, all its frames together: a minute of 1080p at 60 frames a second."""
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif"
"""Those that hold their film themselves. HLS, DASH, concat, image sequences and SDP name other files."""
_LONGEST_SIDE = 1920
_FLAT = 24
"""A picture whose darkest and brightest spot are closer than this, of 255, shows nothing."""


@frozen
class Frame:
    """One picture of a clip, upright, as a JPEG. Sides are in pixels, 1920 at most."""

    jpeg: bytes = field(repr=False)
    width: int
    height: int


async def frames_of_upload(upload: Upload, io: IO, count: int = 3) -> list[Frame]:
    """Bring a clip to disk, counted while it comes, and take pictures out of it. Waits through `io` only.

    Raises what `reference_frames` raises. Nothing is left on the disk, however it ends.
    """
    await io.run(_pyav)
    if upload.size is not None and upload.size > MOST_BYTES:
        raise _too_heavy()
    spool = _Spool()
    try:
        size = 0
        async with aclosing(upload.chunks(io.run)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > MOST_BYTES:
                    raise _too_heavy()
                await io.run(spool.use, _append, chunk)
        return await io.run(spool.use, reference_frames, count)
    finally:
        spool.close()


class _Spool:
    """A temporary file without a name. A thread that uses it may outlive the call, if that is cancelled: the last closes."""

    def __init__(self) -> None:
        # Opened by the call and not in a thread: one that is cancelled meanwhile would never get it, to close it.
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  closed below
        self._lock, self._busy, self._over = threading.Lock(), False, False

    def use(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function with the file, and what it wants besides."""
        with self._lock:
            if self._over:
                raise RuntimeError("the call that this was for is over")
            self._busy = True
        try:
            return function(self.file, *arguments)
        finally:
            with self._lock:
                self._busy = False
                if self._over:
                    self.file.close()

    def close(self) -> None:
        with self._lock:
            self._over = True
            if not self._busy:
                self.file.close()


def _append(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


def reference_frames(clip: str | os.PathLike[str] | bytes | BinaryIO, count: int = 3) -> list[Frame]:
    """Take `count` pictures out of a clip, spread evenly over it; fewer if it has fewer. Blocks while it decodes.

    `clip` is a path, bytes, or an open binary file that can seek. Rotation and the shape of pixels are honoured. A
    picture of one colour, such as a black one, is passed over where a neighbour shows more.
    Raises BadRequestError (param "video") for what is no clip or too much of one: at most 100 MB, 60 s and 4096x4096
    pixels. Raises ConfigurationError without PyAV.
    """
    if count < 1:
        raise ValueError(f"at least one picture is wanted, not {count}")
    if isinstance(clip, str | os.PathLike):
        with Path(clip).open("rb") as file:
            return _taken(file, count)
    return _taken(BytesIO(clip) if isinstance(clip, bytes) else clip, count)


def _taken(file: BinaryIO, count: int) -> list[Frame]:
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise _refusal("is empty: 0 bytes arrived", "clip_empty")
    if size > MOST_BYTES:
        raise _too_heavy()
    total = _count(file)
    pieces = min(count, total)
    # The clip is cut into as many pieces as pictures are wanted. Of each, three are looked at, its middle first.
    looked_at = {(piece * 4 + step) * total // (pieces * 4): step for piece in range(pieces) for step in (1, 3, 2)}
    best: dict[int, tuple[int, Any]] = {}
    with _opened(file) as (container, stream):
        for number, frame in enumerate(_decoded(container, stream)):
            if number in looked_at:
                piece, value = number * pieces // total, min(_contrast(frame), _FLAT) * 2 + (looked_at[number] == 2)
                if piece not in best or value > best[piece][0]:
                    best[piece] = (value, frame)
            if number >= max(looked_at):
                break
        if not best:
            raise _refusal("has no frame that can be decoded", "clip_unreadable")
        ratio = stream.sample_aspect_ratio or Fraction(1)
        showing = [frame for value, frame in best.values() if value >= _FLAT * 2]
        return [_as_jpeg(frame, ratio) for frame in showing or [frame for _, frame in best.values()]]


def _count(file: BinaryIO) -> int:
    """How many frames there are. Refuses what would be too much work, before any of it is decoded."""
    with _opened(file) as (container, stream):
        pixels = stream.codec_context.width * stream.codec_context.height
        if not pixels or pixels > _MOST_PIXELS:
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise _refusal(f"is {size} pixels; at most 4096x4096 are allowed", "clip_resolution")
        length = max(
            stream.duration * stream.time_base if stream.duration and stream.time_base else 0,
            Fraction(container.duration or 0, 1_000_000),
        )
        if length > MOST_SECONDS + 1:
            raise _refusal(
                f"lasts {float(length):.0f} s; at most {MOST_SECONDS} s are allowed: cut it", "clip_too_long"
            )
        count = 0
        for packet in container.demux(stream):
            count += bool(packet.size) and not packet.is_discard
            if count * pixels > _MOST_WORK:
                raise _too_long()
        if not count:
            raise _refusal("has no frames in its video track", "clip_unreadable")
        return count


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """The file as a container, and its film. BadRequestError for what is none, also inside the `with`."""
    av = _pyav()
    file.seek(0)
    # No protocol at all: whatever a container refers to can't be opened.
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none", "enable_drefs": "0"}
    try:
        with av.open(_Reader(file), "r", options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise _refusal(f"has no video in it, only {kinds}", "clip_without_video")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise _refusal("is in a codec that nobody here can read", "clip_unreadable")
            stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}  # frames may be larger than announced
            yield container, stream
    except (av.error.FFmpegError, UnicodeDecodeError, OverflowError, ValueError, MemoryError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise _refusal(
            f"is no clip that can be read ({why}). MP4, MOV, WebM and AVI are; a file that was cut off looks like this",
            "clip_unreadable",
        ) from error


class _Reader:
    """A file that has no name: PyAV would look at it to guess the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The frames up to the first that is broken, if there are any before it."""
    av, work = _pyav(), 0
    try:
        for frame in container.decode(stream):
            work += frame.width * frame.height
            if work > _MOST_WORK:  # they may be larger than announced
                raise _too_long()
            yield frame
    except av.error.FFmpegError:
        if not work:
            raise


def _contrast(frame: Any) -> int:
    """How far apart the darkest and the brightest spot of a picture are."""
    small = frame.reformat(width=32, height=32, format="gray").planes[0]
    content = bytes(small)
    lines = [content[start : start + 32] for start in range(0, 32 * small.line_size, small.line_size)]
    return max(map(max, lines)) - min(map(min, lines))


def _as_jpeg(frame: Any, ratio: Fraction) -> Frame:
    av = _pyav()
    turned, (width, height) = _upright(frame), (frame.width * ratio, Fraction(frame.height))
    if round(frame.rotation) % 180 == 90:
        width, height = height, width
    scale = min(Fraction(1), Fraction(_LONGEST_SIDE) / max(width, height))
    # Even sides: JPEG's colours are half as wide here.
    wide, tall = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    picture = turned.reformat(width=wide, height=tall, format="yuvj420p")
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = wide, tall, "yuvj420p", Fraction(1, 25)
    encoder.options = {"qmin": "2", "qmax": "3"}
    jpeg = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    return Frame(jpeg, wide, tall)


def _upright(frame: Any) -> Any:
    """The picture as players turn it, by quarters."""
    turns = {90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}.get(round(frame.rotation) % 360)
    if turns is None:
        return frame
    av = _pyav()
    graph = av.filter.Graph()
    steps = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))]
    steps += [graph.add("transpose", turn) for turn in turns]
    steps.append(graph.add("buffersink"))
    for one, following in pairwise(steps):
        one.link_to(following)
    graph.configure()
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    steps[0].push(frame)
    return steps[-1].pull()


def _pyav() -> Any:
    """PyAV, imported when it is first needed."""
    try:
        import av
        import av.filter
    except ImportError:
        raise ConfigurationError(
            "pictures can't be taken out of a clip without PyAV: pip install callsheet[media]", code="media_missing"
        ) from None
    return av


def _too_long() -> BadRequestError:
    return _refusal("has too many frames for their size; cut it, or make it smaller", "clip_too_long")


def _too_heavy() -> BadRequestError:
    return _refusal(f"has more than {MOST_BYTES // 1_000_000} MB, which is the most that is allowed", "clip_too_big")


def _refusal(why: str, code: str) -> BadRequestError:
    return BadRequestError(f"the clip can't be used: it {why}", param="video", code=code)
