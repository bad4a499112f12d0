"""JSON as it comes in, which is a stranger's, and as it leaves: UTF-8, compact, and whatever a provider sent in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from callsheet.jsontext import encode

__all__ = ["JSONDocument", "parse"]

_DEEPEST = 64


def parse(content: bytes | str) -> Any:
    """Decode JSON. ValueError, in words, for what is none, is nested too deep, or holds a number that nobody can write."""
    try:
        if isinstance(content, bytes):
            content = content.decode(json.detect_encoding(content), "surrogatepass")
        document = _DECODER.decode(content)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"is not JSON: it is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except _NoNumber as error:
        raise ValueError(str(error)) from None
    except ValueError:
        raise ValueError("has a number of too many digits") from None
    if _depth(document) > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    return document


_TOO_DEEP = f"is nested too deep: at most {_DEEPEST} levels are allowed"


class _NoNumber(ValueError):
    """A number that JSON can't hold."""


def _no_number(name: str) -> float:
    raise _NoNumber(f"holds {name}, which is no JSON")


def _float(text: str) -> float:
    if math.isinf(number := float(text)):
        raise _NoNumber(f"holds the number {text:.20}, which is too big")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_float)


def _depth(document: Any) -> int:
    """How many lists and objects are around the innermost value."""
    depth, level = 0, [document]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


class JSONDocument(Response):
    """An answer that is a JSON document."""

    def __init__(self, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(_written(document), status, headers, "application/json")


def _written(document: object) -> bytes:
    """As `encode` has it, in a quarter of the time where the document is an ordinary one."""
    try:
        return to_json(document, inf_nan_mode="constants")
    except (ValueError, RecursionError):  # for half a character, say
        return encode(document)
