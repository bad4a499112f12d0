"""The order of events in an answer, as clients of OpenAI's wire rely on it. Silence proves little, a complaint a bug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsheet import Event

__all__ = ["complaint", "texts_of"]

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


def complaint(operation: str, events: Sequence[Event]) -> str | None:
    """What is wrong with the events of a whole answer; None if nothing is."""
    if not events:
        return "there are no events at all"
    try:
        data = [event.data for event in events]
    except ValueError as error:
        return f"an event is no JSON: {error}"
    return _of_response(events, data) if operation == "responses" else _of_chat(data)


def _of_response(events: Sequence[Event], data: list[Any]) -> str | None:
    kinds = [event.type for event in events]
    if kinds[0] != "response.created":
        return f"the first event is {kinds[0]}, not response.created"
    ends = [number for number, kind in enumerate(kinds) if kind in TERMINAL]
    if ends != [len(kinds) - 1]:
        return f"the last event, and no other, must be one of {', '.join(sorted(TERMINAL))}; the last is {kinds[-1]}"
    said = [one.get("sequence_number") for one in data if isinstance(one, dict)]
    numbers = [number for number in said if isinstance(number, int)]
    if numbers != sorted(set(numbers)):
        return f"sequence_number does not grow: {numbers[:20]}"
    opened: set[Any] = set()
    for kind, one in zip(kinds, data, strict=True):
        index = one.get("output_index") if isinstance(one, dict) else None
        if kind == "response.output_item.added":
            opened.add(index)
        elif kind in {"response.output_text.delta", "response.output_item.done"} and index not in opened:
            return f"{kind} of item {index} comes before response.output_item.added"
    if any("response" not in data[number] for number in (0, len(data) - 1)):
        return "the first or the last event has no `response`"
    return None


def _of_chat(data: list[Any]) -> str | None:
    finished: set[Any] = set()
    for one in data:
        if not isinstance(one, dict) or not isinstance(one.get("choices"), list):
            return f"a chunk has no list of choices: {str(one)[:80]}"
        for choice in one["choices"]:
            index = choice.get("index")
            if index in finished and (choice.get("delta") or {}).get("content"):
                return f"choice {index} goes on after its finish_reason"
            if choice.get("finish_reason"):
                finished.add(index)
    return None if finished else "no chunk has a finish_reason"


def texts_of(operation: str, events: Sequence[Event]) -> list[str]:
    """The texts that the deltas of an answer make together: one for each message, or for each choice."""
    texts: dict[Any, str] = {}
    for event in events:
        if operation == "responses":
            if event.type == "response.output_text.delta":
                said = event.data
                place = (said.get("output_index"), said.get("content_index"))
                texts[place] = texts.get(place, "") + said.get("delta", "")
            continue
        for choice in event.data["choices"]:
            place = choice.get("index", 0)
            texts[place] = texts.get(place, "") + ((choice.get("delta") or {}).get("content") or "")
    return list(texts.values())
