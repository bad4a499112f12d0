"""Lists that come a page at a time."""

from __future__ import annotations

from typing import Any

from callsheet.testing.checks import integer, one_of
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.seen import Seen

__all__ = ["page", "whole_number"]


def whole_number(text: str, name: str, low: int, high: int | None = None) -> int:
    """A query parameter that is a number."""
    if not text.isascii() or not text.isdigit():
        raise Violation(f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type")
    integer(low, high)(int(text), name)
    return int(text)


def page(seen: Seen, items: list[dict[str, Any]], *, high: int, low: int) -> dict[str, Any]:
    """The page that the query asks for; `items` are in the order in which they were made."""
    asked = dict(seen.query)
    limit = whole_number(asked.get("limit", "20"), "limit", low, high)
    order = asked.get("order", "desc")
    one_of("asc", "desc")(order, "order")
    ordered = items if order == "asc" else items[::-1]
    if (after := asked.get("after")) is not None:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise Refusal(f"There is no item with the id '{after}'.", 404, param="after", code="not_found")
        ordered = ordered[ids.index(after) + 1 :]
    shown = ordered[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(ordered) > len(shown),
    }
