"""From sound to events: what begins and ends is told, what it was is measured and becomes an item."""

from __future__ import annotations

from typing import Any

from callsheet_local.realtime.answering import Answers
from callsheet_local.realtime.dialogue import Dialogue
from callsheet_local.realtime.ear import Ear, Ended, Started
from callsheet_local.realtime.events import Refused
from callsheet_local.realtime.pitch import Samples, measure
from callsheet_local.realtime.sessions import dig
from callsheet_local.studio import new_id

__all__ = ["Hearing", "transcribe"]


class Hearing:
    """What one session hears."""

    def __init__(self, dialogue: Dialogue, answers: Answers) -> None:
        self._dialogue, self._answers = dialogue, answers
        self._ear = Ear(self._detection)
        self._item_id = ""

    @property
    def _detection(self) -> Any:
        return dig(self._dialogue.session, "audio", "input", "turn_detection")

    @property
    def speaking(self) -> bool:
        """Whether a sound goes on."""
        return self._ear.speaking

    def configure(self) -> None:
        """Take over what the session says now."""
        self._ear.configure(self._detection)

    def feed(self, samples: Samples) -> None:
        """Hear some more."""
        for happened in self._ear.feed(samples):
            if isinstance(happened, Started):
                self._started(happened)
            else:
                self._ended(happened)

    def commit(self) -> None:
        """Make an item of what was heard, now. Refused if nothing was."""
        samples = self._ear.commit()
        if samples is None:
            raise Refused(
                "input_audio_buffer_commit_empty",
                "there is no sound to commit: with turn detection on, sound is committed when it pauses",
            )
        self._commit(samples, self._item_id or new_id("item"))

    def clear(self) -> None:
        self._ear.clear()
        self._item_id = ""
        self._dialogue.emit("input_audio_buffer.cleared")

    def _started(self, happened: Started) -> None:
        self._item_id = new_id("item")
        self._dialogue.emit("input_audio_buffer.speech_started", audio_start_ms=happened.ms, item_id=self._item_id)
        # What goes on since an earlier report is that sound still: it has been answered, or is being answered.
        if not happened.again and dig(self._detection, "interrupt_response") is not False:
            self._answers.interrupt()

    def _ended(self, happened: Ended) -> None:
        id = self._item_id
        self._dialogue.emit("input_audio_buffer.speech_stopped", audio_end_ms=happened.ms, item_id=id)
        self._commit(happened.samples, id)
        if not happened.again and self._dialogue.answers and dig(self._detection, "create_response") is not False:
            self._answers.want()

    def _commit(self, samples: Samples, id: str) -> None:
        self._item_id = ""
        before = [item["id"] for item in self._dialogue.conversation]
        self._dialogue.emit("input_audio_buffer.committed", item_id=id, previous_item_id=before[-1] if before else None)
        item = {
            "id": id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._dialogue.put(item)
        transcribe(self._dialogue, item, 0, samples)


def transcribe(dialogue: Dialogue, item: dict[str, Any], index: int, samples: Samples) -> None:
    """Measure the sound of an item, and tell what it is."""
    measured = measure(samples)
    item["content"][index]["transcript"] = str(measured)
    dialogue.conversation.heard[item["id"]] = measured
    dialogue.emit(
        "conversation.item.input_audio_transcription.completed",
        item_id=item["id"],
        content_index=index,
        transcript=str(measured),
        usage={"type": "duration", "seconds": round(measured.seconds, 3)},
    )
