"""The items of a conversation, in order: messages, function calls and their outputs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from callsheet_local.realtime.events import Refused
from callsheet_local.realtime.pitch import RATE, Measured, Samples
from callsheet_local.realtime.sessions import dig, number
from callsheet_local.scribe.machine import Turn
from callsheet_local.studio import new_id

__all__ = ["Conversation", "read_item", "resampled", "sound_of", "turns_of"]

_MOST_ITEMS = 500
_MOST_WEIGHT = 4_000_000
_PARTS = {"user": ("input_text", "input_audio", "input_image"), "system": ("input_text",)}
_ANSWER_PARTS = ("output_text", "output_audio", "text", "audio")


class Conversation:
    """What was said so far. The oldest items are forgotten when there are too many, or too much text is in them."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self.heard: dict[str, Measured] = {}
        """What the sound of items was, by their ids."""
        self.speeds: dict[str, float] = {}
        """How fast answers were spoken, by their items' ids."""
        self._items: list[dict[str, Any]] = []
        self._weights: dict[str, int] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._items)

    def get(self, id: object, param: str = "item_id") -> dict[str, Any]:
        """An item. Refused if there is none."""
        for item in self._items:
            if item["id"] == id:
                return item
        raise Refused("item_not_found", f"the conversation has no item {id!r:.80}", param)

    def add(self, item: dict[str, Any], after: object = None) -> str | None:
        """Add an item at the end, at the beginning (after "root") or after another. Returns the id of the one before."""
        if any(other["id"] == item["id"] for other in self._items):
            raise Refused("item_exists", f"the conversation has an item {item['id']!r:.80} already", "item.id")
        follows = None if after in (None, "root") else self.get(after, "previous_item_id")
        weight = len(repr(item))
        self._make_room(1, weight)  # before the item is put in: at the beginning, it would be the first to go
        place = 0 if after is not None else len(self._items)
        if follows in self._items:  # else it has just been forgotten, and the item is the oldest now
            place = self._items.index(follows) + 1
        before = self._items[place - 1]["id"] if place else None
        self._items.insert(place, item)
        self._weights[item["id"]] = weight
        return before

    def weigh(self, item: dict[str, Any]) -> None:
        """Take account of what an item has become: answers are empty when they are added."""
        if item["id"] in self._weights:
            self._weights[item["id"]] = len(repr(item))
            self._make_room(0, 0)

    def remove(self, id: object) -> None:
        item = self.get(id)
        self._items.remove(item)
        del self._weights[item["id"]]
        self.heard.pop(item["id"], None)
        self.speeds.pop(item["id"], None)

    def _make_room(self, items: int, weight: int) -> None:
        """Forget the oldest items until there is room for so much more, or but one is left."""
        while len(self._items) + items > 1 and (
            len(self._items) + items > _MOST_ITEMS or sum(self._weights.values()) + weight > _MOST_WEIGHT
        ):
            self.remove(self._items[0]["id"])


def read_item(given: Any) -> dict[str, Any]:
    """An item as the peer sent it, checked and completed. Fields that are not known are kept."""
    if not isinstance(given, dict):
        raise Refused("invalid_item", "item must be an object", "item")
    kind, id = given.get("type"), given.get("id")
    if id is not None and not (isinstance(id, str) and 1 <= len(id) <= 64):
        raise Refused("invalid_item", "an item's id is a text of 1 to 64 characters", "item.id")
    item = {**given, "id": id or new_id("item"), "object": "realtime.item", "status": "completed"}
    if kind == "message":
        item["content"] = _read_content(given)
    elif kind == "function_call":
        _need_texts(given, "name", "arguments")
        item.setdefault("call_id", new_id("call"))
    elif kind == "function_call_output":
        _need_texts(given, "call_id", "output")
    else:
        raise Refused(
            "invalid_item",
            f"an item's type is message, function_call or function_call_output here, not {kind!r:.60}",
            "item.type",
        )
    return item


def _need_texts(given: dict[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(given.get(name), str):
            raise Refused("invalid_item", f"an item of type {given['type']} needs a text as its {name}", f"item.{name}")


def _read_content(given: dict[str, Any]) -> list[dict[str, Any]]:
    role, content = given.get("role"), given.get("content")
    if role not in ("user", "assistant", "system"):
        raise Refused("invalid_item", f"a message's role is user, assistant or system, not {role!r:.60}", "item.role")
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Refused("invalid_item", "a message's content is a list of parts, which are objects", "item.content")
    allowed = _PARTS.get(str(role), _ANSWER_PARTS)
    for number_, part in enumerate(content):
        where = f"item.content[{number_}]"
        if part.get("type") not in allowed:
            names = ", ".join(allowed)
            raise Refused("invalid_item", f"a part of a message by the {role} has one of the types {names}", where)
        if part["type"] in ("input_text", "output_text", "text") and not isinstance(part.get("text"), str):
            raise Refused("invalid_item", f"a part of type {part['type']} needs its text", f"{where}.text")
        if not isinstance(part.get("transcript"), str | None):
            raise Refused("invalid_item", "a transcript is a text", f"{where}.transcript")
    return [dict(part) for part in content]


def sound_of(encoded: Any, format: Any, param: str) -> Samples:
    """Base64 of 16-bit PCM, as mono samples at our rate."""
    if dig(format, "type") not in (None, "audio/pcm"):
        raise Refused("unsupported_audio_format", "sound in events is taken as audio/pcm only; or send a track", param)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Refused("invalid_audio", "audio is base64 of 16-bit little-endian mono PCM", param) from None
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2")
    return resampled(samples, int(number(dig(format, "rate"), 24000, 8000, 48000)))


def resampled(samples: Samples, rate: int) -> Samples:
    """Samples at our rate, by straight lines between those that are there."""
    if rate == RATE or not len(samples):
        return samples.astype(np.int16)
    times = np.arange(len(samples) * RATE // rate) * (rate / RATE)
    drawn: Samples = np.interp(times, np.arange(len(samples)), samples).astype(np.int16)
    return drawn


def turns_of(instructions: str, items: Iterable[dict[str, Any]], heard: Mapping[str, Measured]) -> list[Turn]:
    """A conversation as the rule machine reads it. What sound was is repeated to whoever made it."""
    turns = [Turn("system", instructions)] if instructions else []
    for item in items:
        if item["id"] in heard:
            turns.append(Turn(item["role"], f"Say: I heard {heard[item['id']]}."))
        elif item["type"] == "message":
            turns.append(Turn(item["role"], "\n".join(map(_said, item["content"]))))
        elif item["type"] == "function_call_output":
            turns.append(Turn("tool", item["output"]))
    return turns


def _said(part: dict[str, Any]) -> str:
    return "(an image)" if part["type"] == "input_image" else str(part.get("text") or part.get("transcript") or "")
