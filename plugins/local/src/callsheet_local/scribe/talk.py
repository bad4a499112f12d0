"""What the machine is given and what it gives back."""

from __future__ import annotations

import re
from typing import Any

from attrs import field, frozen

__all__ = ["LOOKS_AT", "Reply", "Tool", "ToolCall", "Turn", "listed", "tokens", "words"]

LOOKS_AT = 20_000
"""So many characters of a turn are looked at; what comes behind them is counted, and that is all."""


@frozen
class Turn:
    """One thing said. `role` is user, assistant, system or tool."""

    role: str
    text: str


@frozen
class Tool:
    """A function that may be called. `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(factory=dict)


@frozen
class ToolCall:
    """A call that the machine wants made."""

    name: str
    arguments: dict[str, Any]


@frozen
class Reply:
    """What the machine says: what it is about to do, then either an answer or calls."""

    commentary: str | None
    answer: str
    calls: tuple[ToolCall, ...] = ()


_TOKEN = re.compile(r"\s{0,16}\w{1,8}|\s{0,16}[^\w\s]|\s{1,16}")


def tokens(text: str) -> list[str]:
    """The pieces that a text is streamed in: up to eight letters or one sign, with the blanks before. Usage counts them."""
    return _TOKEN.findall(text)


def listed(things: list[str], last: str = "and") -> str:
    """Things as a sentence lists them."""
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} {last} {things[-1]}" if things else ""


def words(text: str) -> dict[str, int]:
    """The words of a text, each with its place: a list that is quick to look things up in."""
    return {word: place for place, word in enumerate(text.split())}
