"""What every request must be like, before anybody looks at what it asks for."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from callsheet.testing.multipart import parse_form
from callsheet.testing.refusals import Violation
from callsheet.testing.route import FORM, JSON
from callsheet.testing.seen import Part, Seen, strict_json

if TYPE_CHECKING:
    from callsheet.testing.route import Route

__all__ = ["check_headers", "check_query", "fields_of", "read_body"]

MAX_HEADERS = 64 * 1024
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"([!-~\x80-\xff]([ -~\t\x80-\xff]*[!-~\x80-\xff])?)?")
_ONCE = ("host", "content-type", "content-length", "transfer-encoding", "authorization", "range", "if-range")


def check_headers(seen: Seen) -> None:
    """The headers as such, and what they must not say."""
    if sum(len(name) + len(value) + 4 for name, value in seen.raw_headers) >= MAX_HEADERS:
        raise Violation("The request's headers are too large.", 431)
    for name, value in seen.raw_headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Violation(f"The header {name!r} is malformed.")
    for name in _ONCE:
        if len(seen.all(name)) > 1:
            raise Violation(f"The header {name!r} came twice.")
    headers = seen.headers
    if "host" not in headers:
        raise Violation("The request names no host.")
    if "openai-beta" in headers:
        raise Violation("The beta is over.", code="beta_api_shape_disabled")
    client_id = headers.get("x-client-request-id", "")
    if len(client_id) > 512 or not client_id.isascii():
        raise Violation("X-Client-Request-Id must be ASCII, of at most 512 characters.")
    if ("content-length" in headers) == ("transfer-encoding" in headers) and seen.body:
        raise Violation("A body has either a length or chunks.")
    length = headers.get("content-length", str(len(seen.body)))
    if length != str(len(seen.body)):
        raise Violation(f"The body has {len(seen.body)} bytes, and {length} were announced.")
    if headers.get("transfer-encoding", "chunked") != "chunked":
        raise Violation("No other transfer encoding than chunked is known.")
    if "content-encoding" in headers:
        raise Violation("Bodies must not be compressed.", 415)


def check_query(seen: Seen, allowed: Collection[str]) -> None:
    """The parameters of the query: known ones, and each once unless it is a list."""
    names = [name for name, _ in seen.query]
    for name in names:
        if name not in allowed:
            raise Violation(f"Unknown query parameter: '{name}'.", param=name, code="unknown_parameter")
        if names.count(name) > 1 and not name.startswith("include"):
            raise Violation(f"Duplicate query parameter: '{name}'.", param=name, code="duplicate_parameter")


def read_body(seen: Seen, route: Route) -> None:
    """Decode the body as its content type says. Violation (415) for a type that the route does not take."""
    kind = seen.content_type
    if not seen.body:
        if route.body_needed:
            raise Violation("The request has no body.")
        if seen.method in {"GET", "HEAD"} and (kind or "transfer-encoding" in seen.headers):
            raise Violation(f"A {seen.method} carries no body, and nothing that describes one.")
        return
    if not route.takes:
        raise Violation("This request carries no body.")
    if kind not in route.takes:
        raise Violation(f"Unsupported media type: {kind}; expected {' or '.join(route.takes)}.", 415)
    if kind == FORM:
        seen.form = parse_form(seen.headers["content-type"], seen.body)
    elif kind == JSON:
        seen.document = strict_json(seen.body)


def fields_of(seen: Seen, *objects: str) -> dict[str, Any]:
    """The fields of a JSON body or a form, in one shape: files are `Part`s, everything else as in JSON.

    In a form, a field among `objects` may be spelled `name[key]`, `name[][key]` or as a JSON text.
    """
    if seen.form is None:
        if not isinstance(seen.document, dict):
            raise Violation("The body must be a JSON object.", code="invalid_type")
        return dict(seen.document)
    fields: dict[str, Any] = {}
    for part in seen.form:
        name, keys = _path(part.name)
        if keys and name in objects:
            _put(fields, name, keys, part)
            continue
        if part.name in fields:
            raise Violation(f"Duplicate parameter: '{part.name}'.", param=part.name, code="duplicate_parameter")
        if part.filename is None and name in objects and part.content[:1] in {b"{", b"["}:
            fields[name] = strict_json(part.content, name)
        else:
            fields[part.name] = part if part.filename is not None else part.text
    return fields


def _path(name: str) -> tuple[str, list[str]]:
    base, bracket, rest = name.partition("[")
    if not bracket or not rest.endswith("]"):
        return name, []
    return base, rest[:-1].split("][")


def _put(fields: dict[str, Any], name: str, keys: list[str], part: Part) -> None:
    """`name[key]` into an object; `name[][key]` into a new object of a list."""
    match keys:
        case [key] if key:
            target = fields.setdefault(name, {})
        case ["", key] if key:
            target = {}
            fields.setdefault(name, []).append(target)
        case _:
            raise Violation(f"Unknown parameter: '{part.name}'.", param=part.name, code="unknown_parameter")
    if not isinstance(target, dict) or key in target:
        raise Violation(f"Duplicate parameter: '{part.name}'.", param=part.name, code="duplicate_parameter")
    target[key] = part.text
