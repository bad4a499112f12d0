"""The sound that goes to the peer: 48 kHz, mono, 20 ms at a time, as fast as it is heard."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from callsheet_local.realtime.pitch import RATE
from callsheet_local.realtime.voice import Mouth

__all__ = ["VoiceTrack"]

_FRAME = RATE // 50
_LATE_SECONDS = 0.5


class VoiceTrack(MediaStreamTrack):
    """What the mouth says, or silence."""

    kind = "audio"

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth
        self._sent = 0
        self._began: float | None = None

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when their time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._began is None:
            self._began = now
        due = self._began + self._sent / RATE
        if due > now:
            await asyncio.sleep(due - now)
        elif now - due > _LATE_SECONDS:  # the machine was asleep: go on from here instead of catching up
            self._began += now - due
        frame = av.AudioFrame.from_ndarray(self._mouth.take(_FRAME)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
        self._sent += _FRAME
        return frame
