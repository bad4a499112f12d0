"""A contact sheet: frames of several videos on one picture, a row each, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Row", "draw", "frames_of"]

WIDTH, HEIGHT, COLUMNS = 448, 252, 4
MARGIN, GAP, RADIUS = 48, 16, 10
PAPER, INK, FAINT, ACCENT = "#15171c", "#f2f0ea", "#9a9da6", "#f2b84b"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@frozen
class Row:
    """A video on the sheet: the file, its title, and the words below it."""

    path: Path
    title: str
    words: str


def draw(rows: Sequence[Row], title: str, footer: str, target: Path) -> Path:
    """Draw the sheet into a PNG file, which appears when it is whole."""
    big, middle, small = (ImageFont.load_default(size=size) for size in (44, 24, 19))
    pictures = [frames_of(row.path) for row in rows]
    top = MARGIN + 76
    step = 68 + HEIGHT + 30
    sheet = Image.new(
        "RGB", (2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP, top + step * len(rows) + 16 + MARGIN), PAPER
    )
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 8), title, INK, big)
    for number, (row, frames) in enumerate(zip(rows, pictures, strict=True)):
        y = top + number * step
        pen.rectangle((MARGIN, y + 5, MARGIN + 4, y + 49), ACCENT)
        pen.text((MARGIN + 18, y), row.title, INK, middle)
        room = sheet.width - 2 * MARGIN - 18
        pen.text((MARGIN + 18, y + 30), _fitted(pen, row.words, small, room), FAINT, small)
        for column, (seconds, frame) in enumerate(frames):
            x = MARGIN + column * (WIDTH + GAP)
            _paste(sheet, frame, x, y + 68)
            _stamp(pen, f"{seconds:.1f} s", small, x + WIDTH - 10, y + 78)
    pen.text((MARGIN, sheet.height - MARGIN - 6), footer, FAINT, small)
    part = target.with_name(f".{target.name}.part")
    sheet.save(part, "PNG")
    part.replace(target)
    return target


def frames_of(path: Path, count: int = COLUMNS) -> list[tuple[float, Image.Image]]:
    """Frames from the middles of `count` equal parts of a video, with the second at which each is seen."""
    found = []
    with av.open(path) as film:
        total = film.streams.video[0].frames
        wanted = {int((part + 0.5) * total / count) for part in range(count)}
        for number, frame in enumerate(film.decode(video=0)):
            if number in wanted:
                picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                found.append((frame.time or 0.0, picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)))
    return found


def _paste(sheet: Image.Image, frame: Image.Image, x: int, y: int) -> None:
    """Put a frame on the sheet, with round corners that are smooth because they are drawn four times too large."""
    mask = Image.new("L", (4 * WIDTH, 4 * HEIGHT), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * WIDTH - 1, 4 * HEIGHT - 1), 4 * RADIUS, 255)
    sheet.paste(frame, (x, y), mask.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _stamp(pen: ImageDraw.ImageDraw, words: str, font: Font, right: int, top: int) -> None:
    """A small label whose upper right corner is here: videos have their captions below."""
    width = int(pen.textlength(words, font))
    pen.rounded_rectangle((right - width - 16, top, right, top + 28), 6, "#000000")
    pen.text((right - width - 8, top + 3), words, INK, font)


def _fitted(pen: ImageDraw.ImageDraw, words: str, font: Font, room: float) -> str:
    """The words, cut to fit into one line."""
    if pen.textlength(words, font) <= room:
        return words
    while words and pen.textlength(words + " ...", font) > room:
        words = words.rpartition(" ")[0]
    return words + " ..."
