"""Numbers of money and time, exactly: fractions, so that 2.5e-06 dollars are two and a half micro-dollars and no less."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

__all__ = ["MICROS", "dollars", "half_up", "length", "up"]

MICROS = 1_000_000
"""Micro-dollars in a dollar."""
MOST = 1_000_000
"""Dollars for one unit, or seconds, above which a number is a mistake."""
_NUMBER = re.compile(r"\+?([0-9]{1,30}(\.[0-9]{0,60})?|\.[0-9]{1,60})([eE][+-]?[0-9]{1,2})?")


def dollars(value: object, name: str) -> Fraction:
    """An amount of dollars as it is written. ValueError that names the field for what is no number of 0 or more."""
    if (number := _exact(value)) is None or number > MOST:
        raise ValueError(f"{name}: a price in dollars is wanted, a number of 0 or more; not {value!r:.40}")
    return number


def length(value: object) -> Fraction | None:
    """Seconds, written as a number or a text. None for what is no length: no money is counted by it."""
    number = _exact(value)
    return number if number is not None and number <= MOST else None


def half_up(amount: Fraction) -> int:
    """The nearest whole number; halves go up."""
    return math.floor(amount + Fraction(1, 2))


def up(amount: Fraction) -> int:
    """The next whole number, so that nothing is left out."""
    return math.ceil(amount)


def _exact(value: object) -> Fraction | None:
    # By its shortest spelling: the float 2.5e-06 is, to the last digit, another number than was written.
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, int):
        return Fraction(value) if 0 <= value <= MOST else None
    if value == 0:
        return Fraction(0)  # -0.0, too
    text = value.strip() if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    return Fraction(text) if _NUMBER.fullmatch(text) else None
