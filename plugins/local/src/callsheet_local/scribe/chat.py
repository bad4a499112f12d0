"""The Chat Completions API over the machine. It has no place for commentary, so there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from callsheet import Event
from callsheet import models as m
from callsheet_local.scribe.checks import (
    MODEL,
    check_choice,
    check_metadata,
    check_model,
    check_range,
    check_size,
    read_tools,
    refuse,
)
from callsheet_local.scribe.desk import shaped
from callsheet_local.scribe.forms import Form
from callsheet_local.scribe.items import UNSEEN, new_id
from callsheet_local.scribe.machine import reply
from callsheet_local.scribe.talk import Turn, tokens

__all__ = ["Chat"]

JSON = dict[str, Any]
_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_MOST_CHOICES = 8


@frozen
class Chat:
    """A completion: the pieces of its text, or its calls and theirs; and why it ends."""

    id: str
    created: int
    content: list[str] | None
    calls: list[tuple[JSON, list[str]]]
    finish: str
    given: int
    choices: int
    usage_chunk: bool

    @classmethod
    def of(cls, request: m.CreateChatCompletion, now: float) -> Chat:
        """Check a request and answer it."""
        _check(request)
        tools = read_tools(request.tools, nested=True)
        choice = check_choice(request.tool_choice, tools)
        form = Form.of(request.response_format, "response_format", "json_schema")
        turns, notes = _read(request.messages)
        brief = [Turn("system", "Be brief.")] if request.verbosity == "low" else []
        said = shaped(reply([*brief, *turns], tools, choice), notes, form, turns)
        calls = said.calls if request.parallel_tool_calls is not False else said.calls[:1]
        made = [
            (
                {"id": new_id("call"), "type": "function", "function": {"name": call.name}},
                tokens(json.dumps(call.arguments, ensure_ascii=False)),
            )
            for call in calls
        ]
        chat = cls(
            new_id("chatcmpl").replace("_", "-"),
            int(now),
            None if made else tokens(_until(said.answer, request.stop)),
            made,
            "tool_calls" if made else "stop",
            sum(len(tokens(turn.text)) for turn in turns),
            request.n or 1,
            bool((request.stream_options or {}).get("include_usage")),
        )
        most = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
        return chat._limited(most)

    def _limited(self, most: int | None) -> Chat:
        if most is None or most >= self._length:
            return self
        left, calls = most, []
        for call, pieces in self.calls:
            if left:
                calls.append((call, pieces[:left]))
                left -= len(calls[-1][1])
        content = None if self.content is None else self.content[:most]
        return evolve(self, content=content, calls=calls, finish="length")

    @property
    def _length(self) -> int:
        return len(self.content or ()) + sum(len(pieces) for _, pieces in self.calls)

    def document(self) -> JSON:
        """The completion as one answer."""
        message: JSON = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        if self.content is not None:
            message["content"] = "".join(self.content)
        if self.calls:
            message["tool_calls"] = [
                {**call, "function": {**call["function"], "arguments": "".join(pieces)}} for call, pieces in self.calls
            ]
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": self.finish}
            for index in range(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def _head(self, kind: str) -> JSON:
        head = {"id": self.id, "object": kind, "created": self.created, "model": MODEL}
        return {**head, "service_tier": "default", "system_fingerprint": None}

    def _usage(self) -> JSON:
        made = self._length * self.choices
        none = {"reasoning_tokens": 0, "audio_tokens": 0}
        return {
            "prompt_tokens": self.given,
            "completion_tokens": made,
            "total_tokens": self.given + made,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {**none, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        }

    def chunks(self, rate: float) -> Iterator[tuple[Event, float]]:
        """The completion in chunks, each with the seconds after which it is due."""
        head = self._head("chat.completion.chunk") | ({"usage": None} if self.usage_chunk else {})
        for delta, finish, count in self._deltas():
            for index in range(self.choices):
                choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
                yield Event.of("message", {**head, "choices": [choice]}), count / rate if rate else 0.0
        end = self._length / rate if rate else 0.0
        if self.usage_chunk:
            yield Event.of("message", {**head, "choices": [], "usage": self._usage()}), end

    def _deltas(self) -> Iterator[tuple[JSON, str | None, int]]:
        """What each chunk adds, why it ends, and how many tokens were told by then."""
        count = 0
        yield {"role": "assistant", "content": None if self.content is None else "", "refusal": None}, None, count
        for piece in self.content or ():
            count += 1
            yield {"content": piece}, None, count
        for index, (call, pieces) in enumerate(self.calls):
            function = {**call["function"], "arguments": ""}
            yield {"tool_calls": [{"index": index, **call, "function": function}]}, None, count
            for piece in pieces:
                count += 1
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None, count
        yield {}, self.finish, count


def _check(request: m.CreateChatCompletion) -> None:
    check_model(request.model)
    if not request.messages:
        raise refuse("messages is empty: give at least one message", "messages", "missing_required_parameter")
    if request.n is not None and not 1 <= request.n <= _MOST_CHOICES:
        raise refuse(f"n is {request.n}; it can be 1 to {_MOST_CHOICES}, and all choices are the same", "n")
    if request.functions is not None or request.function_call is not None:
        raise refuse("functions and function_call are retired: use tools and tool_choice", "functions")
    if "audio" in (request.modalities or ()):
        raise refuse(f"{MODEL} answers in text only; leave 'audio' out of modalities", "modalities")
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stops) > 4 or not all(stops):
        raise refuse("stop can be one text or up to 4, none of them empty", "stop")
    check_size(request.messages, "messages")
    check_metadata(request.metadata)
    check_range(request.temperature, 0, 2, "temperature")
    check_range(request.top_p, 0, 1, "top_p")
    check_range(request.max_completion_tokens, 1, 10**9, "max_completion_tokens")
    check_range(request.max_tokens, 1, 10**9, "max_tokens")


def _until(text: str, stop: str | list[str] | None) -> str:
    """A text up to where a stop sequence begins."""
    places = [text.find(one) for one in ([stop] if isinstance(stop, str) else stop or [])]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def _read(messages: list[Any]) -> tuple[list[Turn], list[str]]:
    """The turns of a conversation, and notes on what could not be read."""
    turns: list[Turn] = []
    notes: list[str] = []
    calls: set[object] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, Mapping) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise refuse(f"{where}.role is {role!r:.60}; it can be {', '.join(_ROLES)}", f"{where}.role")
        if role == "user":
            notes.clear()  # what is said of pictures is said of the last message
        said = _content(message.get("content"), f"{where}.content", role, notes)
        for place, call in enumerate(message.get("tool_calls") or () if role == "assistant" else ()):
            function = call.get("function") if isinstance(call, Mapping) else None
            if not isinstance(function, Mapping):
                at = f"{where}.tool_calls[{place}].function"
                raise refuse(f"{at} is missing", at, "missing_required_parameter")
            calls.add(str(call.get("id")))
            said += f"{function.get('name')}({function.get('arguments')})"
        if role == "tool" and str(message.get("tool_call_id")) not in calls:
            raise refuse(
                f"{where} answers the call {message.get('tool_call_id')!r:.60}, which no assistant message before it made",
                f"{where}.tool_call_id",
            )
        turns.append(Turn(_ROLES[role], said))
    return turns, notes


def _content(content: object, where: str, role: str, notes: list[str]) -> str:
    if isinstance(content, str):
        return content
    if content is None and role in {"assistant", "function"}:
        return ""
    if not isinstance(content, list):
        raise refuse(f"{where} must be a text or a list of parts", where)
    texts = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            texts.append(part[kind])
        elif isinstance(kind, str) and kind in UNSEEN:
            if UNSEEN[kind] not in notes:
                notes.append(UNSEEN[kind])
        else:
            raise refuse(
                f"{where}[{index}] is of type {kind!r:.60} or has no text; text, image_url, input_audio, file and"
                " refusal are known",
                f"{where}[{index}].type",
            )
    return "\n".join(texts)
