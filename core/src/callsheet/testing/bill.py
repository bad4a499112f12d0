"""What the fake vendor would bill: its own little price list, which knows nothing of anybody's tables.

A model's dated snapshots cost what the model does. What is not listed has a price, too: a vendor knows all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["of_tokens", "of_video"]

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_USUAL = ("1280x720", "720x1280")
_FILMS: Mapping[str, tuple[int, int]] = {"sora-2": (100_000, 100_000), "sora-2-pro": (300_000, 500_000)}
"""Micro-dollars for a second, of a usual size and of a larger one."""
_TEXTS: Mapping[str, tuple[int, int]] = {"gpt-5.4": (250, 1500), "gpt-5.4-mini": (75, 450), "gpt-5": (125, 1000)}
"""Hundredths of a micro-dollar for a token that is read, and for one that is written."""
_OTHER_FILM, _OTHER_TEXT = (100_000, 100_000), (100, 400)


def of_video(model: str | None, seconds: int, size: str) -> int:
    """What so many seconds of a video cost, in micro-dollars."""
    usual, large = _FILMS.get(_DATE.sub("", model or ""), _OTHER_FILM)
    return seconds * (usual if size in _USUAL else large)


def of_tokens(model: str | None, read: int, written: int) -> int:
    """What tokens cost, to the nearest micro-dollar."""
    per_read, per_written = _TEXTS.get(_DATE.sub("", model or ""), _OTHER_TEXT)
    return (per_read * read + per_written * written + 50) // 100
