"""What a stretch of sound is, measured: a tone of so many Hz, a sound, or silence."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["RATE", "Measured", "Samples", "measure"]

RATE = 48_000
Samples: TypeAlias = NDArray[np.int16]
_LONGEST = 4 * RATE
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 12_000.0
_TONAL = 0.5
"""A tone is what has at least this share of its energy in one spectral line."""
_SILENT = 0.002


@frozen
class Measured:
    """`hz` is None for what is not tonal; `seconds` is how long it lasts."""

    hz: float | None
    seconds: float
    silent: bool = False

    def __str__(self) -> str:
        if self.silent:
            return f"silence for {self.seconds:.1f} s"
        return (
            f"a tone of {self.hz:.0f} Hz for {self.seconds:.1f} s" if self.hz else f"a sound for {self.seconds:.1f} s"
        )


def measure(samples: Samples) -> Measured:
    """Measure mono sound of 48,000 samples a second; of long ones the last four seconds."""
    seconds = len(samples) / RATE
    part: NDArray[Any] = samples[-_LONGEST:].astype(np.float64) / 32768
    if len(part) < RATE // 100 or float(np.sqrt(np.mean(part * part))) < _SILENT:
        return Measured(None, seconds, silent=True)
    size = 1 << (len(part) - 1).bit_length()
    power = np.abs(np.fft.rfft((part - part.mean()) * np.hanning(len(part)), size)) ** 2
    bin_hz = RATE / size
    low, high = int(_LOWEST_HZ / bin_hz) + 1, int(_HIGHEST_HZ / bin_hz)
    peak = low + int(np.argmax(power[low:high]))
    width = 2 * size // len(part) + 1  # the main lobe of a Hann window, on each side
    share = float(power[max(0, peak - width) : peak + width + 1].sum() / max(power.sum(), 1e-12))
    if share < _TONAL:
        return Measured(None, seconds)
    # A parabola through the logarithms of the peak and its neighbours: its top lies between the bins.
    left, middle, right = np.log(power[peak - 1 : peak + 2] + 1e-20)
    bend = left - 2 * middle + right
    return Measured(float(peak + (0.5 * (left - right) / bend if bend else 0.0)) * bin_hz, seconds)
