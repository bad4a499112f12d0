"""Files that come in and files that go out."""

from __future__ import annotations

import hashlib
from typing import Any

from callsheet.testing.checks import Rule, object_of, text
from callsheet.testing.refusals import Violation
from callsheet.testing.seen import Part

__all__ = ["IMAGES", "VARIANTS", "VIDEOS", "bytes_of", "image", "media_file"]

IMAGES = ("image/jpeg", "image/png", "image/webp")
VIDEOS = ("video/mp4",)
VARIANTS = {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/jpeg"}


def media_file(*types: str) -> Rule:
    def rule(value: Any, name: str) -> None:
        if not isinstance(value, Part):
            raise Violation(f"Expected entry at '{name}' to be a file.", param=name, code="invalid_type")
        if value.content_type not in types:
            raise Violation(
                f"Invalid file '{name}': unsupported mimetype ({value.content_type}). Supported are {', '.join(types)}.",
                param=name,
                code="unsupported_file_mimetype",
            )
        if not value.content:
            raise Violation(f"Invalid file '{name}': it is empty.", param=name, code="empty_file")

    return rule


def image(value: Any, name: str) -> None:
    if isinstance(value, Part):
        return media_file(*IMAGES)(value, name)
    object_of({"image_url": text(1, 20_971_520), "file_id": text(1)})(value, name)
    if len(value) != 1:
        raise Violation(f"Provide exactly one of '{name}.image_url' and '{name}.file_id'.", param=name)
    return None


def bytes_of(video_id: str, variant: str, length: int) -> bytes:
    """What stands for a file: it begins like one of its kind, and is different for every video."""
    starts = {"video": b"\0\0\0\x18ftypmp42", "thumbnail": b"RIFF\0\0\0\0WEBPVP8 ", "spritesheet": b"\xff\xd8\xff\xe0"}
    seed = hashlib.sha256(f"{video_id}/{variant}".encode()).digest()
    return (starts[variant] + seed * (length // len(seed) + 1))[:length]
