"""Pictures out of a finished video: one as a thumbnail, 25 as a spritesheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from PIL import Image

__all__ = ["CONTENT_TYPE", "SUFFIX", "make"]

SUFFIX = {"thumbnail": ".webp", "spritesheet": ".jpg"}
CONTENT_TYPE = {"thumbnail": "image/webp", "spritesheet": "image/jpeg"}
_THUMBNAIL, _TILE, _TILES = 640, 256, 5


def make(variant: str, video: Path, path: Path) -> None:
    """Write a video's thumbnail or spritesheet."""
    with av.open(str(video), format="mp4") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if variant == "thumbnail":
            _thumbnail(container, stream).save(path, "WEBP", quality=82)
        else:
            _spritesheet(container, stream).save(path, "JPEG", quality=84)


def _thumbnail(container: Any, stream: Any) -> Image.Image:
    """The picture in the middle."""
    middle = stream.duration // 2
    container.seek(middle, stream=stream)
    image = None
    for frame in container.decode(stream):
        image = frame
        if frame.pts >= middle:
            break
    if image is None:
        raise ValueError("the video has no frames")
    still: Image.Image = image.to_image()
    still.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return still


def _spritesheet(container: Any, stream: Any) -> Image.Image:
    """Five rows of five pictures, evenly spread, from left to right and from top to bottom."""
    count = _TILES * _TILES
    scale = _TILE / max(stream.width, stream.height)
    wide, tall = max(2, round(stream.width * scale)), max(2, round(stream.height * scale))
    sheet = Image.new("RGB", (_TILES * wide, _TILES * tall))
    total, done = max(stream.frames, 1), 0
    for number, frame in enumerate(container.decode(stream)):
        tile = None
        while done < count and number >= done * total // count:
            tile = tile or frame.reformat(width=wide, height=tall, format="rgb24").to_image()
            sheet.paste(tile, (done % _TILES * wide, done // _TILES * tall))
            done += 1
    return sheet
