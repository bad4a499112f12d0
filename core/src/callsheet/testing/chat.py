"""Chat completions: documents and chunks (wire of /chat/completions)."""

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
from callsheet.testing.refusals import Violation
from callsheet.testing.response_events import words_of
from callsheet.testing.seen import Seen

if TYPE_CHECKING:
    from callsheet.testing.wire import Wire

__all__ = ["create"]

JSON = dict[str, Any]


def _message(value: Any, name: str) -> None:
    object_of(required=["role"])(value, name)
    one_of("developer", "system", "user", "assistant", "tool", "function")(value["role"], f"{name}.role")
    content = any_of(text(), list_of(object_of(required=["type"])))
    if value["role"] == "assistant":
        nullable(content)(value.get("content"), f"{name}.content")
    else:
        content(value.get("content"), f"{name}.content")
    if value["role"] == "tool" and not isinstance(value.get("tool_call_id"), str):
        raise Violation(
            f"Missing required parameter: '{name}.tool_call_id'.",
            param=f"{name}.tool_call_id",
            code="missing_required_parameter",
        )


_FIELDS: dict[str, Rule] = {
    "messages": list_of(_message, low=1),
    "model": text(1),
    "max_completion_tokens": nullable(integer(1)),
    "max_tokens": nullable(integer(1)),
    "temperature": nullable(number(0, 2)),
    "top_p": nullable(number(0, 1)),
    "frequency_penalty": nullable(number(-2, 2)),
    "presence_penalty": nullable(number(-2, 2)),
    "n": nullable(integer(1, 128)),
    "stop": nullable(any_of(text(), list_of(text(), 4))),
    "logprobs": nullable(boolean),
    "top_logprobs": nullable(integer(0, 20)),
    "logit_bias": nullable(object_of()),
    "response_format": object_of(required=["type"]),
    "tools": list_of(object_of(required=["type"])),
    "tool_choice": any_of(text(1), object_of(required=["type"])),
    "parallel_tool_calls": boolean,
    "reasoning_effort": nullable(text(1)),
    "verbosity": nullable(text(1)),
    "modalities": nullable(list_of(text(1))),
    "audio": nullable(object_of()),
    "stream": nullable(boolean),
    "stream_options": nullable(object_of({"include_usage": boolean, "include_obfuscation": boolean})),
    "service_tier": nullable(text(1)),
    "store": nullable(boolean),
    "metadata": nullable(object_of()),
    "prediction": nullable(object_of()),
    "web_search_options": object_of(),
    "moderation": nullable(object_of()),
    "safety_identifier": nullable(text(0, 128)),
    "prompt_cache_key": nullable(text()),
    "prompt_cache_options": object_of(),
    "prompt_cache_retention": nullable(text(1)),
    "functions": list_of(object_of()),
    "function_call": anything,
    "data_sources": list_of(),
    "user_security_context": object_of(),
    "seed": nullable(integer()),
    "user": text(),
}


def create(fake: Wire, seen: Seen) -> Answer:
    asked = check(seen.document, _FIELDS, ["messages", "model"], fake.extra_fields)
    if asked.get("stream_options") is not None and not asked.get("stream"):
        raise Violation(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    head = {"id": fake.state.new_id("chatcmpl-"), "created": fake.now(), "model": asked["model"]}
    fake.begin(seen, "chat", head["id"], asked["model"])
    count = asked.get("n") or 1
    read, written = _usage(count)["prompt_tokens"], _usage(count)["completion_tokens"]
    fake.bill(bill.of_tokens(asked["model"], read, written), input_tokens=read, output_tokens=written)
    return _stream(fake, head, asked, count) if asked.get("stream") else _whole(fake, head, count)


def _usage(count: int) -> JSON:
    return {
        "prompt_tokens": 19,
        "completion_tokens": 10 * count,
        "total_tokens": 19 + 10 * count,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _whole(fake: Wire, head: JSON, count: int) -> Answer:
    message: JSON = {"role": "assistant", "content": fake.reply, "refusal": None, "annotations": []}
    choices = [{"index": i, "message": message, "logprobs": None, "finish_reason": "stop"} for i in range(count)]
    value = {
        **head,
        "object": "chat.completion",
        "choices": choices,
        "usage": _usage(count),
        "service_tier": "default",
        "vendor_note": {"kept": True, "n": 2**64},
    }
    return document(fake.annotate("chat", value))


def _stream(fake: Wire, head: JSON, asked: JSON, count: int) -> Answer:
    options = asked.get("stream_options") or {}
    usage = {"usage": None} if options.get("include_usage") else {}
    obfuscation = {"obfuscation": "xxxx"} if options.get("include_obfuscation", True) else {}

    def chunk(choices: list[JSON]) -> JSON:
        named = {"object": "chat.completion.chunk", "service_tier": "default"}
        return {**head, **named, "choices": choices, **usage, **obfuscation}

    def choice(index: int, delta: JSON, reason: str | None = None) -> JSON:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}

    first: JSON = {"role": "assistant", "content": "", "refusal": None}
    chunks = [chunk([choice(i, first)]) for i in range(count)]
    for word in words_of(fake.reply):
        chunks += [chunk([choice(i, {"content": word})]) for i in range(count)]
    chunks += [chunk([choice(i, {}, "stop")]) for i in range(count)]
    if usage:
        chunks.append({**chunk([]), "usage": _usage(count)})
    told = fake.annotate_events("chat", chunks)
    content_from = next(
        i for i, one in enumerate(told) if any(c.get("delta", {}).get("content") for c in one["choices"])
    )
    return event_stream([*told, "[DONE]"], content_from, last=2 if usage else 1, named=False)
