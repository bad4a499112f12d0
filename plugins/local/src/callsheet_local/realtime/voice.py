"""Speaking: each piece of a text is a short tone, at a pitch by which the voice can be told.

A tone lasts 80 to 120 ms, longer for longer pieces, less at a higher speed, with soft edges and a little gap. The wave
runs on beneath the gaps, so that whoever measures the sound as a whole finds the voice's pitch and nothing beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from typing import Any

import numpy as np
from attrs import define, field

from callsheet_local.realtime.pitch import RATE, Samples

__all__ = ["VOICES", "Mouth", "Utterance", "pitch_of", "said_within", "seconds_of"]

VOICES = {
    "alloy": 220,
    "ash": 262,
    "ballad": 294,
    "coral": 349,
    "echo": 392,
    "sage": 440,
    "shimmer": 523,
    "verse": 587,
    "marin": 698,
    "cedar": 880,
}
"""The pitch of each voice, in Hz."""
_LOUDNESS = 0.25 * 32767
_EDGE = RATE // 125
_GAP = RATE // 80


def pitch_of(voice: object) -> int:
    """A voice's pitch in Hz; that of alloy for a voice that is not known here."""
    return VOICES.get(voice, VOICES["alloy"]) if isinstance(voice, str) else VOICES["alloy"]


def seconds_of(pieces: Sequence[str], speed: float) -> float:
    """How long it takes to say these pieces."""
    return sum(_length(piece, speed) for piece in pieces) / RATE


def said_within(pieces: Sequence[str], speed: float, ms: int) -> int:
    """How many of these pieces are said after so many milliseconds."""
    ends = accumulate(_length(piece, speed) for piece in pieces)
    return sum(1 for _ in takewhile(lambda end: end * 1000 <= ms * RATE, ends))


def _length(piece: str, speed: float) -> int:
    return int(RATE * (0.08 + 0.005 * min(8, len(piece))) / speed)


@define(eq=False)
class Utterance:
    """A text that is being said, for one response."""

    response_id: str
    pieces: Sequence[str] = field(repr=False)
    hz: int
    speed: float
    _at: int = 0
    _next: int = 0
    _ready: list[Any] = field(factory=list, repr=False)

    def take(self, count: int) -> Samples:
        """The next samples, fewer than asked for at the end."""
        while sum(map(len, self._ready)) < count and self._next < len(self.pieces):
            self._ready.append(self._tone(_length(self.pieces[self._next], self.speed)))
            self._next += 1
        ready = np.concatenate(self._ready) if self._ready else np.zeros(0, np.int16)
        self._ready = [ready[count:]]
        return ready[:count]

    def _tone(self, length: int) -> Samples:
        edge = min(_EDGE, length // 4)
        sounding = length - min(_GAP, length // 4)
        shape = np.zeros(length)
        shape[:sounding] = 1
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
        shape[:edge] = ramp
        shape[sounding - edge : sounding] = ramp[::-1]
        times = np.arange(self._at, self._at + length) / RATE
        self._at += length
        return (_LOUDNESS * shape * np.sin(2 * np.pi * self.hz * times)).astype(np.int16)


@define(eq=False)
class Mouth:
    """Says one utterance after the other, and tells when each begins and has been said."""

    started: Callable[[str], None]
    stopped: Callable[[str], None]
    _queue: deque[Utterance] = field(factory=deque)

    def say(self, utterance: Utterance) -> None:
        """Say this when all else has been said: now, if there is nothing else."""
        self._queue.append(utterance)
        if len(self._queue) == 1:
            self.started(utterance.response_id)

    def hush(self) -> list[str]:
        """Be silent now. Returns the ids of the responses that were being said or were to be."""
        silenced = [utterance.response_id for utterance in self._queue]
        self._queue.clear()
        return list(dict.fromkeys(silenced))

    def take(self, count: int) -> Samples:
        """The next samples of sound, or of silence."""
        sound = np.zeros(count, np.int16)
        if self._queue:
            said = self._queue[0].take(count)
            sound[: len(said)] = said
            if len(said) < count:
                self._said()
        return sound

    def _said(self) -> None:
        done = self._queue.popleft()
        following = self._queue[0].response_id if self._queue else None
        if following != done.response_id:  # a response may have several messages
            self.stopped(done.response_id)
            if following is not None:
                self.started(following)
