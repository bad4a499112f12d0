"""How many tokens a call has: what a provider's answer says, and what can be guessed before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from callsheet.models import CreateChatCompletion
from callsheet.models.base import OperationRequest
from callsheet.models.document import Document
from callsheet.stream import Event, Stream

__all__ = ["estimated_tokens", "on_usage", "total_tokens"]

Usage = Mapping[str, Any]
_USAGE = re.compile(r'"usage"\s*:\s*\{')
_CHARACTERS = 4
"""In a token, about."""
_FILE = 1000
"""Tokens of an image or a sound in a request, about."""
_MOST_VALUES, _LARGEST = 50_000, 32 * 1024 * 1024
"""How many values of a request are looked at, and the characters that one with more is taken for: as many as a gateway lets
in. To look at millions of empty lists takes seconds, in which nobody else is answered."""
_TEXTS = ("messages", "input", "instructions", "tools")
_MOST_OUTPUT = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def on_usage(result: Any, tell: Callable[[Usage], None]) -> None:
    """Have the provider's count told: now where the result has it, else when it comes in its stream."""
    match result:
        case Document():
            if isinstance(usage := result.raw.get("usage"), Mapping):
                tell(usage)
        case Stream():

            def look(event: Event) -> None:
                if '"usage"' in event.raw and _USAGE.search(event.raw) and (usage := _of_event(event)) is not None:
                    tell(usage)

            result.tap(look)


def total_tokens(usage: Usage) -> int | None:
    """All tokens of a call, by the count of Responses or of chat completions; None if it is none."""
    total = usage.get("total_tokens")
    if not isinstance(total, int) or isinstance(total, bool):
        parts = [usage.get(name) for name in ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")]
        numbers = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
        total = sum(numbers) if numbers else None
    return total if total is not None and total >= 0 else None


def estimated_tokens(request: OperationRequest) -> int:
    """About how many tokens a request will have with its answer, as far as it says."""
    fields = request.__dict__  # a model without a field takes long to say so
    size = _characters([value for name in _TEXTS if (value := fields.get(name))])
    most = next((n for name in _MOST_OUTPUT if isinstance(n := fields.get(name), int) and n > 0), 0)
    answers = fields.get("n") if isinstance(request, CreateChatCompletion) else 1
    return size // _CHARACTERS + most * (answers if isinstance(answers, int) and answers > 1 else 1)


def _characters(value: object) -> int:
    """The characters of the texts in a value. It came in JSON of limited depth, or from the program itself."""
    size, seen, waiting = 0, 0, [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                size += _FILE * _CHARACTERS if len(text) > 2000 and text.startswith("data:") else len(text)
            case Mapping() | list() | tuple() as inner:
                if (seen := seen + len(inner)) > _MOST_VALUES:
                    return max(size, _LARGEST)
                waiting += inner.values() if isinstance(inner, Mapping) else inner
    return size


def _of_event(event: Event) -> Usage | None:
    """The count in an event: a chunk's own, or that of the response in it."""
    data = event.document
    inner = data.get("response", data)
    usage = inner.get("usage") if isinstance(inner, dict) else None
    return usage if isinstance(usage, dict) else None
