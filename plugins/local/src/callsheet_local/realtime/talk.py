"""What the peer may say on the data channel, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callsheet_local.realtime.answering import Answers
from callsheet_local.realtime.conversation import read_item, sound_of
from callsheet_local.realtime.dialogue import Dialogue
from callsheet_local.realtime.events import Refused, error_event, parse
from callsheet_local.realtime.hearing import Hearing, transcribe
from callsheet_local.realtime.pitch import Samples
from callsheet_local.realtime.sessions import MODEL, MOST_BYTES, dig, merge
from callsheet_local.realtime.voice import said_within
from callsheet_local.scribe.machine import tokens

__all__ = ["Talk"]


class Talk:
    """One session's protocol: events in, events out. Knows nothing of connections."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._answers = Answers(dialogue)
        self._hearing = Hearing(dialogue, self._answers)
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate_item,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": lambda _: self._hearing.commit(),
            "input_audio_buffer.clear": lambda _: self._hearing.clear(),
            "output_audio_buffer.clear": lambda _: self._answers.clear(),
            "response.create": lambda event: self._answers.create(event.get("response")),
            "response.cancel": lambda event: self._answers.cancel(event.get("response_id")),
        }

    def open(self) -> None:
        """Greet the peer."""
        self._dialogue.emit("session.created", session=self._dialogue.session)

    def receive(self, message: str | bytes) -> None:
        """Do what an event asks for. Whatever is wrong with it, the peer is told and the session goes on."""
        event: dict[str, Any] = {}
        try:
            event = parse(message)
            handler = self._handlers.get(event["type"])
            if handler is None:
                known = ", ".join(sorted(self._handlers))
                raise Refused(
                    "unknown_event", f"there is no event of type {event['type']!r:.80}; known: {known}", "type"
                )
            handler(event)
        except Refused as refused:
            self._dialogue.send(error_event(refused, event.get("event_id")))
        except Exception as error:  # a fault of ours must not take the connection down
            told = Refused("internal_error", f"a fault in the local provider: {type(error).__name__}")
            self._dialogue.send(error_event(told, event.get("event_id")))

    def hear(self, samples: Samples) -> None:
        """Take sound that came on the peer's track."""
        self._hearing.feed(samples)

    @property
    def hears_sound(self) -> bool:
        """Whether a sound goes on, whose end is awaited."""
        return self._hearing.speaking

    def _update(self, event: dict[str, Any]) -> None:
        given, session = event.get("session"), self._dialogue.session
        if not isinstance(given, dict):
            raise Refused("invalid_value", "session must be an object", "session")
        if given.get("type", session["type"]) != session["type"]:
            raise Refused("invalid_value", f"this session's type is {session['type']}, and stays that", "session.type")
        if session["type"] == "realtime" and given.get("model", MODEL) != MODEL:
            raise Refused("invalid_value", f"this session's model is {MODEL}, and stays that", "session.model")
        merged = {**merge(session, given), **{name: session[name] for name in ("id", "object", "expires_at")}}
        if len(repr(merged)) > MOST_BYTES:
            raise Refused("session_too_big", f"the session would have more than {MOST_BYTES:,} bytes", "session")
        self._dialogue.session = merged
        self._hearing.configure()
        self._dialogue.emit("session.updated", session=merged)

    def _create_item(self, event: dict[str, Any]) -> None:
        item = read_item(event.get("item"))
        sounds = self._sounds(item)
        self._dialogue.put(item, event.get("previous_item_id"))
        for index, samples in sounds.items():
            transcribe(self._dialogue, item, index, samples)

    def _sounds(self, item: dict[str, Any]) -> dict[int, Samples]:
        """Take the sound out of an item's parts: it is measured, not kept."""
        parts = item["content"] if item["type"] == "message" and item["role"] == "user" else []
        return {
            index: sound_of(part.pop("audio"), self._format, f"item.content[{index}].audio")
            for index, part in enumerate(parts)
            if part["type"] == "input_audio" and part.get("audio") is not None
        }

    @property
    def _format(self) -> Any:
        return dig(self._dialogue.session, "audio", "input", "format")

    def _retrieve_item(self, event: dict[str, Any]) -> None:
        item = self._dialogue.conversation.get(event.get("item_id"))
        self._dialogue.emit("conversation.item.retrieved", item=item)

    def _delete_item(self, event: dict[str, Any]) -> None:
        self._dialogue.conversation.remove(event.get("item_id"))
        self._dialogue.emit("conversation.item.deleted", item_id=event["item_id"])

    def _truncate_item(self, event: dict[str, Any]) -> None:
        """Forget what of a spoken answer was not heard any more."""
        conversation = self._dialogue.conversation
        item = conversation.get(event.get("item_id"))
        end = event.get("audio_end_ms")
        parts = item["content"] if item["type"] == "message" and item["role"] == "assistant" else []
        if not parts or "transcript" not in parts[0]:
            raise Refused("invalid_value", "only spoken answers can be truncated", "item_id")
        if not isinstance(end, int) or isinstance(end, bool) or end < 0:
            raise Refused("invalid_value", "audio_end_ms is a whole number of milliseconds", "audio_end_ms")
        pieces = tokens(str(parts[0]["transcript"] or ""))
        heard = said_within(pieces, conversation.speeds.get(item["id"], 1.0), end)
        parts[0]["transcript"] = "".join(pieces[:heard])
        self._dialogue.emit("conversation.item.truncated", item_id=item["id"], content_index=0, audio_end_ms=end)

    def _append(self, event: dict[str, Any]) -> None:
        self._hearing.feed(sound_of(event.get("audio"), self._format, "audio"))
