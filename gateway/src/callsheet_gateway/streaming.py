"""Server-sent events out: a provider's events, framed as OpenAI frames them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
from attrs import frozen
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from callsheet import CallsheetError, Event, Stream
from callsheet.jsontext import decode, encode
from callsheet_gateway.errors import envelope, envelope_of, log_bug

__all__ = ["Begun", "EventResponse", "chat_frames", "frame", "response_frames", "with_model"]

Frames = AsyncGenerator[bytes, None]
_DONE = "[DONE]"
_MODEL_FIRST = re.compile(r'\s*\{[^{}\[\]]*?"model"\s*:\s*("(?:[^"\\]|\\.)+")')
"""A JSON object whose `model` is a text, and comes before any bracket. A text with a colon behind it can be a key only."""


class EventResponse(StreamingResponse):
    """An answer of server-sent events, which no proxy shall keep or collect. Its source is closed when it ends."""

    def __init__(self, frames: Frames) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(frames, 200, headers, "text/event-stream")
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):  # the client has gone, and this task is cancelled
                await self._frames.aclose()


@frozen(eq=False)
class Begun:
    """A stream whose first event has come: what fails before it is an ordinary error, with a status."""

    stream: Stream
    first: Event | None

    @classmethod
    async def of(cls, stream: Stream) -> Begun:
        try:
            return cls(stream, await anext(stream))
        except StopAsyncIteration:
            return cls(stream, None)

    async def events(self) -> AsyncGenerator[Event, None]:
        """All events, the first included. The provider's own [DONE] is left out."""
        try:
            if self.first is not None and self.first.raw != _DONE:
                yield self.first
            async for event in self.stream:
                if event.raw != _DONE:
                    yield event
        finally:
            with anyio.CancelScope(shield=True):
                await self.stream.aclose()


def frame(data: str, type: str | None = None) -> bytes:
    """One event on the wire. Line breaks in the data become lines of their own, as the format wants it."""
    head = f"event: {type}\n" if type else ""
    if "\n" in data or "\r" in data:
        lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        text = head + "".join(f"data: {line}\n" for line in lines) + "\n"
    else:
        text = f"{head}data: {data}\n\n"
    return text.encode("utf-8", "replace")


async def response_frames(begun: Begun) -> Frames:
    """The events of a response. A failure on the way is an `error` event, in both shapes that clients know."""
    last, events = None, begun.events()
    try:
        async for event in events:
            last = event
            yield frame(event.raw, event.type)
    except Exception as error:
        inner = _envelope(error)["error"]
        number = _number_of(last) + 1
        flat = {name: inner[name] for name in ("code", "message", "param")}
        yield frame(encode({"type": "error", "sequence_number": number, **flat, "error": inner}).decode(), "error")
    finally:
        await events.aclose()


async def chat_frames(begun: Begun) -> Frames:
    """The chunks of a chat completion, and [DONE] - which does not come after a failure."""
    events = begun.events()
    try:
        async for event in events:
            yield frame(event.raw)
        yield frame(_DONE)
    except Exception as error:
        yield frame(encode(_envelope(error)).decode())
    finally:
        await events.aclose()


def _envelope(error: Exception) -> dict[str, Any]:
    """What a failure on the way is told as. The answer has begun: there is no status any more, and nobody else to catch it."""
    if isinstance(error, CallsheetError):
        return envelope_of(error)
    log_bug({}, error)
    return envelope(500, "the gateway failed in the middle of the stream", "internal_error")


def _number_of(event: Event | None) -> int:
    """An event's sequence number, -1 where there is none."""
    try:
        number = event.data.get("sequence_number") if event else None
    except (ValueError, AttributeError):
        number = None
    return number if isinstance(number, int) else -1


def with_model(stream: Stream, name: Callable[[str], str | None]) -> Stream:
    """Let each event name the model as the caller does; `name` turns the provider's name into it."""

    def change(event: Event) -> Event:
        if '"model"' not in event.raw:
            return event
        # Chunks of a chat all have it, before anything nested: putting it in its place there spares reading the whole.
        plain = event.raw.count('"model"') == 1 and '"response"' not in event.raw
        if plain and (found := _MODEL_FIRST.match(event.raw)) is not None:
            named = name(decode(found[1].encode()))
            return Event(event.type, event.raw[: found.start(1)] + encode(named).decode() + event.raw[found.end(1) :])
        try:
            document = event.data
        except (ValueError, RecursionError):
            return event
        inner = document.get("response", document) if isinstance(document, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("model"), str) or not inner["model"]:
            return event
        inner["model"] = name(inner["model"])
        return Event.of(event.type, document)

    return stream.change(change)
