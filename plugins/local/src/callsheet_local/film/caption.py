"""The prompt as a caption, in the font that comes with Pillow: no font of the system is needed.

That font has hardly more than ASCII: accents are left out, and so are CJK characters and emoji. A prompt of nothing
else has no caption.
"""

from __future__ import annotations

import functools
import unicodedata

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from callsheet_local.film.picture import Cutout, even

__all__ = ["caption", "drawable"]

_LINES = 2
_LONGEST = 400
"""Characters of a prompt that are looked at: far more than fit."""


@functools.lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


@functools.lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    font = _font(20)
    drawn, missing = (bytes(font.getmask(text)) for text in (character, "\uffff"))
    return drawn != missing


def drawable(text: str) -> str:
    """The text on one line, without what the font has no glyphs for."""
    text = unicodedata.normalize("NFC", " ".join(text[:_LONGEST].split()))
    kept = "".join(c if c == " " or _has_glyph(c) else _plainer(c) for c in text if c == " " or c.isprintable())
    return " ".join(kept.split())


def _plainer(character: str) -> str:
    """The character without its accents, where the font has that."""
    parts = (
        unicodedata.normalize("NFKD", character).replace("\u2019", "'").replace("\u2014", "-").replace("\u2013", "-")
    )
    return "".join(part for part in parts if _has_glyph(part))


def caption(text: str, width: int, height: int) -> tuple[Cutout, int] | None:
    """The caption and the row where it begins, or None when there is nothing that can be drawn."""
    text = drawable(text)
    size = max(9, min(width, height) // 26)
    font = _font(size)
    if not text or height < 4 * size:
        return None
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    lines = _wrapped(draw, text, font, width * 0.88)
    step = int(size * 1.32)
    tall = even(step * len(lines) + size * 1.1)
    words = Image.new("L", (width, tall), 0)
    draw = ImageDraw.Draw(words)
    for number, line in enumerate(lines):
        left = (width - draw.textlength(line, font=font)) / 2
        draw.text((left, size * 0.45 + number * step), line, font=font, fill=255)
    shade = Image.linear_gradient("L").resize((width, tall)).point(lambda value: min(150, value))
    halo = words.filter(ImageFilter.GaussianBlur(max(1, size / 9))).point(lambda value: min(170, value * 2))
    alpha = Image.composite(words, _lighter(shade, halo), words)
    picture = Image.merge("RGB", (words, words, words))
    picture.putalpha(alpha)
    return Cutout.of_image(picture), even(height - tall)


def _lighter(a: Image.Image, b: Image.Image) -> Image.Image:
    from PIL import ImageChops

    return ImageChops.lighter(a, b)


def _wrapped(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> list[str]:
    """Lines that fit, at most two; what does not fit ends in dots."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            if len(lines) == _LINES:
                return [*lines[:-1], _cut(draw, f"{lines[-1]} {word}", font, width)]
            lines.append("")
        lines[-1] = word
        if draw.textlength(word, font=font) > width:  # one word that is wider than the picture
            return [*lines[:-1], _cut(draw, word, font, width)]
    return lines


def _cut(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    while text and draw.textlength(text + "...", font=font) > width:
        text = text[:-1]
    return text.rstrip() + "..."
