"""The picture that a video begins with: checked before anything starts, and read again by the worker."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from callsheet import BadRequestError
from callsheet_local.film.picture import Planes

__all__ = ["check_reference", "decode_data_url", "first_frame"]

_FORMATS = ("JPEG", "PNG", "WEBP")
_MOST_PIXELS = 4096 * 4096
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<more>(?:;[^,;]*)*),", re.ASCII)


def decode_data_url(url: str) -> bytes:
    """The bytes in a data URL. BadRequestError for any other kind: nothing is fetched here."""
    match = _DATA_URL.match(url[:300])
    if match is None:
        raise refusal(
            "the local provider has no network, so it can't fetch image_url: send the file itself, or a data URL"
            " (data:image/png;base64,...)",
            "no_network",
        )
    if not match["more"].endswith(";base64"):
        raise refusal(
            "image_url is a data URL without base64; it must begin with data:image/...;base64,", "bad_data_url"
        )
    try:
        return base64.b64decode("".join(url[match.end() :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise refusal(f"image_url holds no valid base64: {error}", "bad_data_url") from error


def check_reference(path: Path, size: tuple[int, int] | None) -> tuple[int, int]:
    """The size of a picture that may be a first frame. BadRequestError saying why it may not."""
    image = _read(path)
    if size is not None and image.size != size:
        raise refusal(
            f"input_reference is {image.width}x{image.height}, but the video is {size[0]}x{size[1]}: the first frame must"
            " have the video's size; resize it, or leave size out to get a video of the picture's size",
            "size_mismatch",
        )
    return image.size


def first_frame(path: Path) -> Planes:
    return Planes.of(np.asarray(_read(path)))


def _read(path: Path) -> Image.Image:
    """The picture as it is shown: turned as its EXIF data say, on black where it is transparent."""
    if path.stat().st_size == 0:
        raise refusal("input_reference is empty: 0 bytes arrived", "image_empty")
    try:
        with Image.open(path, formats=_FORMATS) as image:  # reads no more than the header
            if image.width * image.height > _MOST_PIXELS:
                raise refusal(f"input_reference has {image.width}x{image.height} pixels: too many", "image_too_big")
            turned = ImageOps.exif_transpose(image)
            if turned.mode in {"RGBA", "LA", "PA"} or "transparency" in turned.info:
                turned = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", turned.size, (0, 0, 0, 255)), turned)
            return turned.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise refusal(f"input_reference is too big a picture: {error}", "image_too_big") from error
    except UnidentifiedImageError as error:
        raise refusal("input_reference is no JPEG, PNG or WebP picture", "image_unreadable") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise refusal(f"input_reference can't be read: {error}", "image_unreadable") from error


def refusal(message: str, code: str) -> BadRequestError:
    return BadRequestError(message, param="input_reference", code=code)
