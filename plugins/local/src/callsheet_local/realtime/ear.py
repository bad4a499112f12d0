"""Listening: where sound begins and ends, told by its energy. Knows nothing of connections; times are those of the sound.

A sound begins when 100 ms on end are loud enough, and ends after `silence_duration_ms` of quiet. One that goes on is
reported each two seconds; what follows the first report is marked as its continuation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import frozen

from callsheet_local.realtime.pitch import RATE, Samples
from callsheet_local.realtime.sessions import dig, number

__all__ = ["BLOCK", "Ear", "Ended", "Started"]

BLOCK = RATE // 50
_BLOCK_MS = 20
_ONSET = 5
_LONGEST_MS = 2000
_KEPT = 30 * 50
"""Without turn detection the last 30 seconds are kept until somebody commits them."""


@frozen
class Started:
    """Sound began, so many milliseconds after the first sample that was heard."""

    ms: int
    again: bool


@frozen
class Ended:
    """Sound ended, or went on for too long. `samples` is the sound without the quiet around it."""

    ms: int
    samples: Samples
    again: bool


class Ear:
    """Hears blocks of 20 ms."""

    def __init__(self, detection: Any) -> None:
        self._rest: Samples = np.zeros(0, np.int16)
        self._blocks: deque[Samples] = deque(maxlen=_KEPT)
        self._heard = 0
        self._forget()
        self._again = False
        self.configure(detection)

    def configure(self, detection: Any) -> None:
        """Take a session's `turn_detection`: an object, or None for no detection at all."""
        self._automatic = isinstance(detection, dict)
        # Half of full scale is no place for a threshold: 0.5, the default, means an RMS of 2 % of it.
        self._level = 0.04 * 32768 * number(dig(detection, "threshold"), 0.5, 0.05, 1)
        self._padding_ms = int(number(dig(detection, "prefix_padding_ms"), 300, 0, 5000))
        self._quiet_ms = int(number(dig(detection, "silence_duration_ms"), 200, 40, 10_000))

    @property
    def speaking(self) -> bool:
        """Whether a sound goes on that began and has not ended."""
        return self._speaking

    def feed(self, samples: Samples) -> Iterator[Started | Ended]:
        """Hear some more. What happened must be taken before the next piece is fed."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // BLOCK * BLOCK
        self._rest = samples[whole:]
        for block in samples[:whole].reshape(-1, BLOCK):
            yield from self._hear(block)

    def commit(self) -> Samples | None:
        """What was heard and not reported yet, from its first sample on; None if that is nothing."""
        blocks = list(self._blocks)[-self._since :] if self._automatic else list(self._blocks)
        if not blocks or (self._automatic and not self._speaking):
            return None
        self.clear()
        return np.concatenate(blocks)

    def clear(self) -> None:
        """Forget what was heard and not reported yet."""
        self._blocks.clear()
        self._forget()

    def _forget(self) -> None:
        self._speaking = False
        self._loud_run = self._quiet_run = self._since = 0

    def _hear(self, block: Samples) -> Iterator[Started | Ended]:
        self._heard += _BLOCK_MS
        self._blocks.append(block)
        if not self._automatic:
            return
        wide = block.astype(np.float64)
        loud = float(np.sqrt(np.mean(wide * wide))) > self._level
        self._loud_run = self._loud_run + 1 if loud else 0
        self._quiet_run = 0 if loud else self._quiet_run + 1
        self._since += 1
        if not self._speaking:
            while len(self._blocks) > _ONSET:
                self._blocks.popleft()
            if self._quiet_run * _BLOCK_MS >= self._quiet_ms:
                self._again = False
            if self._loud_run >= _ONSET:
                self._speaking, self._since = True, self._loud_run
                yield Started(max(0, self._heard - self._loud_run * _BLOCK_MS - self._padding_ms), self._again)
        elif self._quiet_run * _BLOCK_MS >= self._quiet_ms:
            yield self._end(self._quiet_run)
        elif self._since * _BLOCK_MS >= _LONGEST_MS:
            ended = self._end(self._quiet_run)
            self._again = True
            yield ended

    def _end(self, quiet: int) -> Ended:
        blocks = list(self._blocks)[-self._since :]
        ended = Ended(self._heard, np.concatenate(blocks[: len(blocks) - quiet]), self._again)
        self._again = False
        self.clear()
        return ended
