"""JSON as it leaves: UTF-8, compact, and whatever a provider sent in it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

__all__ = ["JSONDocument", "dump"]


def dump(document: object) -> bytes:
    """A document's bytes. A lone surrogate has a spelling in JSON and none in UTF-8: it is escaped."""
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()


class JSONDocument(Response):
    """An answer that is a JSON document."""

    def __init__(self, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(dump(document), status, headers, "application/json")
