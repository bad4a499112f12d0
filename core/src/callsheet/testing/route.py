"""A route of a vendor's wire: which request it is for, and who answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote

from attrs import define, evolve, field

from callsheet.testing.answers import Answer

__all__ = ["FORM", "JSON", "SDP", "Route", "find_route", "route", "routes_of"]

JSON, FORM, SDP = "application/json", "multipart/form-data", "application/sdp"
Handler = TypeVar("Handler", bound=Callable[..., Answer])
_PLACE = re.compile(r"\{([a-z_]+)(:path)?\}")


@define(frozen=True, slots=False)
class Route:
    """One operation of a vendor's.

    `template` is the path below the wire's prefix; `{id}` in it stands for a segment or a part of one, `{id:path}` for
    several. `handler(wire, seen, *ids)` makes the answer. `takes` are the content types of the body, `query` the query
    parameters. `public`: no key may be shown here (a signed address, say).
    """

    method: str
    template: str
    handler: Callable[..., Answer] = field(repr=False)
    takes: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    body_needed: bool = field(default=False, kw_only=True)
    takes_ephemeral: bool = field(default=False, kw_only=True)
    public: bool = field(default=False, kw_only=True)

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pieces = _PLACE.split(self.template)  # text, name, ":path" or None, text, ...
        pattern = re.escape(pieces[0])
        for several, text in zip(pieces[2::3], pieces[3::3], strict=True):
            pattern += ("(.+)" if several else "([^/]+)") + re.escape(text)
        return re.compile(pattern)

    @property
    def places(self) -> int:
        """How many ids there are in its path: the fewer, the more exactly it fits."""
        return len(_PLACE.findall(self.template))

    def match(self, path: str) -> list[str] | None:
        """The ids in a path, or None if the path is not this route's."""
        found = self._pattern.fullmatch(path)
        return None if found is None else [unquote(id) for id in found.groups()]


def route(
    method: str, template: str, *, takes: str | tuple[str, ...] = (), query: tuple[str, ...] = (), public: bool = False
) -> Callable[[Handler], Handler]:
    """Make a method of a `Wire` answer a route: `@route("POST", "/jobs", takes=JSON)`. See `Route`."""
    kinds = (takes,) if isinstance(takes, str) else takes

    def mark(handler: Handler) -> Handler:
        made = Route(method, template, handler, kinds, query, body_needed=bool(kinds), public=public)
        handler.callsheet_route = made  # type: ignore[attr-defined]  # a function may carry what it is for
        return handler

    return mark


def routes_of(kind: type[Any]) -> tuple[Route, ...]:
    """The routes that a class has methods for, its bases' included. A method that is overridden keeps its route."""
    marked = {
        name: member.callsheet_route
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if hasattr(member, "callsheet_route")
    }
    return tuple(evolve(made, handler=getattr(kind, name)) for name, made in marked.items())


def find_route(routes: Iterable[Route], prefix: str, method: str, path: str) -> tuple[Route | None, list[str]]:
    """The route of a request and the ids in its path. A path is taken as it is: no slash more or less."""
    if path.startswith(prefix + "/"):
        for one in sorted(routes, key=lambda one: one.places):
            if one.method == method and (ids := one.match(path.removeprefix(prefix))) is not None:
                return one, ids
    return None, []
