"""Small image arithmetic on masks, in numpy alone: connected regions, holes, smoothing that follows edges."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mask", "Soft", "box", "fill_small_holes", "grown", "guided", "largest_region", "regions"]

Mask: TypeAlias = NDArray[np.bool_]
Soft: TypeAlias = NDArray[np.float32]


def regions(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the connected regions of a mask, 1 and up; 0 is outside. Works on the runs of each row."""
    labels = np.zeros(mask.shape, np.int32)
    parent = [0]

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    before: list[tuple[int, int, int]] = []
    for y in range(mask.shape[0]):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], mask[y], [False]))))
        runs = []
        for left, right in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            touching = [root(label) for a, b, label in before if a < right and b > left]
            label = min(touching) if touching else len(parent)
            if not touching:
                parent.append(label)
            for other in touching:
                parent[other] = label
            labels[y, left:right] = label
            runs.append((left, right, label))
        before = runs
    roots = np.array([root(label) for label in range(len(parent))], np.int32)
    names, numbered = np.unique(roots, return_inverse=True)
    return numbered.astype(np.int32)[labels], len(names) - 1


def largest_region(mask: Mask, weight: Soft | None = None) -> Mask:
    """Only the biggest connected region, by area or by the sum of a weight."""
    labels, count = regions(mask)
    if count == 0:
        return mask
    sums = np.bincount(labels.ravel(), None if weight is None else weight.ravel(), count + 1)
    return np.asarray(labels == 1 + int(np.argmax(sums[1:])))


def fill_small_holes(mask: Mask, share: float) -> Mask:
    """Fill the holes that are smaller than a share of the mask."""
    labels, count = regions(~mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    rim = np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))
    small = sizes < share * mask.sum()
    small[rim] = False
    small[0] = False
    return np.asarray(mask | small[labels])


def grown(mask: Mask, pixels: int) -> Mask:
    """The mask with so many pixels more on each side; fewer, if negative."""
    if pixels < 0:
        return ~grown(~mask, -pixels)
    share = box(mask.astype(np.float32), pixels)
    return np.asarray(share > 1e-4)


def box(image: Soft, radius: int) -> Soft:
    """The mean over a square around each pixel; at the borders over what there is of it."""
    if radius < 1:
        return image
    for axis in (0, 1):
        size = image.shape[axis]
        sums = np.concatenate(
            (np.zeros_like(image.take([0], axis)), np.cumsum(image, axis=axis, dtype=np.float64)), axis=axis
        )
        low = np.maximum(np.arange(size) - radius, 0)
        high = np.minimum(np.arange(size) + radius + 1, size)
        shape = [1] * image.ndim
        shape[axis] = size
        above, below = np.asarray(sums.take(high, axis)), np.asarray(sums.take(low, axis))
        image = np.asarray((above - below) / (high - low).reshape(shape), np.float32)
    return image


def guided(guide: Soft, image: Soft, radius: int, smoothness: float) -> Soft:
    """Smooth an image, but not across the edges of a grey guide picture between 0 and 1 (He's guided filter)."""
    mean_g, mean_i = box(guide, radius), box(image, radius)
    spread = box(guide * guide, radius) - mean_g * mean_g
    common = box(guide * image, radius) - mean_g * mean_i
    a: Soft = np.asarray(common / (spread + np.float32(smoothness)), np.float32)
    b = mean_i - a * mean_g
    return box(a, radius) * guide + box(b, radius)
