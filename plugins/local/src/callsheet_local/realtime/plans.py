"""What a response is made from: what the session says, and what `response.create` says on top."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from callsheet_local.realtime.conversation import Conversation, read_item, turns_of
from callsheet_local.realtime.events import Refused
from callsheet_local.realtime.sessions import dig, merge, number
from callsheet_local.realtime.voice import pitch_of
from callsheet_local.scribe.machine import Tool, Turn

__all__ = ["Plan", "plan_of"]

_OVERRIDABLE = ("output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens", "audio")
_MOST_TOKENS = 4096


@frozen
class Plan:
    """All that decides what a response says, and how."""

    turns: list[Turn] = field(repr=False)
    written: list[Turn] = field(repr=False)
    """Those of them that came as text. What was heard is counted by its seconds, and not once more by our words for it."""
    tools: list[Tool]
    tool_choice: Any
    spoken: bool
    kept: bool
    """Whether what is answered becomes part of the conversation."""
    hz: int
    speed: float
    most_tokens: int | None
    heard_seconds: float
    """How much sound there is in what is answered."""
    document: dict[str, Any] = field(repr=False)
    """What a response tells of this."""


def plan_of(session: dict[str, Any], conversation: Conversation, given: Any) -> Plan:
    """Read what is asked for. Refused where it can't be done."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise Refused("invalid_value", "response must be an object", "response")
    asked = merge({name: session.get(name) for name in _OVERRIDABLE}, given)
    modalities, kept = _modalities(asked["output_modalities"]), _kept(asked.get("conversation"))
    items = _items(conversation, asked.get("input"))
    voice = dig(asked, "audio", "output", "voice")
    most = _most(asked["max_output_tokens"])
    instructions, heard = _text(asked["instructions"], "instructions"), conversation.heard
    document = {
        "conversation_id": conversation.id if kept else None,
        "output_modalities": modalities,
        "max_output_tokens": "inf" if most is None else most,
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": voice}},
        "metadata": _metadata(asked.get("metadata")),
    }
    return Plan(
        turns=turns_of(instructions, items, heard),
        written=turns_of(instructions, [item for item in items if item["id"] not in heard], heard),
        tools=_tools(asked["tools"]),
        tool_choice=asked["tool_choice"] if isinstance(asked["tool_choice"], str | dict) else "auto",
        spoken=modalities == ["audio"],
        kept=kept,
        hz=pitch_of(voice),
        speed=number(dig(asked, "audio", "output", "speed"), 1.0, 0.25, 1.5),
        most_tokens=most,
        heard_seconds=sum(heard[item["id"]].seconds for item in items if item["id"] in heard),
        document=document,
    )


def _modalities(value: Any) -> list[str]:
    if value is None:
        return ["audio"]
    if not isinstance(value, list) or not value or not all(one in ("text", "audio") for one in value):
        raise Refused(
            "invalid_value",
            "output_modalities is ['audio'] (with a transcript) or ['text']",
            "response.output_modalities",
        )
    return ["audio"] if "audio" in value else ["text"]


def _most(value: Any) -> int | None:
    """How many tokens an answer may have; None if it may have as many as it needs. True would be 1, were it let in."""
    if value is None or value == "inf":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(
            "invalid_value",
            "max_output_tokens is a whole number of 1 or more, or 'inf'",
            "response.max_output_tokens",
        )
    return min(value, _MOST_TOKENS)


def _kept(value: Any) -> bool:
    if value not in (None, "auto", "none"):
        raise Refused("invalid_value", "conversation is 'auto' or 'none'", "response.conversation")
    return bool(value != "none")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str | None):
        raise Refused("invalid_value", f"{name} must be a text", f"response.{name}")
    return value or ""


def _metadata(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Refused("invalid_value", "metadata is an object of texts", "response.metadata")
    return value


def _items(conversation: Conversation, given: Any) -> list[dict[str, Any]]:
    """The items to answer: those of the conversation, or those that are given for this response alone."""
    if given is None:
        return list(conversation)
    if not isinstance(given, list):
        raise Refused("invalid_value", "input is a list of items", "response.input")
    return [
        conversation.get(one.get("id"), "response.input")
        if isinstance(one, dict) and one.get("type") == "item_reference"
        else read_item(one)
        for one in given
    ]


def _tools(given: Any) -> list[Tool]:
    """The functions that may be called. Anything else in `tools` is nothing that could be called from here."""
    return [
        Tool(one["name"], _plain(one.get("description")), _object(one.get("parameters")))
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, dict) and one.get("type", "function") == "function" and isinstance(one.get("name"), str)
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
