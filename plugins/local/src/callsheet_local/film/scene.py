"""A scene: sky, clouds and three layers of land that pass at different speeds while the camera pans. Drawn once, before
the first frame; a frame is then no more than a few pastes."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from callsheet_local.film.land import Line, outline
from callsheet_local.film.particles import Particles
from callsheet_local.film.picture import Cutout, Pixels, Planes, even
from callsheet_local.film.theme import Color, Theme, seed_of, theme_of

__all__ = ["Scene"]

_PAN_SECONDS = 18.0
_BASE = (0.66, 0.77, 0.87)
"""Where the layers' base lines are, as shares of the height: the farthest first."""
_DEPTH = (0.12, 0.3, 0.62)
"""How much of the camera's way each layer goes along."""


@frozen(eq=False)
class _Layer:
    cutout: Cutout
    top: int
    way: int
    """Pixels between its leftmost and its rightmost window."""


@frozen(eq=False)
class Scene:
    """What a prompt shows when nobody is in it."""

    width: int
    height: int
    sky: Planes
    clouds: _Layer | None
    layers: tuple[_Layer, ...]
    particles: Particles

    @classmethod
    def of(cls, prompt: str, width: int, height: int) -> Scene:
        """The scene of a prompt: the same for the same prompt and size."""
        theme, seed = theme_of(prompt), seed_of("scene", prompt)
        dice = np.random.default_rng(seed)
        pan = even(max(width, height) * 0.34)
        sky = Planes.of(_sky(theme, width, height, dice))
        clouds = _clouds(theme, width, height, pan, dice) if theme.clouds > 0 else None
        lines = [
            height * np.float32(base) - height * outline(shape, width + even(pan * depth), height, dice)
            for base, depth, shape in zip(_BASE, _DEPTH, theme.lands, strict=True)
        ]
        layers = []
        for number, (line, shape, color) in enumerate(zip(lines, theme.lands, theme.ground, strict=True)):
            below = height if number == len(lines) - 1 else int(lines[number + 1].max()) + 2
            top, bottom = even(max(0.0, float(line.min()) - 2)), min(height, even(below + 1))
            pixels, alpha = _land(line, shape, color, theme, top, max(bottom, top + 2), height, dice)
            layers.append(_Layer(Cutout.of(pixels, alpha), top, len(line) - width))
        return cls(width, height, sky, clouds, tuple(layers), Particles(theme, width, height, seed))

    @property
    def ground(self) -> int:
        """The row on which whoever is in the scene stands."""
        return even(self.height * 0.875)

    def at(self, seconds: float) -> Planes:
        """The scene at a moment, to be painted on."""
        share = 0.5 - 0.5 * math.cos(2 * math.pi * (seconds / _PAN_SECONDS + 0.08))
        picture = self.sky.window(0, self.width)
        for layer in (*((self.clouds,) if self.clouds else ()), *self.layers):
            picture.paste(layer.cutout.window(round(layer.way * share), self.width), 0, layer.top)
        return picture


def _sky(theme: Theme, width: int, height: int, dice: np.random.Generator) -> Pixels:
    """A gradient, the light in it with its glow, stars; with a little noise, which keeps the gradient from banding."""
    rows, columns = height // 2, width // 2  # smooth: half the size is enough
    share = (np.linspace(0, 1, rows, dtype=np.float32) / 0.7).clip(0, 1)[:, None, None]
    top, bottom, glow = (np.array(c, np.float32) for c in (*theme.sky, theme.glow))
    sky = np.repeat(top * (1 - share) + bottom * share, columns, axis=1)
    if theme.light != "nothing":
        x = columns * dice.uniform(0.2, 0.8)
        y = rows * (0.5 if theme.light == "low sun" else dice.uniform(0.14, 0.26))
        size = min(rows, columns) * {"planet": 0.2, "low sun": 0.11, "moon": 0.07}.get(theme.light, 0.065)
        away = np.hypot(np.arange(columns, dtype=np.float32)[None] - x, np.arange(rows, dtype=np.float32)[:, None] - y)
        halo = (np.exp(-away / (size * 3.2)) * 0.62)[..., None]
        sky = sky * (1 - halo) + glow * halo
        disc = (size + 0.5 - away).clip(0, 1)[..., None]
        sky = sky * (1 - disc) + _disc(theme, away, size, glow, columns, x) * disc
    image = Image.fromarray(sky.clip(0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    if theme.stars:
        _stars(image, theme.stars, dice)
    noise = dice.integers(-2, 3, (height, width, 1), np.int16)
    return np.asarray((np.asarray(image, np.int16) + noise).clip(0, 255), np.uint8)


def _disc(theme: Theme, away: Line, size: float, glow: Line, columns: int, x: float) -> NDArray[np.float32]:
    """The face of the light: flat and bright, but a planet has a night side and a moon spots."""
    if theme.light != "planet":
        return np.broadcast_to(glow + (255 - glow) * np.float32(0.55), (*away.shape, 3))
    side = ((np.arange(columns, dtype=np.float32)[None] - x) / size * 0.5 + 0.5).clip(0, 1)
    shade = (1.15 - side * 0.95 - (away / size) ** 3 * 0.2).clip(0.08, 1)
    return np.asarray(glow * shade[..., None], np.float32)


def _stars(image: Image.Image, amount: float, dice: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(int(amount * 220)):
        x, y = dice.uniform(0, image.width), dice.uniform(0, image.height * 0.7) * dice.uniform(0.2, 1)
        light, size = int(dice.uniform(110, 255)), dice.choice([0.4, 0.6, 0.6, 1.2]) * image.height / 720
        draw.ellipse((x - size, y - size, x + size, y + size), fill=(light, light, min(255, light + 25)))


def _clouds(theme: Theme, width: int, height: int, pan: int, dice: np.random.Generator) -> _Layer:
    way = even(pan * 0.2)
    columns, rows = (width + way) // 4, int(height * 0.5) // 4
    mask = Image.new("L", (columns, rows), 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(round(theme.clouds * 9)):
        x, y, wide = dice.uniform(0, columns), dice.uniform(0.15, 0.75) * rows, dice.uniform(0.05, 0.12) * columns
        for _ in range(8):
            dx, dy, r = dice.normal(0, wide), abs(dice.normal(0, wide * 0.13)), wide * dice.uniform(0.16, 0.36)
            draw.ellipse((x + dx - r * 1.5, y - dy - r * 0.6, x + dx + r * 1.5, y - dy + r * 0.6), fill=255)
    soft = mask.filter(ImageFilter.GaussianBlur(max(1, height / 140))).resize((width + way, rows * 4))
    alpha = (np.asarray(soft, np.float32) * 0.72).astype(np.uint8)
    light = np.array([(c * 2 + g) / 3 * 0.35 + 255 * 0.65 for c, g in zip(theme.sky[1], theme.glow, strict=True)])
    if theme.stars or theme.light == "nothing":
        light = light * 0.35 + np.array(theme.sky[1]) * 0.65
    pixels = np.broadcast_to(light.astype(np.uint8), (*alpha.shape, 3))
    rows4, columns4 = even(alpha.shape[0]), even(alpha.shape[1])
    return _Layer(Cutout.of(pixels[:rows4, :columns4], alpha[:rows4, :columns4]), 0, way)


def _land(
    line: Line, shape: str, color: Color, theme: Theme, top: int, bottom: int, height: int, dice: np.random.Generator
) -> tuple[Pixels, NDArray[np.uint8]]:
    """The pixels and the mask of one layer, rows `top` to `bottom`: light at its edge, darker below."""
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    deep = rows - line[None]
    alpha = ((deep + 0.5).clip(0, 1) * 255).astype(np.uint8)
    base, glow, far = (np.array(c, np.float32) for c in (color, theme.glow, theme.sky[1]))
    steps = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    table = base * (1.12 - 0.42 * steps) + (glow - base) * 0.30 * np.exp(-steps * 14)
    if shape in {"ridge", "peaks", "hills", "towers"}:  # far away: the foot of it fades into haze
        table = table * (1 - 0.35 * steps) + far * 0.35 * steps
    grain = dice.integers(-9, 10, (1 if shape in {"boards", "curtain"} else deep.shape[0], deep.shape[1]), np.int16)
    place = (deep * np.float32(256 / (0.34 * height))).astype(np.int16) + grain
    pixels = table.clip(0, 255).astype(np.uint8)[place.clip(0, 255)]
    if shape == "towers":
        _windows(pixels, deep, height, theme, dice)
    elif shape == "waves":
        _glitter(pixels, deep, theme, dice)
    return pixels, alpha


def _windows(pixels: Pixels, deep: Line, height: int, theme: Theme, dice: np.random.Generator) -> None:
    cell = max(4, height // 48)
    rows, columns = deep.shape[0] // cell + 1, deep.shape[1] // cell + 1
    lit = dice.random((rows, columns)) < (0.42 if theme.stars else 0.2)
    pane = np.zeros((cell, cell), bool)
    pane[cell // 4 : cell * 3 // 4 + 1, cell // 3 : cell * 2 // 3 + 1] = True
    glass = np.kron(lit, pane).astype(bool)[: deep.shape[0], : deep.shape[1]] & (deep > cell)
    pixels[glass] = (255, 214, 130) if theme.stars else (214, 230, 240)


def _glitter(pixels: Pixels, deep: Line, theme: Theme, dice: np.random.Generator) -> None:
    """Short bright strokes on water, longer towards the viewer."""
    for _ in range(int(deep.shape[1] * 0.5)):
        y, x = int(dice.integers(0, deep.shape[0])), int(dice.integers(0, deep.shape[1]))
        if deep[y, x] > 2:
            long = int(2 + deep[y, x] * dice.uniform(0.1, 0.5))
            part = pixels[y, x : x + long].astype(np.float32)
            pixels[y, x : x + long] = (part * 0.6 + np.array(theme.glow, np.float32) * 0.4).astype(np.uint8)
