"""What all parts of the codec share: receipts, and queries."""

from __future__ import annotations

from typing import Any

from callsheet import Reply

__all__ = ["receipt", "several"]


def receipt(reply: Reply, id: str, kind: str) -> dict[str, Any]:
    """What is answered to a deletion. Some servers answer with nothing at all: then the status is all there is to say."""
    return reply.document() if reply.content.strip() else {"id": id, "object": kind, "deleted": True}


def several(name: str, values: list[str] | None) -> dict[str, object]:
    """A query parameter that has several values, spelled as OpenAI's SDK does."""
    return {f"{name}[]": values} if values else {}
