"""The tone bed under a scene: a slow chord, in a key and a mood that come from the prompt's seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from callsheet_local.film.encode import FPS, RATE

__all__ = ["tone_bed"]

_CHORDS = ((0, 7, 12, 16), (0, 7, 12, 15), (0, 5, 12, 17), (0, 7, 14, 16), (-5, 2, 7, 12))


def tone_bed(frames: int, seed: int, start: int = 0) -> NDArray[np.float32]:
    """Sound for so many frames of video. `start` is the frame at which an earlier part of the same bed ended."""
    count = frames * RATE // FPS
    t = (np.arange(count, dtype=np.float32) + np.float32(start * RATE // FPS)) / RATE
    root = 98.0 * 2 ** (seed % 12 / 12)
    wave = np.zeros(count, np.float32)
    for voice, step in enumerate(_CHORDS[seed // 12 % len(_CHORDS)]):
        pitch = root * 2 ** (step / 12)
        breath = 0.6 + 0.4 * np.sin(2 * np.pi * (0.07 + 0.03 * voice) * t + voice)
        wave += (np.sin(2 * np.pi * pitch * t) * breath / (1 + voice)).astype(np.float32)
    edge = min(RATE // 20, count // 2)  # no clicks at the ends, nor where two parts are joined
    ramp = np.linspace(0, 1, edge, dtype=np.float32)
    wave[:edge] *= ramp
    wave[count - edge :] *= ramp[::-1]
    return wave * np.float32(0.09)
