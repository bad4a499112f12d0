"""The values of a configuration: where they stand, what they may be, and `os.environ/NAME`.

What is said of a mistake quotes nothing out of the configuration but names that are known: a secret may stand anywhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from callsheet.errors import ConfigurationError

__all__ = ["Path", "Place", "is_reference", "resolved", "texts_in"]

Path = tuple[str | int, ...]
_FROM_ENVIRONMENT = "os.environ/"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_WORDS = re.compile(r"[A-Za-z]+([_-][A-Za-z]+)*")
_KINDS: dict[type, str] = {
    dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number",
    type(None): "nothing",
}  # fmt: skip


@frozen
class Place:
    """Where something stands in a configuration: `path` for programs, `words` for people."""

    path: Path = ()
    words: str = ""

    def key(self, name: str) -> Place:
        """What stands under a key whose name is known."""
        return Place((*self.path, name), f"{self.words}.{name}" if self.words else name)

    def entry(self, number: int) -> Place:
        """The entry of a list, counted from 0."""
        return Place((*self.path, number), f"{self.words}[{number}]")

    def named(self, name: str, number: int) -> Place:
        """What stands under a name that the user has chosen, and that is not repeated: the `number`th, counted from 0."""
        return Place((*self.path, name), f"{self.words} (entry {number + 1})")

    def error(self, reason: str) -> ConfigurationError:
        """The error that something is wrong here."""
        error = ConfigurationError(f"{self.words}: {reason}" if self.words else reason)
        error.at = self.path
        return error

    def known(self, keys: Iterable[object], known: Iterable[str]) -> None:
        """Refuse keys that are not known, with the name that may be meant."""
        names = list(dict.fromkeys(known))
        for key in keys:
            if key not in names:
                place = evolve(self, path=(*self.path, key)) if isinstance(key, str) else self
                close = difflib.get_close_matches(str(key)[:60], names, 1)
                # Letters only, and few more than the name has: an `api_key` that swallowed its value is not shown.
                if close and _WORDS.fullmatch(str(key)) and len(str(key)) <= len(close[0]) + 3:
                    raise place.error(f"unknown key '{key}'. Did you mean '{close[0]}'?")
                raise place.error(f"unknown key (not shown: it might be a secret). Known: {', '.join(names)}")

    def wants(self, what: str, value: object) -> ConfigurationError:
        """The error that something else is wanted here."""
        return self.error(f"{what} is wanted, not {_KINDS.get(type(value), 'something else')}")

    def mapping(self, value: object, what: str = "a mapping of keys to values") -> Mapping[str, Any]:
        """The mapping that stands here; nothing is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wants(what, value)
        return value

    def entries(self, value: object, what: str) -> list[Any]:
        """The list that stands here; nothing is an empty one."""
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.wants(what, value)
        return list(value)

    def text(self, value: object, what: str = "a text") -> str:
        """The text that stands here: one line with something in it."""
        if not isinstance(value, str):
            raise self.wants(what, value)
        if not value.strip() or not value.isprintable():
            raise self.error(
                f"{what} is wanted, not {'an empty one' if not value.strip() else 'unprintable characters'}"
            )
        return value

    def whole(self, value: object, least: int, most: int | None = None) -> int:
        """The whole number that stands here, or its digits: variables hold texts."""
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        span = f"from {least} to {most}" if most is not None else f"of {least} or more"
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wants(f"a whole number {span}", value)
        if value < least or (most is not None and value > most):
            raise self.error(f"a whole number {span} is wanted")
        return value

    def number(self, value: object, least: float, most: float | None = None) -> float:
        """The number that stands here, or its digits."""
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", value):
            value = float(value)
        span = f"from {least:g} to {most:g}" if most is not None else f"of {least:g} or more"
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wants(f"a number {span}", value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or number < least or (most is not None and number > most):
            raise self.error(f"a number {span} is wanted")
        return number

    def flag(self, value: object) -> bool:
        """The true or false that stands here."""
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise self.wants("true or false", value)
        return value


def is_reference(value: object) -> bool:
    """Whether a value is to be read from the environment."""
    return isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT)


def variable_of(value: str, place: Place) -> str:
    """The name of the variable that a reference names."""
    variable = value.removeprefix(_FROM_ENVIRONMENT)
    if not _VARIABLE.fullmatch(variable):
        raise place.error(f"after {_FROM_ENVIRONMENT} the name of a variable is wanted: letters, digits and _")
    return variable


def resolved(value: Any, place: Place, environ: Mapping[str, str]) -> Any:
    """A value with what it takes from the environment, also inside of lists and mappings (never in their keys).

    Raises ConfigurationError for a variable that is not set, or empty.
    """
    if isinstance(value, Mapping):
        return {key: resolved(inner, Place((*place.path, key), place.words), environ) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(inner, place.entry(number), environ) for number, inner in enumerate(value)]
    if not is_reference(value):
        return value
    variable = variable_of(value, place)
    if not (found := environ.get(variable)):
        shown = (
            variable if _SHOWN_VARIABLE.fullmatch(variable) else "(not shown: not in capitals, it might be a secret)"
        )
        raise place.error(f"this comes from the environment variable {shown}, which is not set")
    return found


def texts_in(value: object) -> list[str]:
    """The texts in a value that are long enough to be secrets, those of keys as well."""
    if isinstance(value, Mapping):
        return [text for pair in value.items() for inner in pair for text in texts_in(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in texts_in(inner)]
    return [value] if isinstance(value, str) and len(value) >= 6 else []
