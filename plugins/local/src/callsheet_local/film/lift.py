"""Lifting what a mask covers out of a picture, with soft edges, as the frames of a sprite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from callsheet_local.film.picture import Pixels, even
from callsheet_local.film.regions import Mask, box, guided
from callsheet_local.film.sprite import Sprite

__all__ = ["lift", "lift_oval"]


def lift(pictures: Sequence[Pixels], masks: Sequence[Mask], rate: float) -> Sprite:
    """The pictures cut along their masks, all to one frame. A thing that travels is brought to one place."""
    width = pictures[0].shape[1]
    scale = width / masks[0].shape[1]
    boxes = [_bounds(mask) for mask in masks]
    tall = max(b[3] - b[1] for b in boxes)
    wide = max(b[2] - b[0] for b in boxes)
    centers = [(b[0] + b[2]) / 2 for b in boxes]
    travels = max(centers) - min(centers) > 0.35 * wide
    left, right = min(b[0] for b in boxes), max(b[2] for b in boxes)
    top, bottom = min(b[1] for b in boxes), max(b[3] for b in boxes)
    margin = 3
    images = []
    for pixels, mask, (x0, _, x1, y1) in zip(pictures, masks, boxes, strict=True):
        if travels:
            middle = (x0 + x1) / 2
            area = (middle - wide / 2 - margin, y1 - tall - margin, middle + wide / 2 + margin, y1 + margin)
        else:
            area = (left - margin, top - margin, right + margin, bottom + margin)
        around = (round(area[0] * scale), round(area[1] * scale))
        size = (even((area[2] - area[0]) * scale), even((area[3] - area[1]) * scale))
        images.append(_lifted(pixels, mask, around, size))
    return Sprite.of(_trimmed(images), min(12.0, rate))


def _trimmed(images: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames without the empty border that all of them have: feet stand on the lower edge."""
    covered = np.max([np.asarray(image.getchannel("A")) for image in images], axis=0) > 40
    if not covered.any():
        return list(images)
    left, top, right, bottom = _bounds(covered)
    area = (left, top, left + max(2, even(right - left)), top + max(2, even(bottom - top)))
    return [image.crop(area) for image in images]


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _lifted(pixels: Pixels, mask: Mask, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """A part of a picture with the mask, brought to full size along the picture's edges, as its transparency."""
    height, width = pixels.shape[:2]
    full = Image.fromarray((mask * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    area = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
    colors = np.asarray(Image.fromarray(pixels).crop(area)).astype(np.float32)
    rough = np.asarray(full.crop(area), np.float32) / np.float32(255)
    grey = np.asarray(colors.mean(axis=-1) / 255, np.float32)
    soft = guided(grey, rough, 6, 0.0015)
    alpha = ((soft - 0.28) / 0.5).clip(0, 1)
    alpha *= box((alpha > 0.05).astype(np.float32), 1)
    solid = (alpha > 0.97).astype(np.float32)
    near = np.maximum(box(solid, 5), 1e-3)[..., None]
    inner = box(colors * solid[..., None], 5) / near  # the edge takes the colour from inside: no rim of background
    share = np.where(near > 2e-3, (1 - alpha[..., None]) ** 0.7, 0)
    colors = colors * (1 - share) + inner * share
    rgba = np.dstack((colors.clip(0, 255), alpha * 255)).astype(np.uint8)
    return Image.fromarray(rgba, "RGBA")


def lift_oval(pictures: Sequence[Pixels], small: NDArray[np.uint8]) -> Image.Image:
    """An oval with soft edges around the liveliest part of the clip's middle picture."""
    lively = box(small.astype(np.float32).std(axis=0).mean(axis=-1), 12)
    rows, columns = lively.shape
    lively = lively + np.float32(1e-3)
    share_y = float((lively.sum(axis=1) * np.arange(rows)).sum() / lively.sum()) / rows
    share_x = float((lively.sum(axis=0) * np.arange(columns)).sum() / lively.sum()) / columns
    pixels = pictures[len(pictures) // 2]
    height, width = pixels.shape[:2]
    tall = even(height * 0.72)
    wide = even(min(width * 0.72, tall * 0.8))
    left = int(min(max(share_x * width - wide / 2, 0), width - wide))
    top = int(min(max(share_y * height - tall / 2, 0), height - tall))
    y, x = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    alpha = ((1 - np.hypot(x, y)) / 0.16).clip(0, 1) * 255
    part = pixels[top : top + tall, left : left + wide]
    return Image.fromarray(np.dstack((part, alpha)).astype(np.uint8), "RGBA")
