"""The events of a response, in the order in which OpenAI sends them."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["events_of", "words_of"]

JSON = dict[str, Any]


def events_of(whole: JSON, obfuscate: bool) -> list[JSON]:
    """All events of a finished response. There is one of a type that nobody has heard of among them."""
    began = {**whole, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    events: list[JSON] = [
        {"type": "response.created", "response": began},
        {"type": "response.in_progress", "response": began},
    ]
    for number, item in enumerate(whole["output"]):
        events += _item_events(number, item, obfuscate)
        if item["type"] == "reasoning":
            events.append({"type": "response.vendor_weather.updated", "weather": {"sky": "clear"}, "n": 2**64})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    # The type and the number stand first on the wire.
    return [{"type": event.pop("type"), "sequence_number": number, **event} for number, event in enumerate(events)]


def words_of(text: str) -> list[str]:
    """A text in the pieces in which it is streamed."""
    return re.findall(r"\S+\s*", text)


def _item_events(number: int, item: JSON, obfuscate: bool) -> list[JSON]:
    at = {"output_index": number}
    if item["type"] != "message":
        return [
            {"type": "response.output_item.added", **at, "item": item},
            {"type": "response.output_item.done", **at, "item": item},
        ]
    begun = {**item, "status": "in_progress", "content": []}
    events: list[JSON] = [{"type": "response.output_item.added", **at, "item": begun}]
    for index, part in enumerate(item["content"]):
        inside = {"item_id": item["id"], **at, "content_index": index}
        events.append({"type": "response.content_part.added", **inside, "part": {**part, "text": ""}})
        for word in words_of(part["text"]):
            padding = {"obfuscation": "x" * (16 - len(word) % 16)} if obfuscate else {}
            events.append({"type": "response.output_text.delta", **inside, "delta": word, "logprobs": [], **padding})
        events.append({"type": "response.output_text.done", **inside, "text": part["text"], "logprobs": []})
        events.append({"type": "response.content_part.done", **inside, "part": part})
    return [*events, {"type": "response.output_item.done", **at, "item": item}]
