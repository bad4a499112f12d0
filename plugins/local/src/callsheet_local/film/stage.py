"""From a plan to frames: the scene, whoever is in it, the caption, and what the first frame has to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import av
import numpy as np
from attrs import frozen
from PIL import Image, ImageDraw, ImageFilter

from callsheet_local.film.caption import caption
from callsheet_local.film.encode import FPS
from callsheet_local.film.picture import Cutout, Planes, even
from callsheet_local.film.scene import Scene
from callsheet_local.film.sprite import Sprite

__all__ = ["frames"]

_FADE_SECONDS = 0.9
"""How long a given first frame takes to become the scene."""


def frames(
    prompt: str,
    width: int,
    height: int,
    count: int,
    cast: Sequence[Sprite] = (),
    *,
    first: Planes | None = None,
    start: int = 0,
) -> Iterator[av.VideoFrame]:
    """The frames of a prompt. With `first`, the first one is that picture; `start` is how many frames went before."""
    scene = Scene.of(prompt, width, height)
    words = caption(prompt, width, height)
    actors = [_Actor.of(sprite, scene, number, len(cast)) for number, sprite in enumerate(cast)]
    fade = min(count, round(_FADE_SECONDS * FPS))
    for number in range(count):
        if first is not None and number == 0:
            yield first.frame()
            continue
        seconds = (start + number) / FPS
        picture = scene.at(seconds)
        for actor in actors:
            actor.paint(picture, seconds)
        scene.particles.paint(picture, seconds)
        if words is not None:
            picture.paste(words[0], 0, words[1])
        if first is not None and number < fade:
            share = number / fade
            picture = first.blend(picture, share * share * (3 - 2 * share))
        yield picture.frame()


@frozen(eq=False)
class _Actor:
    """A character on the stage: where it goes, and its shadow."""

    looks: tuple[Cutout, ...]
    shadow: Cutout
    rate: float
    home: float
    reach: float
    ground: int
    hop: float
    phase: float

    @classmethod
    def of(cls, sprite: Sprite, scene: Scene, number: int, of: int) -> _Actor:
        """Fit a character into a scene: number `number` of `of`."""
        width, height = scene.width, scene.height
        scale = min(
            height * (0.6 if width >= height else 0.42) / sprite.height,
            width * (0.5 if of == 1 else 0.42) / sprite.width,
        )
        wide, tall = max(8, even(sprite.width * scale)), max(8, even(sprite.height * scale))
        looks = tuple(
            Cutout.of_image(image.resize((wide, tall), Image.Resampling.LANCZOS)) for image in sprite.images()
        )
        free = max(0.0, width - wide)
        home = free * ((number + 0.5) / of)
        return cls(
            looks, _shadow(wide), sprite.rate, home, free * 0.22 / of, scene.ground - tall, height * 0.014, number * 2.1
        )

    def paint(self, picture: Planes, seconds: float) -> None:
        swing = math.sin(seconds * 0.8 + self.phase - 1.2)
        lift = abs(math.sin(seconds * 3.2 + self.phase)) * self.hop
        x = round(self.home + self.reach * swing)
        step = int(seconds * self.rate)
        around = 2 * len(self.looks) - 2  # there and back again: the motion has no jump in it
        place = step % around if around > 0 else 0
        look = self.looks[min(place, around - place) if around > 0 else 0]
        bottom = self.ground + look.mask.height
        picture.paste(self.shadow, x, bottom - self.shadow.mask.height * 2 // 3)
        picture.paste(look, x, round(self.ground - lift))


def _shadow(width: int) -> Cutout:
    tall = max(6, even(width * 0.16))
    mask = Image.new("L", (width, tall), 0)
    ImageDraw.Draw(mask).ellipse((width * 0.1, tall * 0.2, width * 0.9, tall * 0.8), fill=130)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(1.0, tall * 0.16))))
    return Cutout.of(np.full((tall, width, 3), (8, 12, 16), np.uint8), soft)
