"""One request as it arrived, decoded as far as it could be."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from callsheet.testing.refusals import Violation

__all__ = ["Part", "Seen", "strict_json"]


@frozen
class Part:
    """One part of a multipart form. `filename` is None for a plain field."""

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


@define(eq=False)
class Seen:
    """A request. Header names are lower case; a header that came twice is joined by a comma.

    `document` is the decoded JSON body, `form` the parts of a multipart one; both are None where the body is neither, or
    could not be read.
    """

    number: int
    method: str
    path: str
    query: Sequence[tuple[str, str]]
    raw_headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    scheme: str = "http"
    at: float = field(factory=time.monotonic, init=False, repr=False)
    """When it had arrived, as time.monotonic() reads."""
    document: Any = field(default=None, init=False, repr=False)
    form: list[Part] | None = field(default=None, init=False, repr=False)
    route: str | None = field(default=None, init=False)
    """The route that it was for, such as "GET /videos/{video_id}"."""
    key: str | None = field(default=None, init=False, repr=False)
    """The credential that it showed."""

    @property
    def headers(self) -> dict[str, str]:
        joined: dict[str, str] = {}
        for name, value in self.raw_headers:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    def all(self, name: str) -> list[str]:
        """Each value that a header came with."""
        return [value for key, value in self.raw_headers if key == name]

    @property
    def content_type(self) -> str | None:
        """The media type, without its parameters."""
        value = self.headers.get("content-type")
        return None if value is None else value.partition(";")[0].strip().lower()

    def part(self, name: str) -> Part:
        """The part of that name. Violation if there is none."""
        for part in self.form or []:
            if part.name == name:
                return part
        raise Violation(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def strict_json(content: bytes, param: str | None = None) -> Any:
    """Decode a JSON text as RFC 8259 has it: UTF-8 without a byte-order mark, no NaN, no name twice."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in items}) != len(items):
            raise ValueError("a name occurs twice in one object")
        return dict(items)

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Violation(
            f"We could not parse the JSON body of your request. ({error})", param=param, code="invalid_json"
        ) from None
