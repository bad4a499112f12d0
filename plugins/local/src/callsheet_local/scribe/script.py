"""A response as a script: its finished document, what it was like after so many tokens, and the events on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from callsheet_local.scribe.items import new_id
from callsheet_local.scribe.talk import Reply, tokens

__all__ = ["Beat", "Script", "items_for"]

JSON = dict[str, Any]


def items_for(said: Reply, parallel: bool) -> list[JSON]:
    """The output items of a reply: commentary, then the calls, or the final answer."""
    items: list[JSON] = []
    if said.commentary is not None:
        items.append(_message("commentary", said.commentary))
    for call in said.calls if parallel else said.calls[:1]:
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        items.append(
            {
                "id": new_id("fc"),
                "type": "function_call",
                "status": "completed",
                "call_id": new_id("call"),
                "name": call.name,
                "arguments": arguments,
            }
        )
    if not said.calls:
        items.append(_message("final_answer", said.answer))
    return items


def _message(phase: str, text: str) -> JSON:
    return {
        "id": new_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": phase,
        "content": [_part(text)],
    }


def _part(text: str) -> JSON:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _text(item: JSON) -> str:
    """What is generated of an item: a message's text, a call's arguments."""
    text: str = item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
    return text


def _with_text(item: JSON, text: str, status: str) -> JSON:
    if item["type"] == "function_call":
        return {**item, "status": status, "arguments": text}
    return {**item, "status": status, "content": [_part(text)]}


@frozen
class Beat:
    """One event, and after how many tokens it is due; -1: before the response has begun."""

    type: str
    document: JSON
    due: int


@frozen
class Script:
    """A finished response: `document` as it is at the end, completed or incomplete."""

    document: JSON
    length: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "length", sum(len(tokens(_text(item))) for item in self.document["output"]))

    def cut(self, most: int, status: str, item_status: str, **fields: Any) -> Script:
        """The script up to so many tokens. An item that is cut has the given status; `fields` replace others."""
        left = max(0, most)
        output: list[JSON] = []
        for item in self.document["output"]:
            pieces = tokens(_text(item))
            if left == 0 and (pieces or output):
                break
            kept = pieces[:left]
            whole = len(kept) == len(pieces)
            output.append(_with_text(item, "".join(kept), item["status"] if whole else item_status))
            left -= len(kept)
        count = most - left
        document = {**self.document, "output": output, "status": status, **fields}
        if isinstance(usage := document.get("usage"), dict):
            total = usage["input_tokens"] + count
            document["usage"] = {**usage, "output_tokens": count, "total_tokens": total}
        return Script(document)

    def limited(self, most: int | None) -> Script:
        """The script with a limit on its tokens: incomplete if that is too few."""
        if most is None or most >= self.length:
            return self
        reason = {"reason": "max_output_tokens"}
        return self.cut(most, "incomplete", "incomplete", incomplete_details=reason, completed_at=None)

    def begun(self, status: str) -> JSON:
        """The document before anything was generated."""
        nothing: JSON = {"output": [], "usage": None, "completed_at": None, "incomplete_details": None}
        return {**self.document, **nothing, "status": status}

    def under_way(self, count: int) -> JSON:
        """The document after so many tokens."""
        cut = self.cut(count, "in_progress", "in_progress", completed_at=None, incomplete_details=None)
        return {**cut.document, "usage": None}

    def cancelled(self, count: int) -> Script:
        """What is left of a response that was stopped after so many tokens."""
        return self.cut(count, "cancelled", "incomplete", completed_at=None, incomplete_details=None)

    def beats(self) -> Iterator[Beat]:
        """All events, in the documented order. Their sequence numbers are their places."""
        for number, (type, due, fields) in enumerate(self._events()):
            yield Beat(type, {"type": type, "sequence_number": number, **fields}, due)

    def _events(self) -> Iterator[tuple[str, int, JSON]]:
        background = bool(self.document.get("background"))
        yield "response.created", -1, {"response": self.begun("queued" if background else "in_progress")}
        if background:
            yield "response.queued", -1, {"response": self.begun("queued")}
        yield "response.in_progress", 0, {"response": self.begun("in_progress")}
        count = 0
        for index, item in enumerate(self.document["output"]):
            events = _call_events if item["type"] == "function_call" else _message_events
            begins, pieces, ends = events(item)
            place = {"item_id": item["id"], "output_index": index}
            empty = _with_text(item, "", "in_progress")
            if item["type"] == "message":
                empty["content"] = []
            yield "response.output_item.added", count, {"output_index": index, "item": empty}
            for type, fields in begins:
                yield type, count, {**place, **fields}
            for type, fields in pieces:
                count += 1
                yield type, count, {**place, **fields}
            for type, fields in ends:
                yield type, count, {**place, **fields}
            yield "response.output_item.done", count, {"output_index": index, "item": item}
        # There is no event for a cancelled response: its status tells.
        ending = "completed" if self.document["status"] == "completed" else "incomplete"
        yield f"response.{ending}", count, {"response": self.document}


_Events = list[tuple[str, JSON]]


def _message_events(item: JSON) -> tuple[_Events, _Events, _Events]:
    text = _text(item)
    at = {"content_index": 0}
    begins = [("response.content_part.added", {**at, "part": _part("")})]
    pieces = [("response.output_text.delta", {**at, "delta": piece, "logprobs": []}) for piece in tokens(text)]
    ends = [
        ("response.output_text.done", {**at, "text": text, "logprobs": []}),
        ("response.content_part.done", {**at, "part": _part(text)}),
    ]
    return begins, pieces, ends


def _call_events(item: JSON) -> tuple[_Events, _Events, _Events]:
    arguments, name = item["arguments"], item["name"]
    pieces = [("response.function_call_arguments.delta", {"delta": piece}) for piece in tokens(arguments)]
    return [], pieces, [("response.function_call_arguments.done", {"arguments": arguments, "name": name})]
