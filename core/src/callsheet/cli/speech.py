"""Telling people what a model says while it says it: the answer on stdout, commentary dimmed on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from callsheet.cli.output import printable
from callsheet.errors import APIConnectionError, APIError
from callsheet.stream import Event

__all__ = ["Speaker", "chat_text", "tell_events", "tell_items"]


class Speaker:
    """Writes text as it comes, and begins a new line wherever the voice or the message changes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._aside: bool | None = None
        self._at_start = True

    def say(self, text: str, phase: str | None = None) -> None:
        """Say a piece of a message. Commentary is an aside, every other phase the answer."""
        aside = phase == "commentary"
        if not text or (aside and self.quiet):
            return
        if aside is not self._aside:
            self.pause()
            self._aside = aside
        if (sys.stderr if aside else sys.stdout).isatty():
            text = printable(text)
        click.echo(click.style(text, dim=True) if aside else text, nl=False, err=aside)
        self._at_start = text.endswith("\n")

    def pause(self) -> None:
        """End the line that was begun, if one was."""
        if not self._at_start:
            click.echo(err=bool(self._aside))
        self._at_start = True


def tell_events(events: Iterable[Event], speaker: Speaker, on_id: Callable[[str], None]) -> dict[str, Any]:
    """Say a response while it comes, and give back the whole of it. `on_id` is told its id, as soon as that is known.

    Raises APIError for an error among the events, APIConnectionError when they end before the response does.
    """
    phases: dict[object, str | None] = {}
    known = False
    for event in events:
        data = event.data
        match data.get("type", event.type):
            case "response.output_item.added" if data["item"].get("type") == "message":
                speaker.pause()
                phases[data.get("output_index")] = data["item"].get("phase")  # deltas do not say it
            case "response.output_text.delta" | "response.refusal.delta":
                speaker.say(data.get("delta", ""), phases.get(data.get("output_index")))
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                speaker.pause()
                whole: dict[str, Any] = data["response"]
                return whole
            case "error":
                speaker.pause()
                raise _broken_off(data)
            case "response.created" | "response.queued" | "response.in_progress" if not known:
                known = bool(id := data["response"].get("id"))
                if known:
                    on_id(id)
    speaker.pause()
    raise APIConnectionError("the stream ended before the response did")


def tell_items(items: Iterable[dict[str, Any]], speaker: Speaker) -> None:
    """Say the messages of a response that is whole."""
    for item in items:
        if item.get("type") == "message":
            for part in item.get("content") or []:
                speaker.say(part.get("text") or part.get("refusal") or "", item.get("phase"))
            speaker.pause()


def chat_text(event: Event) -> str:
    """What a chunk of a chat adds to the answer. Raises APIError for an error among the chunks."""
    if event.raw.strip() == "[DONE]":
        return ""
    data = event.data
    if data.get("error"):
        raise _broken_off(data)
    deltas = [choice.get("delta") or {} for choice in data.get("choices") or [] if not choice.get("index")]
    return "".join(delta.get("content") or delta.get("refusal") or "" for delta in deltas)


def _broken_off(data: dict[str, Any]) -> APIError:
    """The error of an `error` event, which has its fields inside or outside of `error`."""
    inner = data.get("error")
    fields = inner if isinstance(inner, dict) else data
    message = fields.get("message") or (inner if isinstance(inner, str) else json.dumps(data)[:200])
    return APIError(str(message), code=fields.get("code"), body=data)
