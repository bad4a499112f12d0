"""A provider's own table of prices: a JSON file beside its module, a row for each model. See docs/prices.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from callsheet.pricing.amounts import MICROS, dollars
from callsheet.pricing.price import Price, Rates
from callsheet.pricing.usage import PARTS
from callsheet.spec import Provider

__all__ = ["Row", "changes_of", "own", "price_of", "rows_of"]

Row: TypeAlias = Mapping[str, Any]
_COUNTS = ("default_seconds", "extend_seconds", "max_seconds", "max_output_tokens", "max_session_seconds")
_WORDS = ("source", "date", "note")
_KNOWN = {*PARTS, "tiers", "video", "session", "character", "charges_failed", "default_size", "changes"}
_KNOWN |= {*_COUNTS, *_WORDS}
_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")


def own(kind: type[Provider], attribute: str) -> str | None:
    """What a provider's class says of its prices by itself: who derives from another vendor's has other prices."""
    said = vars(kind).get(attribute)
    return said if isinstance(said, str) else None


def rows_of(kind: type[Provider]) -> dict[str, Row]:
    """The rows of a provider's table by the names of models. ValueError if it is not what a table is."""
    if (name := own(kind, "price_table")) is None:
        return {}
    module = sys.modules[kind.__module__]
    package = module.__spec__.parent if module.__spec__ is not None else module.__package__
    folder = resources.files(package) if package else Path(getattr(module, "__file__", None) or name).parent
    try:
        rows = json.loads((folder / name).read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ValueError(f"{name} can't be read: {error}") from error
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise ValueError(f"{name}: an object is wanted, with an object for each model")
    return rows


def changes_of(row: Row) -> list[date]:
    """The days on which a row's price becomes another."""
    return [_day(change.get("from"), "changes: from") for change in row.get("changes", ())]


def price_of(row: Row, today: date) -> Price:
    """A row's price as of today. ValueError for anything that is not understood: it might be part of the price."""
    for day, change in zip(changes_of(row), row.get("changes", ()), strict=True):
        if day <= today:
            row = {**row, **{name: value for name, value in change.items() if name != "from"}}
    if strange := sorted(set(row) - _KNOWN):
        raise ValueError(f"{strange[0]}: no such word in a row; there are {', '.join(sorted(_KNOWN))}")
    _day(row.get("date"), "date")
    words: dict[str, Any] = {name: _text(row[name], name) for name in (*_WORDS, "default_size") if name in row}
    if "source" not in words:
        raise ValueError("source: say where the price stands")
    counts: dict[str, Any] = {name: _whole(row[name], name) for name in _COUNTS if name in row}
    videos = {size: dollars(price, f"video: {size}") * MICROS for size, price in dict(row.get("video", {})).items()}
    other = videos.pop("other", None)
    if odd := [size for size in videos if not _SIZE.fullmatch(size)]:
        raise ValueError(f"video: {odd[0]!r:.40} is no size, such as 1280x720, and not 'other'")
    if not isinstance(row.get("charges_failed", False), bool):
        raise ValueError("charges_failed: true or false is wanted")  # noqa: TRY004  one error for all of a table
    return Price(
        tiers=_tiers(row),
        videos=videos,
        other_videos=other,
        per_second=dollars(row["session"], "session") * MICROS / 60 if "session" in row else None,
        character=dollars(row["character"], "character") * MICROS if "character" in row else None,
        charges_failed=row.get("charges_failed", False),
        **counts,
        **words,
    )


def _tiers(row: Row) -> tuple[Rates, ...]:
    base = _rates(row)
    higher = []
    for tier in row.get("tiers", ()):
        if strange := sorted(set(tier) - {*PARTS, "above"}):
            raise ValueError(f"tiers: {strange[0]}: no such word in a tier")
        higher.append(Rates.of(_rates(tier), _whole(tier.get("above"), "tiers: above")))
    if higher and not base:
        raise ValueError("tiers: the row itself has no price for tokens")
    return (Rates.of(base), *sorted(higher, key=lambda rates: rates.above)) if base else ()


def _rates(said: Row) -> dict[str, Fraction]:
    # Dollars for a million tokens are micro-dollars for one.
    return {kind: dollars(said[kind], kind) for kind in PARTS if kind in said}


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: a whole number of 1 or more is wanted, not {value!r:.40}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: a text is wanted, not {value!r:.40}")
    return value


def _day(value: object, name: str) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError(f"{name}: a day is wanted as YYYY-MM-DD, not {value!r:.40}")
    return date.fromisoformat(value)
