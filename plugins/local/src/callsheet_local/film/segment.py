"""Telling a moving thing from what is behind it, in small pictures of a whole clip.

Each picture is compared with the range of values that each pixel goes through. What moved away and what was uncovered
by it look the same to that test, so the colours decide: pixels are weighed by how often their colour occurs in what
surely stands still and in what surely moves, several times over, and each time what is behind becomes better known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from callsheet_local.film.picture import Pixels
from callsheet_local.film.regions import Mask, Soft, box, fill_small_holes, grown, guided, largest_region
from callsheet_local.film.steady import back, laid_over, shifts

__all__ = ["moving_masks"]

_BINS = 16


def moving_masks(small: NDArray[np.uint8]) -> list[Mask]:
    """For each picture, where its moving thing is."""
    moves = shifts(small)
    steady, there = laid_over(small, moves)
    where = there[..., None]
    low = np.where(where, steady, 255).min(axis=0).astype(np.int16)
    high = np.where(where, steady, 0).max(axis=0).astype(np.int16)
    span = (high - low).max(axis=-1)
    changed = np.stack([np.maximum(one - low, high - one).max(axis=-1) for one in steady.astype(np.int16)]) * there
    limit = max(20.0, 2.2 * float(np.percentile(span, 30)))
    # Pictures never lie over each other exactly: where there is fine texture, that alone makes a difference.
    texture = _texture(steady)
    moved = changed > limit + 1.2 * texture
    ever: Mask = np.asarray(moved.any(axis=0))
    still = ~grown(ever, 2)
    if still.mean() < 0.12 or ever.mean() < 0.002:
        return [np.zeros(span.shape, np.bool_)] * len(small)
    codes, lively = _codes(steady), _lively(steady, there)
    near = grown(~still, 30) & still  # what is around the moving thing is what lies behind it, too
    # What changes at some time is either in front or behind; the background never moves, so a colour that moves more
    # often than it rests is in front, and one that is mostly seen at rest is behind.
    moves_now = _share(_counts(codes, moved * (lively / limit).clip(0, 1)))
    at_rest = _share(_counts(codes, (~still & (lively < 0.25 * limit)).astype(np.float32)))
    behind = _share(_counts(codes[:, near])) + 0.25 * _share(_counts(codes[:, still]))
    odds = np.log((moves_now + 3e-5) / (0.6 * at_rest + behind + 3e-5)).astype(np.float32)
    evidence = np.where(moved, np.float32(0.5), np.float32(-2.5))
    for turn in range(5):
        weights = np.stack([_weighed(odds[c], e, p) for c, e, p in zip(codes, evidence, steady, strict=True)])
        evidence = _evidence(steady, weights, there, moved, 0.8 * limit)
        if turn >= 1:
            front, rest = _share(_counts(codes, weights)), _share(_counts(codes, (1 - weights) * grown(~still, 8)))
            odds = np.log((front + 3e-5) / (0.7 * rest + 0.7 * behind + 3e-5)).astype(np.float32)
    masks = np.stack([_cleaned(soft, one) for soft, one in zip(weights, changed, strict=True)])
    for _ in range(2):
        masks = _refined(masks, codes, steady, evidence, changed)
    return [np.asarray(back(mask.astype(np.float32), move) > 0.5) for mask, move in zip(masks, moves, strict=True)]


def _refined(
    masks: NDArray[np.bool_],
    codes: NDArray[np.int32],
    steady: NDArray[np.uint8],
    evidence: Soft,
    changed: NDArray[np.int16],
) -> NDArray[np.bool_]:
    """The masks once more by the colours inside and closely around them: what was taken along by mistake falls away."""
    inside = np.stack([grown(mask, -3) for mask in masks])
    outside = np.stack([grown(mask, 22) & ~grown(mask, 2) for mask in masks])
    within, around = (_share(_counts(codes, where.astype(np.float32))) for where in (inside, outside))
    odds = np.log((within + 1e-4) / (around + 1e-4)).astype(np.float32)
    refined = []
    for mask, code, picture, told, one in zip(masks, codes, steady, evidence, changed, strict=True):
        soft = _weighed(odds[code] * np.float32(1.4), 0.35 * told, picture)
        refined.append(_cleaned(soft * grown(mask, 4), one))
    return np.stack(refined)


def _texture(steady: NDArray[np.uint8]) -> Soft:
    """How much neighbouring pixels differ, at most times: what moves through does not count."""
    grey = steady[:: max(1, len(steady) // 8)].mean(axis=-1, dtype=np.float32)
    across = np.abs(np.diff(grey, axis=2, append=grey[:, :, -1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    return box(np.median(across, axis=0).astype(np.float32), 2)


def _lively(steady: NDArray[np.uint8], there: Mask) -> Soft:
    """How much each pixel's surroundings change from one picture to the next, around its own time."""
    step = np.abs(np.diff(steady.astype(np.int16), axis=0)).max(axis=-1) * (there[1:] & there[:-1])
    step = np.stack([box(one.astype(np.float32), 2) for one in step])
    padded = np.concatenate((step[:1], step[:1], step, step[-1:], step[-1:]))
    return np.asarray(np.max([padded[i : i + len(steady)] for i in range(4)], axis=0))


def _evidence(steady: NDArray[np.uint8], weights: Soft, there: Mask, moved: Mask, limit: float) -> Soft:
    """How much each pixel differs from what is behind it: known where some picture shows it uncovered."""
    bare = ((1 - weights).clip(0, 1) ** 4 * there)[..., None].astype(np.float32)
    times = bare.sum(axis=0)
    plate = (bare * steady).sum(axis=0) / np.maximum(times, 1e-3)
    away = np.abs(steady - plate).max(axis=-1)
    # A shadow is the background, darker: of the same hue. It is no part of what throws it.
    bright, was = steady.sum(axis=-1, dtype=np.float32) + 24, plate.sum(axis=-1) + 24
    hue = np.abs((steady + 8) / bright[..., None] - (plate + 8) / was[..., None]).max(axis=-1)
    away = np.where((bright < was) & (hue < 0.045), away * 0.4, away)
    known = (2.5 * (away / limit - 1)).clip(-3, 3)
    unknown = np.where(moved, np.float32(1.0), np.float32(-2.0))
    return np.where(times[..., 0] > 1.5, known, unknown).astype(np.float32)


def _weighed(odds: Soft, evidence: Soft, picture: Pixels) -> Soft:
    """How surely each pixel is the moving thing, 0 to 1: by its colour, by whether it changes, by its neighbours."""
    grey = picture.mean(axis=-1, dtype=np.float32) / 255
    smooth = guided(grey, odds.clip(-4, 4) * np.float32(0.7) + evidence, 3, 0.002)
    return (1 / (1 + np.exp(-2 * smooth))).astype(np.float32)


def _share(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(counts / max(1e-9, counts.sum()))


def _cleaned(soft: Soft, changed: NDArray[np.int16]) -> Mask:
    mask = box((soft > 0.5).astype(np.float32), 1) > 0.5
    mask = largest_region(np.asarray(mask), changed.astype(np.float32))
    mask = fill_small_holes(mask, 0.06)
    opened = grown(grown(mask, -2), 2) & mask  # cuts thin threads off
    return fill_small_holes(largest_region(opened), 0.06)


def _codes(pictures: NDArray[np.uint8]) -> NDArray[np.int32]:
    """A number for each pixel's colour: mostly its hue, which light and shadow leave alone, and roughly its brightness."""
    red, green, blue = (pictures[..., i].astype(np.float32) for i in range(3))
    total = red + green + blue + 36
    parts = (np.sqrt(total / 801), (red - green) / total * 1.4 + 0.5, (blue - green) / total * 1.4 + 0.5)
    number = np.zeros(pictures.shape[:-1], np.int32)
    for part in parts:
        number = number * _BINS + (part * _BINS).clip(0, _BINS - 1).astype(np.int32)
    return number


def _counts(codes: NDArray[np.int32], weights: Soft | None = None) -> NDArray[np.float64]:
    """How often each colour occurs, smeared over the neighbouring colours."""
    counts = np.bincount(codes.ravel(), None if weights is None else weights.ravel(), _BINS**3).astype(np.float64)
    cube = counts.reshape(_BINS, _BINS, _BINS)
    for axis in range(3):
        cube = 0.5 * cube + 0.25 * (np.roll(cube, 1, axis) + np.roll(cube, -1, axis))
    return np.asarray(cube.ravel())
