"""A character's cut-out: one or more RGBA frames of the same size, kept in one PNG, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from PIL import Image

__all__ = ["Sprite"]


@frozen(eq=False)
class Sprite:
    """`strip` holds the frames; `rate` is how many of them go by in a second."""

    strip: Image.Image
    count: int
    rate: float = 8.0

    @classmethod
    def of(cls, images: Sequence[Image.Image], rate: float = 8.0) -> Sprite:
        width, height = images[0].size
        strip = Image.new("RGBA", (width, height * len(images)))
        for number, image in enumerate(images):
            strip.paste(image, (0, number * height))
        return cls(strip, len(images), rate)

    @property
    def width(self) -> int:
        return self.strip.width

    @property
    def height(self) -> int:
        return self.strip.height // self.count

    def images(self) -> list[Image.Image]:
        size = self.height
        return [self.strip.crop((0, n * size, self.width, (n + 1) * size)) for n in range(self.count)]

    def save(self, path: Path) -> None:
        self.strip.save(path, "PNG", compress_level=4)

    @classmethod
    def load(cls, path: Path, count: int, rate: float) -> Sprite:
        with Image.open(path) as image:
            return cls(image.convert("RGBA"), count, rate)
