"""Writing MP4s: H.264 at 24 frames a second and AAC, always with the same parameters, so that files can be joined."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["FPS", "FRAME_SAMPLES", "RATE", "Writer", "add_video"]

FPS = 24
RATE = 48_000
FRAME_SAMPLES = 1024
"""Samples in one AAC packet."""
_BT709, _STUDIO = 1, 1


def add_video(output: Any, width: int, height: int, rate: Fraction | int = FPS) -> Any:
    """Add the H.264 track. These parameters end up in the file's header: joining by stream copy rests on them."""
    stream = output.add_stream(
        "libx264", rate=rate, options={"preset": "veryfast", "crf": "24", "threads": "2", "sc_threshold": "0"}
    )
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.gop_size = FPS * 2
    stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = _BT709
    stream.codec_context.color_range = _STUDIO
    return stream


class Writer:
    """An MP4 that is written frame by frame. Use it in a `with`; leaving by an exception leaves a broken file."""

    def __init__(self, path: Path, width: int, height: int, sound: NDArray[np.float32] | None) -> None:
        """`sound` is one channel at RATE samples a second, as long as the video will be."""
        self._output: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._video = add_video(self._output, width, height)
        self._video.codec_context.time_base = Fraction(1, FPS)
        self._sound, self._sent = sound, 0
        if sound is not None:
            self._audio = self._output.add_stream("aac", rate=RATE, layout="mono")
            self._audio.bit_rate = 64_000
        self.frames = 0

    def write(self, frame: av.VideoFrame) -> None:
        """Add a frame, and the sound that goes with it."""
        frame.pts, frame.time_base = self.frames, Fraction(1, FPS)
        self.frames += 1
        self._output.mux(self._video.encode(frame))
        self._write_sound(self.frames * RATE // FPS)

    def _write_sound(self, until: int, last: bool = False) -> None:
        """Send whole packets of samples, as AAC wants them; only the last one may be shorter."""
        if self._sound is None:
            return
        until = min(until, len(self._sound))
        while (left := until - self._sent) >= FRAME_SAMPLES or (last and left > 0):
            piece = self._sound[None, self._sent : self._sent + min(left, FRAME_SAMPLES)]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
            self._sent += piece.shape[1]
            self._output.mux(self._audio.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._output.mux(self._video.encode(None))
                if self._sound is not None:
                    self._write_sound(len(self._sound), last=True)
                    self._output.mux(self._audio.encode(None))
        finally:
            self._output.close()
