"""The wire's rules for streams of responses, as a small machine; and the OpenAI SDK's types, which everything must fit."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """A response that is as documented, with usage that adds up."""
    Response.model_validate(document, strict=True)
    usage = document["usage"]
    if document["status"] in {"completed", "incomplete"}:
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    for item in document["output"]:
        assert item["id"].startswith("fc_" if item["type"] == "function_call" else "msg_")
        assert item["type"] == "function_call" or item["phase"] in {"commentary", "final_answer"}
    return document


class Order:
    """Takes events one by one and fails at the first that is not where it belongs."""

    def __init__(self, number: int = 0) -> None:
        self.number, self.state, self.deltas = number, "start", 0
        self.items: list[dict[str, Any]] = []
        self.text = ""
        self.last: dict[str, Any] = {}

    def see(self, type: str, event: dict[str, Any]) -> None:
        EVENTS.validate_python(event)
        assert event["type"] == type
        assert event["sequence_number"] == self.number
        self.number += 1
        allowed = {
            "start": {"response.created"},
            "created": {"response.queued", "response.in_progress"},
            "queued": {"response.in_progress"},
            "between": {"response.output_item.added", *TERMINAL},
            "message": {"response.content_part.added"},
            "part": {"response.output_text.delta", "response.output_text.done"},
            "text_done": {"response.content_part.done"},
            "call": {"response.function_call_arguments.delta", "response.function_call_arguments.done"},
            "closing": {"response.output_item.done"},
            "end": set(),
        }[self.state]
        assert type in allowed, (self.state, type)
        if "output_index" in event:
            assert event["output_index"] == len(self.items) - (type != "response.output_item.added")
        getattr(self, "on_" + type.removeprefix("response.").replace(".", "_"))(event)

    def on_created(self, event):
        assert event["response"]["output"] == []
        assert event["response"]["usage"] is None
        self.state = "created"

    def on_queued(self, event):
        assert event["response"]["status"] == "queued"
        self.state = "queued"

    def on_in_progress(self, event):
        assert event["response"]["status"] == "in_progress"
        self.state = "between"

    def on_output_item_added(self, event):
        item = event["item"]
        assert item["status"] == "in_progress"
        self.items.append(item)
        self.text = ""
        self.state = "call" if item["type"] == "function_call" else "message"
        assert item["arguments"] == "" if self.state == "call" else item["content"] == []

    def on_content_part_added(self, event):
        self._here(event)
        assert event["part"]["text"] == ""
        self.state = "part"

    def on_output_text_delta(self, event):
        self._here(event)
        self.deltas += 1
        self.text += event["delta"]

    on_function_call_arguments_delta = on_output_text_delta

    def on_output_text_done(self, event):
        self._here(event)
        assert event["text"] == self.text
        self.state = "text_done"

    def on_content_part_done(self, event):
        self._here(event)
        assert event["part"]["text"] == self.text
        self.state = "closing"

    def on_function_call_arguments_done(self, event):
        self._here(event)
        assert event["arguments"] == self.text
        self.state = "closing"

    def on_output_item_done(self, event):
        item = event["item"]
        assert item["id"] == self.items[-1]["id"]
        assert item.get("phase") == self.items[-1].get("phase")
        assert self.text == (item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])
        self.items[-1] = item
        self.state = "between"

    def on_completed(self, event):
        self._end(event, {"completed"})

    def on_incomplete(self, event):
        self._end(event, {"incomplete", "cancelled"})

    def _end(self, event, statuses):
        self.last = checked(event["response"])
        assert self.last["status"] in statuses
        assert self.last["output"] == self.items
        assert self.last["usage"]["output_tokens"] == self.deltas
        self.state = "end"

    def _here(self, event):
        assert event["item_id"] == self.items[-1]["id"]


def watched(events) -> dict[str, Any]:
    """The response at the end of a whole stream, when every event was where it belongs."""
    order = Order()
    for event in events:
        order.see(event.type, event.data)
    assert order.state == "end"
    return order.last
