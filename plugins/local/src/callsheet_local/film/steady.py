"""Taking the camera's motion out: how far each picture is shifted against the first, and pictures laid over each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from callsheet_local.film.picture import Pixels
from callsheet_local.film.regions import Mask, Soft

__all__ = ["Shift", "laid_over", "shifts"]

Shift = tuple[float, float]
_FARTHEST = 0.25
"""Shares of the picture's sides: a camera that moves farther than that is not followed."""


def shifts(pictures: NDArray[np.uint8]) -> list[Shift]:
    """How many pixels to the right and down each picture must be moved to lie over the first (phase correlation)."""
    grey = pictures.mean(axis=-1, dtype=np.float32)
    height, width = grey.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = np.fft.rfft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window)
    found: list[Shift] = []
    for spectrum in spectra:
        cross = spectra[0] * spectrum.conj()
        peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-6), (height, width))
        y, x = np.unravel_index(int(np.argmax(peak)), peak.shape)
        down = int(y) + _between(peak[y - 1, x], peak[y, x], peak[(y + 1) % height, x])
        right = int(x) + _between(peak[y, x - 1], peak[y, x], peak[y, (x + 1) % width])
        down, right = down - height * (down > height / 2), right - width * (right > width / 2)
        if abs(down) > height * _FARTHEST or abs(right) > width * _FARTHEST:
            down, right = (found[-1][1], found[-1][0]) if found else (0.0, 0.0)
        found.append((right, down))
    # one picture in which something else won the correlation must not tear the row: the median of three
    middle = [found[max(0, i - 1) : i + 2] for i in range(len(found))]
    return [(float(np.median([s[0] for s in three])), float(np.median([s[1] for s in three]))) for three in middle]


def _between(before: float, at: float, after: float) -> float:
    """Where the top of the parabola through three neighbours is, seen from the middle one."""
    curve = 2 * at - before - after
    return float((after - before) / (2 * curve)) if curve > 1e-9 else 0.0


def laid_over(pictures: NDArray[np.uint8], moves: list[Shift]) -> tuple[NDArray[np.uint8], Mask]:
    """The pictures moved by their shifts, and where each has pixels then."""
    moved, there = np.empty_like(pictures), np.empty(pictures.shape[:3], np.bool_)
    for i, (picture, move) in enumerate(zip(pictures, moves, strict=True)):
        moved[i] = _moved(picture, move)
        there[i] = _moved(np.full(picture.shape[:2], 255, np.uint8), move) > 250
    return moved, there


def back(mask: Soft, move: Shift) -> Soft:
    """A mask between 0 and 1 in the coordinates of the picture as it was before it was moved."""
    eight_bit = (mask * 255).astype(np.uint8)
    return np.asarray(_moved(eight_bit, (-move[0], -move[1])) / 255, np.float32)


def _moved(picture: Pixels, move: Shift) -> Pixels:
    image = Image.fromarray(picture)
    matrix = (1, 0, -move[0], 0, 1, -move[1])
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))
