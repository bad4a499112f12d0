"""Which of the declared tools a text asks for, and the calls with their arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from callsheet_local.scribe.budget import Budget, Exhausted
from callsheet_local.scribe.filling import fill
from callsheet_local.scribe.pool import Pool
from callsheet_local.scribe.talk import LOOKS_AT, Tool, ToolCall, words

__all__ = ["calls_for"]

MOST_CALLS = 8
_COMMON = words(
    """
    get set fetch run do call make use the a an of for to in on at by with from and or is are was be it its this
    that what which who how when where why can could would will shall should please tell me my your i you we current
    given tool function value values data info information return returns returned user users one any some all about
    into find look show give want need let know there s name number text string list new not no yes
    """
)
_WORD = re.compile(r"[^\W_]+")
_PLACES = re.compile(
    r"\b((?:in|for|of|at|from))\s+([A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)*(?:,\s*[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)*)*"
    r",?\s+and\s+[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)*)"
)


def calls_for(
    text: str, tools: Sequence[Tool], choice: str | Mapping[str, Any] | None, known: Mapping[str, str]
) -> tuple[ToolCall, ...]:
    """The calls that a text asks for, or that the choice demands. `known` are facts by name: they serve as arguments."""
    text = text[:LOOKS_AT]
    allowed, forced = _allowed(tools, choice)
    wanted = _asked(text, allowed)
    if not wanted and forced and allowed:
        said = _words(text)
        wanted = [max(allowed, key=lambda tool: len(_words(f"{tool.name} {tool.description[:2000]}") & said))]
    parts = [(tool, part) for tool in wanted[:MOST_CALLS] for part in _one_by_one(text, tool)[:MOST_CALLS]]
    budget = Budget()  # one for all: eight tools may not take eight times as long
    return tuple(ToolCall(tool.name, _arguments(tool, part, known, budget)) for tool, part in parts[:MOST_CALLS])


def _allowed(tools: Sequence[Tool], choice: str | Mapping[str, Any] | None) -> tuple[list[Tool], bool]:
    """The tools that may be called, and whether one must be."""
    if choice == "none":
        return [], False
    if not isinstance(choice, Mapping):
        return list(tools), choice == "required"
    inner = choice.get("allowed_tools", choice)
    if choice.get("type") == "allowed_tools" and isinstance(inner, Mapping):
        names = [_named(one) for one in inner.get("tools") or () if isinstance(one, Mapping)]
        return [tool for tool in tools if tool.name in names], inner.get("mode") == "required"
    return [tool for tool in tools if tool.name == _named(choice)], True


def _named(choice: Mapping[str, Any]) -> object:
    inner = choice.get("function")
    return inner.get("name") if isinstance(inner, Mapping) else choice.get("name")


def _asked(text: str, tools: Sequence[Tool]) -> list[Tool]:
    """The tools whose name, or a telling word of it, is in the text; else the one with most words of its description."""
    said, lowered = _words(text), text.casefold()
    literal = [tool for tool in tools if _is_said(tool.name, lowered)]
    if literal:
        return literal
    named = [tool for tool in tools if _words(tool.name) & said]
    if named:
        return named
    scored = [(len(_words(tool.description[:2000]) & said), tool) for tool in tools]
    best = max((score for score, _ in scored), default=0)
    return [tool for score, tool in scored if score == best][:1] if best >= 2 else []


def _is_said(name: str, lowered: str) -> bool:
    """Whether a whole name is in a text: get_weather, or "get weather"."""
    plain = re.sub(r"[_\W]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().casefold()
    if not plain:
        return False
    return re.search(rf"(?<![\w-])(?:{re.escape(name.casefold())}|{re.escape(plain)})(?![\w-])", lowered) is not None


def _words(text: str) -> set[str]:
    """A text's telling words, by their stems."""
    spread = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return {_stem(word) for word in _WORD.findall(spread.casefold()) if word not in _COMMON and len(word) > 1}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _one_by_one(text: str, tool: Tool) -> list[str]:
    """ "in Paris and London" is two calls of a tool that takes one place."""
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return [text]
    plain = [
        name
        for name in required
        if isinstance(properties.get(name), Mapping) and properties[name].get("type") == "string"
    ]
    match = _PLACES.search(text)
    if (
        len(plain) != 1
        or match is None
        or any(isinstance(one, Mapping) and one.get("type") == "array" for one in properties.values())
    ):
        return [text]
    places = [place for place in re.split(r",\s*and\s+|,\s*|\s+and\s+", match.group(2)) if place]
    return [f"{text[: match.start(2)]}{place}{text[match.end(2) :]}" for place in places]


def _arguments(tool: Tool, text: str, known: Mapping[str, str], budget: Budget) -> dict[str, Any]:
    """Arguments that fit the tool's schema; none at all where the schema can't be satisfied, or takes too much work."""
    schema = {"type": "object", **tool.parameters}
    try:
        made = fill(schema, Pool(text, known, budget=budget))
    except (Exhausted, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}
