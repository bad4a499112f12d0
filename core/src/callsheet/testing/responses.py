"""The Responses API: documents, their events, and what is stored (wire of /responses)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callsheet.testing import bill
from callsheet.testing.answers import Answer, document, event_stream
from callsheet.testing.checks import (
    Rule,
    any_of,
    anything,
    boolean,
    check,
    integer,
    list_of,
    nullable,
    number,
    object_of,
    one_of,
    text,
)
from callsheet.testing.pages import page, whole_number
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.response_events import events_of
from callsheet.testing.seen import Seen
from callsheet.testing.state import Stored

if TYPE_CHECKING:
    from callsheet.testing.wire import Wire

__all__ = ["cancel", "create", "delete", "get", "input_items"]

JSON = dict[str, Any]


def _item(value: Any, name: str) -> None:
    """An input item: a message, or something that says its type."""
    object_of()(value, name)
    if not isinstance(value.get("type", "message"), str) or not ({"type", "role"} & value.keys()):
        raise Violation(
            f"Missing required parameter: '{name}.type'.", param=f"{name}.type", code="missing_required_parameter"
        )
    if "role" in value:
        one_of("user", "assistant", "system", "developer")(value["role"], f"{name}.role")
        any_of(text(), list_of(object_of(required=["type"])))(value.get("content"), f"{name}.content")
    if "phase" in value:
        nullable(one_of("commentary", "final_answer"))(value["phase"], f"{name}.phase")


_ITEMS = list_of(_item)
_FIELDS: dict[str, Rule] = {
    "model": text(1),
    "input": any_of(
        _ITEMS, lambda value, name: _ITEMS(value, name) if isinstance(value, list) else text()(value, name)
    ),
    "instructions": nullable(text()),
    "previous_response_id": nullable(text(1)),
    "conversation": nullable(any_of(text(1), object_of(required=["id"]))),
    "background": nullable(boolean),
    "store": nullable(boolean),
    "stream": nullable(boolean),
    "stream_options": nullable(object_of({"include_obfuscation": boolean})),
    "include": nullable(list_of(text(1))),
    "max_output_tokens": nullable(integer(16)),
    "max_tool_calls": nullable(integer(1)),
    "parallel_tool_calls": nullable(boolean),
    "temperature": nullable(number(0, 2)),
    "top_p": nullable(number(0, 1)),
    "top_logprobs": nullable(integer(0, 20)),
    "text": object_of(),
    "tools": list_of(object_of(required=["type"])),
    "tool_choice": any_of(text(1), object_of(required=["type"])),
    "reasoning": nullable(object_of()),
    "service_tier": nullable(text(1)),
    "metadata": nullable(object_of()),
    "prompt": nullable(object_of(required=["id"])),
    "prompt_cache_key": nullable(text()),
    "prompt_cache_options": object_of(),
    "prompt_cache_retention": nullable(text(1)),
    "safety_identifier": nullable(text(0, 128)),
    "moderation": nullable(object_of()),
    "context_management": nullable(list_of(object_of(required=["type"]))),
    "truncation": nullable(one_of("auto", "disabled")),
    "user": text(),
    "access_programs": anything,
    "image": anything,
}


def create(fake: Wire, seen: Seen) -> Answer:
    asked = check(seen.document, _FIELDS, allowed=fake.extra_fields)
    _check_together(asked)
    previous = asked.get("previous_response_id")
    if previous is not None and previous not in fake.state.responses:
        raise Refusal(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    whole = _whole(fake, asked)
    fake.begin(seen, "response", whole["id"], asked.get("model"))
    read, written = whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]
    fake.bill(bill.of_tokens(whole["model"], read, written), input_tokens=read, output_tokens=written)
    obfuscate = (asked.get("stream_options") or {}).get("include_obfuscation", True)
    events = fake.annotate_events("response", events_of(whole, obfuscate))
    background = bool(asked.get("background"))
    if asked.get("store") is not False:
        looks = fake.polls_until_done if background else 0
        fake.state.responses[whole["id"]] = Stored(whole, events, _items(fake, asked), looks)
    if asked.get("stream"):
        return _stream(events)
    return document(_queued(whole) if background else whole)


def _check_together(asked: JSON) -> None:
    if "model" not in asked and asked.get("prompt") is None:
        raise Violation("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    if not any(asked.get(name) is not None for name in ("input", "prompt", "previous_response_id", "conversation")):
        raise Violation("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if asked.get("conversation") is not None and asked.get("previous_response_id") is not None:
        raise Violation("'previous_response_id' and 'conversation' exclude each other.", param="previous_response_id")
    if asked.get("background") and asked.get("store") is False:
        raise Violation("A response in the background must be stored.", param="background", code="invalid_value")


def _whole(fake: Wire, asked: JSON) -> JSON:
    """The finished response."""
    message = {"type": "message", "status": "completed", "role": "assistant"}
    says = {"type": "output_text", "annotations": [], "logprobs": []}
    output = [
        {"id": fake.state.new_id("rs_"), "type": "reasoning", "summary": [], "vendor_note": {"kept": True, "n": 2**64}},
        {
            **message,
            "id": fake.state.new_id("msg_"),
            "phase": "commentary",
            "content": [{**says, "text": "Let me think about that."}],
        },
        {
            **message,
            "id": fake.state.new_id("msg_"),
            "phase": "final_answer",
            "content": [{**says, "text": fake.reply}],
        },
    ]
    usage = {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 48,
    }
    value = {
        "id": fake.state.new_id("resp_"),
        "object": "response",
        "created_at": fake.now(),
        "completed_at": fake.now(),
        "status": "completed",
        "background": bool(asked.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": asked.get("model", "gpt-5.6-sol"),
        "output": output,
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": {"effort": "low", "summary": None},
        "service_tier": "default",
        "store": asked.get("store") is not False,
        "temperature": 1.0 if asked.get("temperature") is None else asked["temperature"],
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_p": 1.0 if asked.get("top_p") is None else asked["top_p"],
        "truncation": "disabled",
        "usage": usage,
        "metadata": asked.get("metadata") or {},
    }
    return fake.annotate("response", value)


def _queued(whole: JSON, status: str = "queued") -> JSON:
    """A response that isn't done yet."""
    return {**whole, "status": status, "completed_at": None, "output": [], "usage": None}


def _items(fake: Wire, asked: JSON) -> list[JSON]:
    """The input as it is listed: texts as messages, each item with an id."""
    given = asked.get("input") or []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    listed = []
    for item in items:
        content = item.get("content")
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        parts = {"content": [{"type": kind, "text": content}]} if isinstance(content, str) else {}
        listed.append({"id": fake.state.new_id("msg_"), "type": "message", "status": "completed", **item, **parts})
    return listed


def _stream(events: list[JSON]) -> Answer:
    content_from = next(i for i, event in enumerate(events) if event["type"] == "response.output_text.delta")
    return event_stream(events, content_from, last=1)


def _found(fake: Wire, id: str) -> Stored:
    if id not in fake.state.responses:
        raise Refusal(f"Response with id '{id}' not found.", 404, code="not_found")
    return fake.state.responses[id]


def get(fake: Wire, seen: Seen, response_id: str) -> Answer:
    asked = dict(seen.query)
    stored = _found(fake, response_id)
    one_of("true", "false")(asked.get("stream", "false"), "stream")
    after = whole_number(asked["starting_after"], "starting_after", 0) if "starting_after" in asked else -1
    if asked.get("stream") == "true":
        left = [event for event in stored.events if event["sequence_number"] > after]
        return event_stream(left, 0, last=1)
    if after >= 0:
        raise Violation("'starting_after' goes with 'stream' only.", param="starting_after", code="invalid_value")
    if stored.looks_left > 0:
        stored.looks_left -= 1
        return document(_queued(stored.document, "in_progress") if stored.looks_left else stored.document)
    return document(stored.document)


def delete(fake: Wire, _seen: Seen, response_id: str) -> Answer:
    _found(fake, response_id)
    del fake.state.responses[response_id]
    return document({"id": response_id, "object": "response", "deleted": True})


def cancel(fake: Wire, _seen: Seen, response_id: str) -> Answer:
    stored = _found(fake, response_id)
    if not stored.document["background"]:
        raise Refusal("Cannot cancel a synchronous response.", code="invalid_value", param="response_id")
    if stored.looks_left:
        stored.document, stored.looks_left = _queued(stored.document, "cancelled"), 0
    return document(stored.document)


def input_items(fake: Wire, seen: Seen, response_id: str) -> Answer:
    return document(page(seen, _found(fake, response_id).items, high=100, low=1))
