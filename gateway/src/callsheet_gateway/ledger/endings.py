"""Streams break off: what one says to have used counts only if it was said at its end.

Some servers tell with each event what was used so far. Taken for the whole, that would be too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, field

from callsheet import CreateChatCompletion, Event
from callsheet.models.base import OperationRequest
from callsheet.routing import CallRecord

__all__ = ["GOES_ON", "ChatEnding", "Ending", "ending_of"]

GOES_ON = {"queued", "in_progress"}
"""The statuses of responses that are not over."""
_LAST = {"response.completed", "response.incomplete", "response.failed"}


@define(eq=False)
class Ending:
    """Looks for the last event of a response's stream. `look` is a tap, after the one that fills `call` in.

    It is asked for every event of every stream: all but a few must cost it next to nothing.
    """

    call: CallRecord
    over: bool = field(default=False, init=False)
    """Whether the last event was seen, and told what was used."""
    _told: Mapping[str, Any] | None = field(default=Factory(lambda self: self.call.usage, takes_self=True), init=False)

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What the whole stream used; None if that did not come."""
        return self.call.usage if self.over else None

    def look(self, event: Event) -> None:
        """Look at an event, of which the call's usage was taken already."""
        if (usage := self.call.usage) is self._told:
            return
        self._told, inner = usage, event.document.get("response")
        status = inner.get("status") if isinstance(inner, dict) else None
        self.over = event.type in _LAST or (isinstance(status, str) and status not in GOES_ON)


@define(eq=False)
class ChatEnding(Ending):
    """Looks for the last chunk of a chat: its [DONE] is seen by no tap.

    A chunk that tells the usage can be the last if it has no choices, as OpenAI's, or if none of the answers (`answers`)
    goes on by then: others tell it with the finish_reason, or in an empty chunk right behind it.
    """

    answers: int = 1
    _finished: set[str] = field(factory=set, init=False)
    _before: Event | None = field(default=None, init=False)
    _spoken: bool = field(default=False, init=False)
    """Whether there was anything of an answer: some begin with an empty chunk."""

    def look(self, event: Event) -> None:
        """Look at a chunk, of which the call's usage was taken already."""
        usage = self.call.usage
        if usage is self._told and not self.over:
            self._before = event
            return
        choices = _choices(event)
        if usage is self._told:
            self.over = not any(map(_says_more, choices))  # else it was no end
            return
        both = [*_choices(self._before), *choices]
        self._finished |= {str(one.get("index", 0)) for one in both if one.get("finish_reason")}
        self._spoken = self._spoken or self._before is not None or bool(self._finished) or any(map(_says_more, choices))
        ends = not choices and self._spoken
        self._told, self._before, self.over = usage, None, ends or len(self._finished) >= self.answers


def ending_of(request: OperationRequest, call: CallRecord) -> Ending:
    """What looks for the end of the stream that a request was answered with."""
    if not isinstance(request, CreateChatCompletion):
        return Ending(call)
    return ChatEnding(call, request.n if isinstance(request.n, int) and request.n > 1 else 1)


def _choices(event: Event | None) -> list[dict[str, Any]]:
    said = None if event is None else event.document.get("choices")
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def _says_more(choice: dict[str, Any]) -> bool:
    """Whether there is a part of an answer in a choice, and not only whose it is."""
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
