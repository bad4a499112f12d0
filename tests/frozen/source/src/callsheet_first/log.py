"""A wrap: it counts the calls, and changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from callsheet import Call, Stream

seen: list[tuple[str, str, str]] = []


async def log(call: Call, result: Awaitable[Any]) -> Any:
    assert call.account
    assert call.request is not None
    try:
        value = await result
    except Exception as error:
        seen.append((call.provider, call.operation, type(error).__name__))
        raise
    seen.append((call.provider, call.operation, type(value).__name__))
    if isinstance(value, Stream):
        value.tap(on_event=lambda event: seen.append((call.provider, call.operation, event.type)))
    return value
