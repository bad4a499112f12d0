"""Rules for the fields of a request. Each is a function of a value and its name that raises a Violation."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from callsheet.testing.refusals import Violation

__all__ = [
    "Rule",
    "any_of",
    "anything",
    "boolean",
    "check",
    "digits",
    "integer",
    "list_of",
    "matching",
    "nullable",
    "number",
    "object_of",
    "one_of",
    "text",
]

Rule: TypeAlias = Callable[[Any, str], None]
"""What is called with a value and its name, and raises a Violation."""
_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def check(
    document: object, fields: Mapping[str, Rule], required: Collection[str] = (), allowed: Collection[str] = ()
) -> dict[str, Any]:
    """A document whose fields are all known and well-typed. Names in `allowed`, and those from "x_" on, are let pass."""
    if not isinstance(document, dict):
        raise Violation(f"The body must be an object, not {_kind(document)}.", code="invalid_type")
    for name in required:
        if name not in document:
            raise Violation(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    for name, value in document.items():
        if name in fields:
            fields[name](value, name)
        elif name not in allowed and not name.startswith("x_"):
            raise Violation(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    return document


def anything(_value: Any, _name: str) -> None:
    """Any value."""


def boolean(value: Any, name: str) -> None:
    """True or false; not 0 or 1."""
    if not isinstance(value, bool):
        raise _wrong_type(value, name, "a boolean")


def text(low: int = 0, high: int | None = None) -> Rule:
    """A string of so many characters."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, name, "a string")
        if len(value) < low:
            raise _invalid(name, f"expected a string with minimum length {low}, but got one of {len(value)}")
        if high is not None and len(value) > high:
            raise _invalid(name, f"expected a string with maximum length {high}, but got one of {len(value)}")

    return rule


def matching(pattern: str, meaning: str) -> Rule:
    """A string that a pattern matches from end to end; `meaning` says in words what is wanted."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, name, "a string")
        if not re.fullmatch(pattern, value):
            raise _invalid(name, f"expected {meaning}, but got {value[:40]!r}")

    return rule


digits = matching(r"[1-9][0-9]*", "a string of digits")
"""A string of digits, without a zero in front."""


def one_of(*values: str) -> Rule:
    """One of these strings."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, name, "a string")
        if value not in values:
            raise _invalid(name, f"supported values are {', '.join(map(repr, values))}, but got {value[:40]!r}")

    return rule


def integer(low: int | None = None, high: int | None = None) -> Rule:
    """A whole number, from `low` to `high`."""

    def rule(value: Any, name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, name, "an integer")
        number(low, high)(value, name)

    return rule


def number(low: float | None = None, high: float | None = None) -> Rule:
    """A number, from `low` to `high`."""

    def rule(value: Any, name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value, name, "a number")
        if (low is not None and value < low) or (high is not None and value > high):
            raise _invalid(name, f"expected a value from {low} to {high}, but got {value}")

    return rule


def nullable(rule: Rule) -> Rule:
    """Null, or what the rule lets pass."""
    return lambda value, name: None if value is None else rule(value, name)


def any_of(*rules: Rule) -> Rule:
    """A value that one of the rules lets pass; the last one says what is wrong."""

    def rule(value: Any, name: str) -> None:
        for other in rules[:-1]:
            try:
                return other(value, name)
            except Violation:
                continue
        return rules[-1](value, name)

    return rule


def list_of(item: Rule = anything, high: int | None = None, low: int = 0) -> Rule:
    """An array of `low` to `high` items, each by the rule."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, name, "an array")
        if len(value) < low or (high is not None and len(value) > high):
            wanted = f"at least {low}" if high is None else f"{low} to {high}"
            raise _invalid(name, f"expected an array of {wanted} items, but got {len(value)}")
        for number_, one in enumerate(value):
            item(one, f"{name}[{number_}]")

    return rule


def object_of(fields: Mapping[str, Rule] | None = None, required: Collection[str] = ()) -> Rule:
    """An object; with `fields`, of these and no others."""

    def rule(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, name, "an object")
        for key in required:
            if key not in value:
                raise Violation(
                    f"Missing required parameter: '{name}.{key}'.",
                    param=f"{name}.{key}",
                    code="missing_required_parameter",
                )
        if fields is None:
            return
        for key, inner in value.items():
            if key not in fields:
                raise Violation(f"Unknown parameter: '{name}.{key}'.", param=f"{name}.{key}", code="unknown_parameter")
            fields[key](inner, f"{name}.{key}")

    return rule


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a file")


def _wrong_type(value: object, name: str, wanted: str) -> Violation:
    return Violation(
        f"Invalid type for '{name}': expected {wanted}, but got {_kind(value)} instead.",
        param=name,
        code="invalid_type",
    )


def _invalid(name: str, why: str) -> Violation:
    return Violation(f"Invalid value for '{name}': {why}.", param=name, code="invalid_value")
