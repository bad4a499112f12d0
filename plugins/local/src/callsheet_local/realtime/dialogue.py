"""What the parts of one session share: its document, its conversation, and the ways to the peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field

from callsheet_local.realtime.conversation import Conversation
from callsheet_local.realtime.events import server_event
from callsheet_local.realtime.thinker import Think
from callsheet_local.realtime.voice import Mouth, Utterance

__all__ = ["Dialogue"]


_FOR_PAGES = frozenset(
    {
        "conversation.item.added",
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_text.delta",
        "response.output_text.done",
    }
)


@define(eq=False)
class Dialogue:
    """One session. `send` takes an event for the peer; `start` runs a task and holds on to it; `think` works out what
    takes long, beside the loop."""

    session: dict[str, Any]
    send: Callable[[dict[str, Any]], None]
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    think: Think
    audible: bool
    """Whether the peer takes sound. If not, answers have no sound, whatever the modality."""
    filtered: bool = False
    """Whether only what a page needs is sent (`webrtcfilter`)."""
    conversation: Conversation = field(factory=Conversation)
    mouth: Mouth = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mouth = Mouth(
            lambda id: self.emit("output_audio_buffer.started", response_id=id),
            lambda id: self.emit("output_audio_buffer.stopped", response_id=id),
        )

    @property
    def answers(self) -> bool:
        """Whether this is a session in which answers are given: not one that only transcribes."""
        return bool(self.session["type"] == "realtime")

    def emit(self, type: str, **fields: Any) -> None:
        """Send the peer an event."""
        if not self.filtered or type in _FOR_PAGES:
            self.send(server_event(type, **fields))

    def put(self, item: dict[str, Any], after: object = None) -> None:
        """Add an item that is complete to the conversation."""
        before = self.conversation.add(item, after)
        for type in ("conversation.item.added", "conversation.item.done"):
            self.emit(type, previous_item_id=before, item=item)

    def say(self, utterance: Utterance) -> None:
        if self.audible and utterance.pieces:
            self.mouth.say(utterance)
