"""Pictures inside a document: `{"bytesBase64Encoded": ..., "mimeType": ...}`. Veo fetches none by address."""

from __future__ import annotations

import base64
import binascii
import re

from callsheet import IO, BadRequestError, ImageRef, Upload

__all__ = ["first_frame", "inline"]

MOST_BYTES = 15_000_000
"""About 20 MB in base64, which is what Google's servers take of a picture."""
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<more>(?:;[^,;]*)*),", re.ASCII | re.IGNORECASE)
_BEGINNINGS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


def inline(content: bytes, media_type: str = "image/jpeg") -> dict[str, str]:
    """A picture, as it stands in a document."""
    return {"bytesBase64Encoded": base64.b64encode(content).decode(), "mimeType": media_type}


async def first_frame(reference: Upload | ImageRef, io: IO) -> dict[str, str]:
    """The picture that a video begins with. BadRequestError (param "input_reference") for what can't be sent."""
    if isinstance(reference, Upload):
        content, said = await _read(reference, io), reference.content_type
    else:
        content, said = _decode(reference)
    kind = _kind(content) or said
    if not kind.startswith("image/"):
        raise _refusal(f"input_reference is no picture but {kind}; send a JPEG, PNG or WebP", "unsupported_file_type")
    return inline(content, kind)


async def _read(file: Upload, io: IO) -> bytes:
    content = await file.read(io.run, MOST_BYTES, "input_reference")
    if not content:
        raise _refusal("input_reference is empty: 0 bytes arrived", "empty_file")
    return content


def _decode(reference: ImageRef) -> tuple[bytes, str]:
    url = reference.image_url
    match = _DATA_URL.match(url[:300]) if url else None
    if url is None or match is None:
        what = "a file_id is OpenAI's, and unknown here" if url is None else "Veo fetches no pictures from addresses"
        raise _refusal(f"{what}: send the file itself, or a data URL (data:image/png;base64,...)", "unsupported_image")
    if not match["more"].lower().endswith(";base64"):
        raise _refusal("image_url is a data URL without base64; it must begin data:image/...;base64,", "bad_data_url")
    try:
        content = base64.b64decode("".join(url[match.end() :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refusal(f"image_url holds no valid base64: {error}", "bad_data_url") from None
    if not content:
        raise _refusal("image_url holds no bytes", "empty_file")
    if len(content) > MOST_BYTES:
        raise _too_big()
    return content, match["type"] or "text/plain"


def _kind(content: bytes) -> str | None:
    """What a picture's first bytes say: names, and what they stand for, are often wrong."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _BEGINNINGS.items() if content.startswith(start)), None)


def _too_big() -> BadRequestError:
    return _refusal(f"input_reference has more than {MOST_BYTES:,} bytes; make it smaller", "file_too_large")


def _refusal(message: str, code: str) -> BadRequestError:
    return BadRequestError(message, param="input_reference", code=code)
