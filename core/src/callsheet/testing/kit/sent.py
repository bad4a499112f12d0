"""What reached the vendor, in a form in which it can be compared and searched."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple

from callsheet import CallsheetError
from callsheet.account import names_a_secret
from callsheet.testing.kit.bench import Bench, Desk
from callsheet.testing.kit.samples import sample
from callsheet.testing.multipart import parse_form
from callsheet.testing.refusals import Violation
from callsheet.testing.seen import Seen
from callsheet.testing.wire import Wire

__all__ = [
    "Outcome",
    "asked",
    "document_of",
    "idempotency_keys",
    "leaves",
    "plain",
    "requests_of",
    "spelled",
    "upstream_id",
]

_NOT_COMPARED = {"content-type", "content-length", "host", "transfer-encoding"}
"""Headers that follow from the rest, or from where the vendor is."""


class Outcome(NamedTuple):
    """What came of a call, and the requests that it led to."""

    result: Any
    error: CallsheetError | None
    seen: list[Seen]
    slept: list[float]
    wire: Wire | None
    fields: Mapping[str, Any]
    """What was asked for."""
    past: dict[str, Any]
    """What was made before: see `samples`."""


def asked(
    bench: Bench,
    operation: str,
    more: Mapping[str, Any] | None = None,
    *,
    mode: str = "sync",
    wire: Wire | None = None,
    before: Callable[[Wire], Any] | None = None,
    after: Callable[[Any], Awaitable[Any]] | None = None,
    timeout: float = 60.0,
) -> Outcome:
    """Call an operation once, with a right request and `more`.

    What it refers to is made before; then `before(wire)` may spoil something. `after(result)` looks at the result while
    the desk is still there.
    """
    wire = wire if wire is not None or bench.wire_kind is None else bench.wire()

    async def scene(desk: Desk) -> Outcome:
        fields = {**await sample(desk, operation), **(more or {})}
        start = len(wire.seen) if wire is not None else 0
        pauses: list[float] = getattr(desk.transport, "slept", [])
        pauses.clear()
        if before is not None and wire is not None:
            before(wire)
        result = error = None
        try:
            result = await desk.call(operation, timeout=timeout, **fields)
            if after is not None:
                result = await after(result)
            elif hasattr(result, "aclose"):
                await result.aclose()
        except CallsheetError as raised:
            error = raised
        seen = wire.seen[start:] if wire is not None else []
        return Outcome(result, error, seen, list(pauses), wire, fields, desk.past)

    return bench.play(scene, mode, wire)


def requests_of(bench: Bench, operation: str) -> int:
    """How many requests a right call sends: each of them may go wrong."""
    return len(asked(bench, operation).seen)


def document_of(seen: Seen) -> Any:
    """The JSON document of a request, the parts of its form, or its body."""
    if seen.content_type == "application/json" or (seen.content_type or "").endswith("+json"):
        try:
            return json.loads(seen.body)
        except ValueError:
            return seen.body
    if seen.content_type == "multipart/form-data":
        try:
            parts = parse_form(seen.headers["content-type"], seen.body)
        except Violation:
            return seen.body
        return [
            (part.name, part.filename, part.content_type, part.content if part.filename is not None else part.text)
            for part in parts
        ]
    return seen.body


def spelled(seen: Seen) -> tuple[Any, ...]:
    """A request, so that two that say the same are equal."""
    headers = sorted(
        (name, value) for name, value in seen.raw_headers if name not in _NOT_COMPARED and not names_a_secret(name)
    )
    return seen.method, seen.path, tuple(seen.query), tuple(headers), repr(document_of(seen))


def idempotency_keys(seen: list[Seen]) -> list[str]:
    """Those that requests showed, in their order."""
    return [value for one in seen for name, value in one.raw_headers if name.endswith("idempotency-key")]


def leaves(value: Any) -> Iterator[Any]:
    """All that stands in a document, however deep: texts, numbers, nulls."""
    match value:
        case dict():
            for name, inner in value.items():
                yield name
                yield from leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from leaves(inner)
        case _:
            yield value


def plain(value: Any) -> Any:
    """A result, so that two that say the same are equal. A provider without a vendor's clock goes by its own."""
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude={"created_at"})
    return getattr(value, "raw", value)


def upstream_id(desk: Desk, value: Any) -> Any:
    """The vendor's own id, where a value is a managed one."""
    if isinstance(value, str) and "_" in value:
        for kind in ("character", "video", "resp", "rtc"):
            try:
                return desk.router.ids.decode(value, kind).upstream
            except CallsheetError:
                continue
    return value
