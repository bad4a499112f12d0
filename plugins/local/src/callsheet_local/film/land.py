"""The outlines of layers: for each column, how high the land reaches, as a share of the picture's height."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["outline"]

Line: TypeAlias = NDArray[np.float32]
Dice: TypeAlias = np.random.Generator


def outline(shape: str, columns: int, height: int, dice: Dice) -> Line:
    """Heights between 0 and about 0.35 over a layer's base line, one for each column."""
    x = np.arange(columns, dtype=np.float32) / np.float32(height)
    return _SHAPES[shape](x, dice)


def _waves(x: Line, dice: Dice, octaves: int, first: float, roughness: float) -> Line:
    """A sum of sines, each octave finer and lower: between about -1 and 1."""
    total, weight = np.zeros_like(x), 0.0
    for octave in range(octaves):
        amplitude = roughness**octave
        total += amplitude * np.sin(x * first * 2**octave * dice.uniform(0.8, 1.25) + dice.uniform(0, 6.28))
        weight += amplitude
    return np.asarray(total / weight, np.float32)


def _hills(x: Line, dice: Dice) -> Line:
    return np.asarray(0.09 + 0.07 * _waves(x, dice, 3, 3.1, 0.4), np.float32)


def _ridge(x: Line, dice: Dice) -> Line:
    return np.asarray(0.13 + 0.09 * _waves(x, dice, 6, 4.0, 0.52), np.float32)


def _peaks(x: Line, dice: Dice) -> Line:
    total = np.zeros_like(x)
    for octave in range(5):
        wave = np.abs(((x * 1.1 * 1.9**octave + dice.uniform(0, 1)) % 1) * 2 - 1)
        total += wave * 0.5**octave
    return np.asarray(0.02 + 0.16 * total, np.float32)


def _dunes(x: Line, dice: Dice) -> Line:
    long, short = ((x * f + dice.uniform(0, 1)) % 1 for f in (0.75, 1.3))
    crest = np.where(long < 0.68, (long / 0.68) ** 1.6, ((1 - long) / 0.32) ** 1.3)
    return np.asarray(0.04 + 0.09 * crest + 0.03 * np.sin(short * 6.28), np.float32)


def _mesa(x: Line, dice: Dice) -> Line:
    base = _waves(x, dice, 3, 3.0, 0.5)
    return np.asarray(0.05 + 0.17 / (1 + np.exp(-(base - 0.15) * 26)) + 0.01 * _waves(x, dice, 5, 22, 0.7), np.float32)


def _pines(x: Line, dice: Dice) -> Line:
    line = _hills(x, dice) * 0.5
    for _ in range(int(float(x[-1]) * 16)):
        middle, tall = dice.uniform(0, float(x[-1])), dice.uniform(0.13, 0.3)
        away = np.abs(x - middle) / (tall * 0.27)
        tiers = (away * 4 % 1) * 0.16  # branches: the cone's edge is a saw
        line = np.maximum(line, tall * (1 - away + tiers) * (away < 1))
    return np.asarray(line, np.float32)


def _towers(x: Line, dice: Dice) -> Line:
    line, at = np.full_like(x, 0.05), 0.0
    while at < float(x[-1]):
        wide = dice.uniform(0.06, 0.16)
        inside = (x >= at) & (x < at + wide)
        line[inside] = dice.uniform(0.09, 0.36)
        if dice.random() < 0.25:
            line[np.abs(x - at - wide / 2) < 0.004] += 0.06  # a mast
        at += wide * dice.uniform(1.0, 1.15)
    return line


def _flat(x: Line, dice: Dice) -> Line:
    return np.asarray(0.05 + 0.004 * _waves(x, dice, 2, 2.0, 0.5), np.float32)


def _meadow(x: Line, dice: Dice) -> Line:
    blades = np.abs(_waves(x, dice, 4, 260, 0.8))
    return np.asarray(0.05 + 0.025 * _waves(x, dice, 2, 2.4, 0.5) + 0.022 * blades, np.float32)


def _sea(x: Line, dice: Dice) -> Line:
    return np.asarray(0.09 + 0.003 * _waves(x, dice, 3, 40, 0.7), np.float32)


def _curtain(x: Line, dice: Dice) -> Line:
    folds = np.abs(np.sin(x * 9 + dice.uniform(0, 6)))
    return np.asarray(0.30 + 0.05 * folds, np.float32)


_SHAPES: dict[str, Callable[[Line, Dice], Line]] = {
    "hills": _hills,
    "ridge": _ridge,
    "peaks": _peaks,
    "dunes": _dunes,
    "mesa": _mesa,
    "pines": _pines,
    "towers": _towers,
    "street": _flat,
    "boards": _flat,
    "beach": _flat,
    "meadow": _meadow,
    "waves": _sea,
    "curtain": _curtain,
}
