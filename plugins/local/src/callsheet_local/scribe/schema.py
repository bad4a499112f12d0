"""Whether a value fits a JSON schema: the keywords that tools use, checked by ourselves so that fillings can be tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from attrs import define, field

from callsheet_local.scribe.budget import Budget, Exhausted

__all__ = [
    "Book",
    "bound",
    "exact",
    "fits",
    "is_number",
    "mapping",
    "opened",
    "own_values",
    "resolved",
    "sequence",
    "types_of",
]

_MOST_DEPTH = 40
_MOST_MERGES = 20
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")


@define
class Book:
    """The whole of a schema, for its references, and how much work may still go into it: it is a stranger's."""

    whole: Any
    budget: Budget = field(factory=Budget)


def opened(root: Any) -> Book:
    return root if isinstance(root, Book) else Book(root)


def resolved(schema: Any, root: Book) -> dict[str, Any]:
    """A schema with its $ref followed and its allOf merged in; true is the schema of anything."""
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise Exhausted("false is a schema that nothing fits")
    merged: dict[str, Any] = dict(schema)
    root.budget.spend(_size(merged))
    for _ in range(_MOST_MERGES):
        parts: list[Any] = []
        if isinstance(reference := merged.pop("$ref", None), str):
            root.budget.spend(len(reference) // 16)
            parts.append(_pointed(reference, root.whole))
        if isinstance(every := merged.pop("allOf", None), list):
            parts.extend(every[:50])
        if not parts:
            return merged
        for part in parts:
            if part is True:
                continue
            if not isinstance(part, Mapping):
                raise Exhausted("false is a schema that nothing fits")
            root.budget.spend(_size(part) + _size(merged))
            merged = _both(merged, part, root)
    raise Exhausted("references that lead in a circle")


def _pointed(reference: str, root: Any) -> Any:
    if not reference.startswith("#"):
        raise Exhausted(f"{reference!r:.60} is not in this schema")
    found = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise Exhausted(f"{reference!r:.60} is not in this schema")
    return found


def _size(schema: Mapping[str, Any]) -> int:
    """What a look at a schema costs: its keywords, and what is right behind them."""
    return 1 + len(schema) + sum(len(value) for value in schema.values() if isinstance(value, list | dict))


def _both(one: Mapping[str, Any], other: Mapping[str, Any], root: Book) -> dict[str, Any]:
    """A schema that asks for what two ask for."""
    merged = dict(one)
    for name, value in other.items():
        if name not in merged:
            merged[name] = value
            continue
        mine = merged[name]
        match name:
            case "properties" if isinstance(mine, Mapping) and isinstance(value, Mapping):
                merged[name] = {**value, **mine} | {
                    key: {"allOf": [mine[key], value[key]]} for key in mine.keys() & value.keys()
                }
            case "required" if isinstance(mine, list) and isinstance(value, list):
                root.budget.spend(len(mine) * len(value) // 16)
                merged[name] = [*mine, *(key for key in value if key not in mine)]
            case "minimum" | "exclusiveMinimum" | "minLength" | "minItems" if is_number(mine) and is_number(value):
                merged[name] = max(mine, value)
            case "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" if is_number(mine) and is_number(value):
                merged[name] = min(mine, value)
            case "enum" if isinstance(mine, list) and isinstance(value, list):
                root.budget.spend(len(mine) * len(value) // 16)
                merged[name] = [item for item in mine if item in value]
            case "type":
                merged[name] = [kind for kind in types_of(one) if kind in types_of(other)]
            case "allOf" if isinstance(mine, list) and isinstance(value, list):
                merged[name] = [*mine, *value]
            case "title" | "description" | "default" | "examples" | "$defs" | "definitions":
                pass
            case _ if mine != value:  # both hold, but they can't be merged: fits() asks for the other one, too
                merged.setdefault("_also", [])
                merged["_also"] = [*merged["_also"], {name: value}]
    return merged


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that a schema allows, in its order; what its other keywords speak of when it names none."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return (kinds,)
    if isinstance(kinds, list):
        return tuple(dict.fromkeys(kind for kind in kinds if isinstance(kind, str) and kind in TYPES))
    for kind, signs in (
        ("object", ("properties", "required", "additionalProperties")),
        ("array", ("items", "prefixItems", "minItems")),
        ("string", ("minLength", "maxLength", "pattern", "format")),
        ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    ):
        if any(sign in schema for sign in signs):
            return (kind, *(other for other in TYPES if other != kind))
    return ("string", *(other for other in TYPES if other != "string"))


def fits(value: Any, schema: Any, root: Any, depth: int = 0) -> bool:
    """Whether a value fits a schema. Keywords that are not known are passed over."""
    root = opened(root)
    if depth > _MOST_DEPTH:
        raise Exhausted("a schema nested too deep")
    root.budget.spend(1 + (len(value) if isinstance(value, list | dict) else 0))
    try:
        schema = resolved(schema, root)
    except Exhausted:
        if root.budget.left < 0:
            raise
        return False
    if "type" in schema and not any(_is(value, kind) for kind in types_of(schema)):
        return False
    if "const" in schema or "enum" in schema:
        cost = root.budget.spend_on(value)
        root.budget.spend(cost * len(sequence(schema, "enum")) // 16)
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if isinstance(choices := schema.get("enum"), list) and not any(_same(value, choice) for choice in choices):
        return False
    if isinstance(value, str) and not _text_fits(value, schema):
        return False
    if is_number(value) and not _number_fits(value, schema):
        return False
    if isinstance(value, list) and not _array_fits(value, schema, root, depth):
        return False
    if isinstance(value, dict) and not _object_fits(value, schema, root, depth):
        return False
    deeper = depth + 1
    if isinstance(some := schema.get("anyOf"), list) and not any(fits(value, part, root, deeper) for part in some):
        return False
    if isinstance(one := schema.get("oneOf"), list) and sum(fits(value, part, root, deeper) for part in one) != 1:
        return False
    if "not" in schema and fits(value, schema["not"], root, deeper):
        return False
    return all(fits(value, part, root, deeper) for part in schema.get("_also", ()))


def _within(size: int, schema: Mapping[str, Any], least: str, most: str) -> bool:
    low, high = bound(schema, least), bound(schema, most)
    return (low is None or size >= low) and (high is None or size <= high)


def _text_fits(value: str, schema: Mapping[str, Any]) -> bool:
    if not _within(len(value), schema, "minLength", "maxLength"):
        return False
    # A stranger's pattern may take for ever on 30 letters, and nothing else runs meanwhile. So none is evaluated: the
    # schema's own values are taken at their word, and no other text is said to match.
    return "pattern" not in schema or value in own_values(schema)


def own_values(schema: Mapping[str, Any]) -> list[Any]:
    """The values that a schema itself has: its constant, its default, its examples, its choices."""
    alone = [schema[name] for name in ("const", "default") if name in schema]
    return [*alone, *sequence(schema, "examples"), *sequence(schema, "enum")]


def _number_fits(value: float, schema: Mapping[str, Any]) -> bool:
    low, high = bound(schema, "minimum"), bound(schema, "maximum")
    above, below, step = (
        bound(schema, "exclusiveMinimum"),
        bound(schema, "exclusiveMaximum"),
        bound(schema, "multipleOf"),
    )
    if (low is not None and value < low) or (high is not None and value > high):
        return False
    if (above is not None and value <= above) or (below is not None and value >= below):
        return False
    return step is None or step <= 0 or exact(value) % exact(step) == 0


def _array_fits(value: list[Any], schema: Mapping[str, Any], root: Book, depth: int) -> bool:
    if not _within(len(value), schema, "minItems", "maxItems"):
        return False
    if schema.get("uniqueItems") is True:
        root.budget.spend(len(value) ** 2)
    if schema.get("uniqueItems") is True and any(
        _same(one, other) for index, one in enumerate(value) for other in value[:index]
    ):
        return False
    firsts = sequence(schema, "prefixItems")
    for index, item in enumerate(value):
        wanted = firsts[index] if index < len(firsts) else schema.get("items", True)
        if not fits(item, wanted, root, depth + 1):
            return False
    return True


def _object_fits(value: dict[str, Any], schema: Mapping[str, Any], root: Book, depth: int) -> bool:
    if any(name not in value for name in sequence(schema, "required")):
        return False
    if not _within(len(value), schema, "minProperties", "maxProperties"):
        return False
    properties, others = mapping(schema, "properties"), schema.get("additionalProperties", True)
    return all(fits(item, properties.get(name, others), root, depth + 1) for name, item in value.items())


def bound(schema: Mapping[str, Any], *names: str) -> int | float | None:
    """The number behind the first of these keywords that has one."""
    return next((schema[name] for name in names if is_number(schema.get(name))), None)


def mapping(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object behind a keyword; an empty one if there is none."""
    found = schema.get(name)
    return found if isinstance(found, Mapping) else {}


def sequence(schema: Mapping[str, Any], name: str) -> list[Any]:
    """The array behind a keyword; an empty one if there is none."""
    found = schema.get(name)
    return found if isinstance(found, list) else []


def is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def exact(number: float) -> Fraction:
    """A number as it was written: 0.1 is a tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "number":
            return is_number(value)
        case "integer":
            return is_number(value) and value == int(value)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


def _same(one: Any, other: Any) -> bool:
    """JSON's equality: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return bool(one == other)
