"""Small things that move in a scene: snow, rain, petals, fireflies, dust, sparks, gulls."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from attrs import frozen
from PIL import Image, ImageDraw, ImageFilter

from callsheet_local.film.picture import Cutout, Planes, even
from callsheet_local.film.theme import Color, Theme

__all__ = ["Particles"]


@frozen
class _Kind:
    """How many, how big (in thousandths of the height), how fast (heights a second), what they sway and how they look."""

    count: int
    size: tuple[float, float]
    fall: tuple[float, float]
    drift: tuple[float, float]
    sway: float
    color: Color
    opacity: float
    shape: str = "dot"
    pulse: bool = False
    upper: bool = False
    """Only in the upper half."""


_KINDS = {
    "snow": _Kind(90, (4, 12), (0.07, 0.2), (-0.02, 0.04), 0.02, (255, 255, 255), 0.9),
    "rain": _Kind(80, (22, 40), (1.1, 1.5), (-0.12, -0.1), 0.0, (214, 226, 240), 0.5, "streak"),
    "petals": _Kind(26, (6, 12), (0.04, 0.09), (0.03, 0.08), 0.03, (255, 190, 214), 0.9, "petal"),
    "fireflies": _Kind(26, (7, 14), (-0.02, 0.015), (-0.02, 0.02), 0.05, (255, 244, 150), 0.95, "dot", True),
    "dust": _Kind(30, (3, 7), (-0.02, 0.01), (0.02, 0.06), 0.02, (255, 246, 220), 0.5),
    "sparks": _Kind(34, (3, 8), (-0.06, -0.02), (-0.02, 0.02), 0.02, (255, 236, 190), 0.85, "dot", True),
    "gulls": _Kind(7, (26, 46), (-0.004, 0.004), (0.05, 0.09), 0.02, (252, 252, 252), 0.95, "gull", upper=True),
}


class Particles:
    """All that floats in one scene."""

    def __init__(self, theme: Theme, width: int, height: int, seed: int) -> None:
        kind = self._kind = _KINDS[theme.particles]
        dice = np.random.default_rng(seed ^ 0x9E3779B9)
        self._width, self._height = width, height
        count = kind.count
        self._start = dice.random((count, 2)) * (1, 0.45 if kind.upper else 1)
        self._speed = np.stack([dice.uniform(*kind.drift, count) * height / width, dice.uniform(*kind.fall, count)], 1)
        self._phase = dice.random(count) * 2 * math.pi
        sizes = [kind.size[0] + (kind.size[1] - kind.size[0]) * i / 3 for i in range(4)]
        self._looks = [_look(kind, max(2.0, size * height / 1000)) for size in sizes]
        self._dim = [look.faded(0.35) for look in self._looks]

    def paint(self, picture: Planes, seconds: float) -> None:
        """Paint them where they are at a moment."""
        kind = self._kind
        top = 0.5 if kind.upper else 1.0
        for i in range(kind.count):
            swing = kind.sway * math.sin(seconds * 1.3 + self._phase[i])
            x = (self._start[i, 0] + self._speed[i, 0] * seconds + swing) % 1.08 - 0.04
            y = (self._start[i, 1] + self._speed[i, 1] * seconds + swing * 0.4) % (top * 1.08) - top * 0.04
            dim = kind.pulse and math.sin(seconds * 2.4 + self._phase[i] * 3) < -0.1
            look = (self._dim if dim else self._looks)[i % 4]
            picture.paste(look, int(x * self._width), int(y * self._height))


def _look(kind: _Kind, size: float) -> Cutout:
    """One particle, drawn four times as big as it will be, and then made smaller: smooth edges."""
    draw_one: Callable[[ImageDraw.ImageDraw, float], None] = _SHAPES[kind.shape]
    side = even(size * 1.6) + 4
    mask = Image.new("L", (side * 4, side * 4), 0)
    draw_one(ImageDraw.Draw(mask), side * 4.0)
    if kind.shape == "dot":
        mask = mask.filter(ImageFilter.GaussianBlur(side * 0.45))
    mask = mask.reduce(4).point(lambda value: int(value * kind.opacity))
    image = Image.new("RGB", mask.size, kind.color)
    image.putalpha(mask)
    return Cutout.of_image(image)


def _dot(draw: ImageDraw.ImageDraw, side: float) -> None:
    draw.ellipse((side * 0.25, side * 0.25, side * 0.75, side * 0.75), fill=255)


def _petal(draw: ImageDraw.ImageDraw, side: float) -> None:
    draw.ellipse((side * 0.15, side * 0.32, side * 0.85, side * 0.66), fill=255)
    draw.ellipse((side * 0.4, side * 0.25, side * 0.9, side * 0.6), fill=200)


def _streak(draw: ImageDraw.ImageDraw, side: float) -> None:
    draw.line((side * 0.56, side * 0.05, side * 0.46, side * 0.95), fill=190, width=max(3, int(side * 0.03)))


def _gull(draw: ImageDraw.ImageDraw, side: float) -> None:
    thick = max(4, int(side * 0.05))
    draw.arc((side * 0.05, side * 0.4, side * 0.52, side * 0.9), 200, 340, fill=255, width=thick)
    draw.arc((side * 0.48, side * 0.4, side * 0.95, side * 0.9), 200, 340, fill=255, width=thick)


_SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, float], None]] = {
    "dot": _dot,
    "petal": _petal,
    "streak": _streak,
    "gull": _gull,
}
