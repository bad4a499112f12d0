"""What is in an uploaded MP4, measured from its bytes. What its header says is not believed where packets can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from attrs import frozen

__all__ = ["Film", "NotReadable", "open_mp4", "probe"]

_MOST_PACKETS = 200_000


class NotReadable(Exception):
    """The file is not an MP4 with a video in it. The code says in which way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Film:
    """An MP4's measures. `width` and `height` are as it is shown: turned, and with square pixels.

    `timed` says whether its frames have times of their own; if not, they follow each other at `rate`.
    """

    seconds: float
    frames: int
    width: int
    height: int
    rotation: int
    rate: Fraction
    timed: bool
    sound: bool


@contextmanager
def open_mp4(path: Path) -> Iterator[Any]:
    """Open a file as MP4 and as nothing else: no playlists, no other containers, no files that it refers to.

    NotReadable for what is none; also when the body of the `with` meets broken data.
    """
    options = {"enable_drefs": "0", "use_absolute_path": "0", "protocol_whitelist": "file"}
    try:
        with av.open(str(path), format="mp4", options=options, metadata_errors="replace") as container:
            yield container
    except (av.error.FFmpegError, UnicodeDecodeError, OverflowError) as error:
        # `strerror` is the text without our own file's path, which would tell the caller nothing.
        raise NotReadable(
            "not_mp4",
            f"it is not an MP4 that can be read ({getattr(error, 'strerror', None) or error});"
            " a file that was cut off, or has only got its name changed to .mp4, looks like this",
        ) from error


def probe(path: Path) -> Film:
    """Measure a file. NotReadable says why it can't be used."""
    if path.stat().st_size == 0:
        raise NotReadable("empty", "it is empty: 0 bytes arrived")
    with open_mp4(path) as container:
        if container.metadata.get("major_brand", "").strip() == "qt":
            raise NotReadable("not_mp4", "it is a QuickTime file (.mov), not an MP4; convert it first")
        if not container.streams.video:
            kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise NotReadable("no_video", f"it has no video in it, only {kinds}")
        stream = container.streams.video[0]
        announced, count, times, end = stream.frames, 0, set(), Fraction(0)
        for packet in container.demux(stream):
            if packet.pts is None or packet.size == 0:
                continue
            count += 1
            if count > _MOST_PACKETS:
                raise NotReadable("too_many_frames", f"it has more than {_MOST_PACKETS:,} frames")
            if not packet.is_discard:
                times.add(packet.pts)
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if not times:
            raise NotReadable("no_frames", "its video track has no frames")
        if count < announced * 0.99 - 1:
            raise NotReadable(
                "truncated", f"it is cut off: its header announces {announced:,} frames, {count:,} are there"
            )
        seconds, rate = end - min(times) * stream.time_base, Fraction(stream.average_rate or 0)
        timed = len(times) > count // 2 and rate > 0
        if not timed:  # many frames at one time: what the H.264 stream says of its rate is all there is
            rate = Fraction(stream.codec_context.framerate or 0)
            if not 1 <= rate <= 240:
                raise NotReadable("no_times", f"its {count:,} frames carry no usable times")
            seconds = count / rate
        sound = bool(container.streams.audio)
        width, height, rotation = _shown(container, stream)
    return Film(float(seconds), count, width, height, rotation, rate, timed, sound)


def _shown(container: Any, stream: Any) -> tuple[int, int, int]:
    """Width, height and rotation of the first frame, which shows at the same time that frames can be decoded."""
    container.seek(0, stream=stream)
    for frame in container.decode(stream):
        ratio = stream.sample_aspect_ratio or Fraction(1)
        width, height = round(frame.width * ratio) if ratio else frame.width, frame.height
        rotation = round(frame.rotation) % 360
        return (height, width, rotation) if rotation in {90, 270} else (width, height, rotation)
    raise NotReadable("no_frames", "its video track has no frame that can be decoded")
