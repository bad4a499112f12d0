"""JSON texts and documents: what a float can't hold stays exact, so that what is read can be sent back."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

__all__ = ["decode", "encode", "number"]

MAX_DIGITS = 4300
"""As long as Python lets an integer in text be."""


def number(text: str) -> float | int:
    """A number with a fraction or an exponent. One that is too big for a float is a whole number, and read as such.

    Raises ValueError when it has more than 4,300 digits.
    """
    value = float(text)
    if not math.isinf(value):
        return value
    try:
        exact = Decimal(text)
    except ArithmeticError:  # an exponent that even Decimal can't hold
        exact = Decimal("Infinity")
    if exact.is_infinite() or exact.adjusted() >= MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS:,} digits")
    return int(exact)


_DECODER = json.JSONDecoder(parse_float=number)


def decode(text: str | bytes) -> Any:
    """The document in a JSON text. Raises ValueError when it is none, RecursionError when it is too deep."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    return _DECODER.decode(text)


_COMPACT: dict[str, Any] = {"separators": (",", ":")}
_ENCODERS = {allow: json.JSONEncoder(ensure_ascii=False, allow_nan=allow, **_COMPACT) for allow in (True, False)}
"""Made once: to make one takes as long as to write a small document."""


def encode(document: object, allow_nan: bool = True) -> bytes:
    """A document as a JSON text in UTF-8, as compact as can be. TypeError or ValueError for what can't be one."""
    text = _ENCODERS[allow_nan].encode(document)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate has a spelling in JSON, none in UTF-8
        return json.dumps(document, allow_nan=allow_nan, **_COMPACT).encode()
