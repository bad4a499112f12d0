"""Money and lengths of time as people write them: dollars become whole micro-dollars, 30d becomes seconds. No floats."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

__all__ = ["DURATION", "Amount", "dollars_text", "duration_text", "micros_of", "seconds_of"]

Amount = int | Callable[[], int | None] | None
"""Micro-dollars, or what tells them where somebody has to know; None: nobody does."""
_DOLLARS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?")
DURATION = r"([1-9][0-9]{0,8})([smhdw])"
"""A length of time, such as 30d, as a pattern for the whole text."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def micros_of(value: object) -> int:
    """Micro-dollars of dollars: a text or a number, such as "12.5". ValueError for what is none, or has a smaller part."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if isinstance(value, float):  # as it was written: the shortest spelling that reads back as this float
        text = f"{Decimal(repr(value)):f}".removesuffix(".0")
    if (match := _DOLLARS.fullmatch(text.strip())) is None:
        raise ValueError(f"dollars are wanted, such as 25 or 12.50, with 6 decimals at most; not {value!r:.40}")
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def dollars_text(micros: int) -> str:
    """Micro-dollars in dollars, with all six decimals: every amount has the same number of them, and none is rounded."""
    sign, micros = ("-" if micros < 0 else ""), abs(micros)
    return f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06}"


def seconds_of(text: str) -> int:
    """The seconds of a length of time, such as 90s, 15m, 12h, 30d or 2w. ValueError for what is none."""
    if (match := re.fullmatch(DURATION, text)) is None:
        raise ValueError(f"{text!r:.40} is no duration: write 90s, 15m, 12h, 30d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def duration_text(seconds: int) -> str:
    """Seconds as people write them: in the largest unit that goes into them, days at most."""
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
