"""Values for a JSON schema: from the user's text where they fit, else the schema's own, else the plainest that is valid."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from attrs import define

from callsheet_local.scribe.budget import Exhausted
from callsheet_local.scribe.pool import Pool
from callsheet_local.scribe.schema import (
    Book,
    bound,
    exact,
    fits,
    is_number,
    mapping,
    own_values,
    resolved,
    sequence,
    types_of,
)
from callsheet_local.scribe.talk import words

__all__ = ["fill"]

_MOST_NODES = 1000
_MOST_DEPTH = 24
_MOST_LENGTH = 20_000
_ABSENT: Final = object()
_WHOLE_TEXT = words(
    """
    query q prompt text question message input content search_query search request topic title description task
    subject instructions answer
    """
)
_EXAMPLES = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def fill(schema: Any, pool: Pool) -> Any:
    """A value that fits a schema, made of what the pool has. Exhausted if there is none that we can find.

    The work that goes into it comes out of the pool's budget.
    """
    book = Book(schema, pool.budget)
    value = _Filler(book, pool).value(schema, "", wanted=True, depth=0)
    if not fits(value, schema, book):
        raise Exhausted("no value was found that fits the schema")
    return value


@define
class _Filler:
    root: Book
    pool: Pool
    nodes: int = 0

    def value(self, schema: Any, name: str, wanted: bool, depth: int) -> Any:
        """A value for one place; _ABSENT where none is wanted and the text has none."""
        self.nodes += 1
        if self.nodes > _MOST_NODES or depth > _MOST_DEPTH:
            raise Exhausted("a schema that is too large, or too deep")
        schema = resolved(schema, self.root)
        if "const" in schema:
            return self._own([schema["const"]], schema) if wanted else _ABSENT
        if isinstance(choices := schema.get("enum"), list):
            choices = choices[:_MOST_NODES]
            mentioned = [choice for choice in choices if isinstance(choice, str) and self.pool.mentions(choice)]
            numbered = self.pool.number_named(name) if name and any(_is_int(one) for one in choices) else None
            found = [choice for choice in choices if numbered is not None and choice == numbered]
            ready = next((choice for choice in [*found, *mentioned] if self._fits(choice, schema)), _ABSENT)
            if ready is not _ABSENT:
                return ready
            return self._own(own_values(schema)[:_MOST_NODES], schema) if wanted else _ABSENT
        for union in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(union), list):
                return self._branch(schema, union, branches, name, wanted, depth)
        kinds = types_of(schema)
        for kind in kinds:
            if (found := self._found(kind, schema, name, depth)) is not _ABSENT and self._fits(found, schema):
                return found
        if not wanted:
            return _ABSENT
        for suggestion in own_values(schema):
            if self._fits(suggestion, schema):
                return self._copy(suggestion)
        failure: Exhausted | None = None
        for kind in kinds:
            try:
                made = self._made(kind, schema, name, depth)
            except Exhausted as error:
                failure = failure or error
                continue
            if self._fits(made, schema):
                return made
        raise failure or Exhausted("no value was found that fits the schema")

    def _fits(self, value: Any, schema: Any) -> bool:
        return fits(value, schema, self.root)

    def _copy(self, value: Any) -> Any:
        self.root.budget.spend_on(value)
        return copy.deepcopy(value)

    def _own(self, values: list[Any], schema: Any) -> Any:
        for value in values:
            if self._fits(value, schema):
                return self._copy(value)
        raise Exhausted("none of the schema's own values fits it")

    def _branch(
        self, schema: dict[str, Any], union: str, branches: list[Any], name: str, wanted: bool, depth: int
    ) -> Any:
        """A value by one of several schemas: one that the text has something for, else the first that works."""
        rest = {key: value for key, value in schema.items() if key != union}
        if wanted and "default" in schema and self._fits(schema["default"], schema):
            return self._copy(schema["default"])
        for need in (False, True) if wanted else (False,):
            for branch in branches[:50]:
                try:
                    value = self.value({**rest, "allOf": [*rest.get("allOf", ()), branch]}, name, need, depth + 1)
                    if value is not _ABSENT and self._fits(value, schema):
                        return value
                except Exhausted:
                    if self.nodes > _MOST_NODES:
                        raise
        if not wanted:
            return _ABSENT
        raise Exhausted("no branch was found that fits")

    # What the text has

    def _found(self, kind: str, schema: dict[str, Any], name: str, depth: int) -> Any:
        pool = self.pool
        match kind:
            case "integer" | "number":
                return self._number_found(kind, schema, name)
            case "boolean":
                named = pool.truth_named(name) if name else None
                return _ABSENT if named is None else named
            case "string":
                return self._string_found(schema, name)
            case "array" if "prefixItems" not in schema and schema.get("items", True) is not False:
                return self._several(schema, name, depth)
            case "object" if isinstance(schema.get("properties"), Mapping) and depth:
                return self._object_found(schema, depth)
        return _ABSENT

    def _number_found(self, kind: str, schema: dict[str, Any], name: str) -> Any:
        def fit(value: Any) -> bool:
            return self._fits(_typed(value, kind), schema)

        named = self.pool.number_named(name) if name else None
        if named is not None and fit(named):
            return _typed(named, kind)
        value = self.pool.take(self.pool.numbers, fit)
        return _ABSENT if value is None else _typed(value, kind)

    def _string_found(self, schema: dict[str, Any], name: str) -> Any:
        def fit(value: Any) -> bool:
            return self._fits(value, schema)

        pool, form = self.pool, schema.get("format")
        if isinstance(form, str) and form in _EXAMPLES:
            kept = pool.dates.get("uri" if form == "url" else form, [])
            value = pool.take(kept, fit)
            return _ABSENT if value is None else value
        if name:
            value = pool.text_named(name)
            if value is not None and fit(value):
                return value
            if "date" in name.casefold().split("_") and (value := pool.take(pool.dates["date"], fit)):
                return value
            if "email" in name.casefold() and (value := pool.take(pool.dates["email"], fit)):
                return value
            if {"url", "uri"} & set(name.casefold().split("_")) and (value := pool.take(pool.dates["uri"], fit)):
                return value
        if (value := pool.take(pool.quoted, fit)) is not None:
            return value
        if name.casefold() in _WHOLE_TEXT:
            return _ABSENT  # the whole text, not a name out of it
        value = pool.take(pool.names, fit)
        return _ABSENT if value is None else value

    def _several(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        """As many items as the text has values for."""
        most = bound(schema, "maxItems")
        items: list[Any] = []
        limit = 100 if most is None else min(100, most)
        single = name.removesuffix("s")
        while len(items) < limit:
            item = self.value(schema.get("items", {"type": "string"}), single if not items else "", False, depth + 1)
            if item is _ABSENT or (schema.get("uniqueItems") and item in items):
                break
            items.append(item)
            if isinstance(item, bool | dict | list) or self._is_chosen(schema.get("items")):
                break  # found by name, and would be found again and again
        return items or _ABSENT

    def _is_chosen(self, schema: Any) -> bool:
        return isinstance(schema, Mapping) and ("enum" in schema or "anyOf" in schema or "oneOf" in schema)

    # What is made up

    def _made(self, kind: str, schema: dict[str, Any], name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                self.root.budget.spend(100)  # fractions, which may be of hundreds of digits
                return _plain_number(schema, kind)
            case "boolean":
                said = self.pool.truth()
                return said if said is not None and self._fits(said, schema) else not self._fits(False, schema)
            case "string":
                return self._string(schema, name)
        return None

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        """Required properties first, so that they get the text's values; optional ones if the text has some for them."""
        properties = dict(list(mapping(schema, "properties").items())[:500])
        required = [one for one in sequence(schema, "required") if isinstance(one, str)]
        made: dict[str, Any] = {}
        others = schema.get("additionalProperties", True)
        for name in required:
            made[name] = self.value(properties.get(name, others), name, True, depth + 1)
        for name in properties:
            if name not in made and (value := self._try(properties[name], name, depth)) is not _ABSENT:
                made[name] = value
        fewest = bound(schema, "minProperties") or 0
        number = 0
        while len(made) < min(fewest, 200):
            name = next((one for one in properties if one not in made), f"value_{(number := number + 1)}")
            made[name] = self.value(properties.get(name, others), name, True, depth + 1)
        return {name: made[name] for name in [*properties, *made] if name in made}

    def _object_found(self, schema: dict[str, Any], depth: int) -> Any:
        """An optional object, if the text names one of its properties."""
        if not any(self.pool.mentions(name) for name in mapping(schema, "properties")):
            return _ABSENT
        try:
            return self._object(schema, depth)
        except Exhausted:
            return _ABSENT

    def _try(self, schema: Any, name: str, depth: int) -> Any:
        try:
            return self.value(schema, name, False, depth + 1)
        except Exhausted:
            return _ABSENT

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        firsts = sequence(schema, "prefixItems")
        fewest = math.ceil(bound(schema, "minItems") or 0)
        if fewest > _MOST_NODES:
            raise Exhausted("an array of more items than are made up")
        items: list[Any] = []
        for index in range(fewest):
            wanted = firsts[index] if index < len(firsts) else schema.get("items", True)
            item = self.value(wanted, name.removesuffix("s"), True, depth + 1)
            if schema.get("uniqueItems") and item in items:
                item = self._another(wanted, items)
            items.append(item)
        return items

    def _another(self, schema: Any, items: list[Any]) -> Any:
        """An item that is not among those that are there."""
        schema = resolved(schema, self.root)
        tries: list[Any] = [*schema.get("enum", ()), True, False, None, *range(-20, 200)]
        tries += [index / 2 for index in range(200)]
        tries += [self._string({**schema, "minLength": length}, "") for length in range(1, 50)]
        if (low := bound(schema, "minimum", "exclusiveMinimum")) is not None:
            tries += [math.ceil(low) + index for index in range(200)]
        for value in tries:
            self.root.budget.spend(1 + len(items) // 4)
            if value not in items and self._fits(value, schema):
                return value
        raise Exhausted("not enough different values were found")

    def _string(self, schema: dict[str, Any], name: str) -> str:
        form = schema.get("format")
        if isinstance(form, str) and form in _EXAMPLES:
            return _EXAMPLES[form]
        fewest, high = math.ceil(bound(schema, "minLength") or 0), bound(schema, "maxLength")
        most = _MOST_LENGTH if high is None else int(min(high, _MOST_LENGTH))
        if fewest > _MOST_LENGTH:
            raise Exhausted("a text longer than is made up")
        text = self.pool.text.strip() if name.casefold() in _WHOLE_TEXT else ""
        text = (text or "unknown")[:most]
        self.root.budget.spend_on(text)
        self.root.budget.spend(fewest // 16)
        return text + "x" * (fewest - len(text))


def _plain_number(schema: Mapping[str, Any], kind: str) -> int | float:
    """Nought if that is allowed, else what is allowed nearest to the lower end, or to the upper one."""
    bottom = max(_fractions(schema, "minimum", "exclusiveMinimum"), default=None)
    top = min(_fractions(schema, "maximum", "exclusiveMaximum"), default=None)
    unit = max(_fractions(schema, "multipleOf"), default=Fraction(0)) or Fraction(1)
    if kind == "integer" and unit.denominator != 1:
        unit = Fraction(unit.numerator)
    tries = [Fraction(0)]
    if bottom is not None:
        first = math.ceil(bottom / unit) * unit
        tries += [bottom, first, first + unit]
    if top is not None:
        last = math.floor(top / unit) * unit
        tries += [top, last, last - unit]
    if bottom is not None and top is not None:
        tries.append((bottom + top) / 2)
    for value in tries:
        try:
            number = int(value) if value.denominator == 1 else float(value)
        except OverflowError:  # a fraction that is beyond all floats
            continue
        if fits(number, {**{key: one for key, one in schema.items() if key in _BOUNDS}, "type": kind}, True):
            return number
    raise Exhausted("no number was found between the schema's bounds")


def _fractions(schema: Mapping[str, Any], *names: str) -> list[Fraction]:
    return [exact(schema[name]) for name in names if bound(schema, name) is not None]


_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}


def _typed(value: Any, kind: str) -> Any:
    """A number as the schema's type has it; whole floats become integers."""
    return int(value) if isinstance(value, float) and kind == "integer" and value.is_integer() else value


def _is_int(value: Any) -> bool:
    return is_number(value) and value == int(value)
