"""Events as they go over the data channel: reading the peer's, making ours."""

from __future__ import annotations

import json
from math import isinf
from typing import Any

from callsheet_local.realtime.sessions import is_deep
from callsheet_local.studio import new_id

__all__ = ["Refused", "error_event", "parse", "server_event"]

MOST_BYTES = 256 * 1024


class Refused(Exception):
    """An event of the peer's can't be done. It is told so by an `error` event, and the session goes on."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param


def server_event(type: str, **fields: Any) -> dict[str, Any]:
    """An event of ours, with an id."""
    return {"type": type, "event_id": new_id("event"), **fields}


def error_event(refused: Refused, event_id: object) -> dict[str, Any]:
    """What the peer is told. `event_id` is that of the event which can't be done."""
    details = {
        "type": "invalid_request_error",
        "code": refused.code,
        "message": str(refused),
        "param": refused.param,
        "event_id": event_id if isinstance(event_id, str) else None,
    }
    return server_event("error", error=details)


def parse(message: str | bytes) -> dict[str, Any]:
    """The event in a message: a JSON object with a `type`."""
    size = len(message if isinstance(message, bytes) else message.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise Refused("message_too_big", f"the event has {size:,} bytes; at most {MOST_BYTES:,} are taken")
    try:
        event = json.loads(message, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Refused("invalid_json", "the event is not JSON: send one JSON object in each message") from None
    if not isinstance(event, dict):
        raise Refused("invalid_event", "the event is not a JSON object")
    if is_deep(event):
        raise Refused("invalid_event", "the event is nested too deep")
    if not isinstance(event.get("type"), str):
        raise Refused("invalid_event", "the event has no type: name one, such as 'response.create'", "type")
    return event


def _finite(digits: str) -> float:
    """A number such as 1e999 is JSON, but would be told back as Infinity, which is not."""
    number = float(digits)
    if isinf(number):
        raise Refused("invalid_value", f"{digits:.40} is too big a number")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
