"""Server-sent events out: a provider's events, framed as OpenAI frames them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
from attrs import frozen
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from callsheet import CallsheetError, Event, Stream
from callsheet.jsontext import decode, encode
from callsheet_gateway.errors import ending, envelope, envelope_of, log_bug, remember
from callsheet_gateway.ledger.streams import is_only_usage
from callsheet_gateway.protocol import Left, gone_in
from callsheet_gateway.request_record import record_in

__all__ = ["Begun", "EventResponse", "chat_frames", "failure", "frame", "response_frames", "with_model"]

Frames = AsyncGenerator[bytes, None]
_DONE = "[DONE]"
_MODEL_FIRST = re.compile(r'\s*\{[^{}\[\]]*?(?<!\\)"model"\s*:\s*("(?:[^"\\]|\\.)+")')
"""A JSON object whose `model` is a text, and comes before any bracket. A text with a colon behind it can be a key only.

A quote behind a backslash stands inside of a text."""


class EventResponse(StreamingResponse):
    """An answer of server-sent events, which no proxy shall keep or collect. Its source is closed when it ends.

    `stream` is what the frames are made of: they can't close it if nobody has begun to take them.
    """

    def __init__(self, frames: Frames, stream: Stream | None = None) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(frames, 200, headers, "text/event-stream")
        self._frames, self._stream = frames, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = gone_in(scope)
        try:
            if gone is None:
                await super().__call__(scope, receive, send)
                return
            # It spares the two tasks by which Starlette hears that the client has left.
            await gone.unless(self.stream_response(send))
        except Left:
            if gone is not None and gone.ending and record_in(scope).first_byte is None:
                raise ending() from None
        finally:
            with anyio.CancelScope(shield=True):  # the client has gone, and this task is cancelled
                await self._frames.aclose()
                if self._stream is not None:
                    await self._stream.aclose()


@frozen(eq=False)
class Begun:
    """A stream whose first event has come: what fails before it is an ordinary error, with a status."""

    stream: Stream
    first: Event | None
    scope: Scope
    """The request's: what fails later stands in its record."""

    @classmethod
    async def of(cls, stream: Stream, scope: Scope) -> Begun:
        return cls(stream, await anext(stream, None), scope)

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """All events, the first included, each with those that came together with it. The provider's own [DONE] is left out."""
        stream, event, hides = self.stream, self.first, record_in(self.scope).hides_usage
        try:
            while event is not None:
                came = [event for event in (event, *stream.ready()) if event.raw != _DONE]
                if came and hides:
                    came = [event for event in came if '"usage"' not in event.raw or not is_only_usage(event)]
                if came:
                    yield came
                event = await anext(stream, None)
        except asyncio.CancelledError:
            gone = gone_in(self.scope)
            if (task := asyncio.current_task()) is None or gone is None or not gone.ending:
                raise
            task.uncancel()  # the gateway ends: who is still there is told so
            raise ending() from None
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()


def frame(data: str, type: str | None = None) -> bytes:
    """One event on the wire. Line breaks in the data become lines of their own, as the format wants it."""
    return _bytes(_frame(data, type))


def _frame(data: str, type: str | None = None) -> str:
    head = f"event: {type}\n" if type else ""
    if "\n" in data or "\r" in data:
        lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return head + "".join(f"data: {line}\n" for line in lines) + "\n"
    return f"{head}data: {data}\n\n"


def _frames(texts: list[str]) -> str:
    """Several events without a type on the wire. Nearly all have no line break in them, which one look at all tells."""
    plain = "\n\ndata: ".join(texts)
    if "\r" in plain or plain.count("\n") != 2 * (len(texts) - 1):
        return "".join([_frame(text) for text in texts])
    return f"data: {plain}\n\n"


def _bytes(frames: str) -> bytes:
    return frames.encode("utf-8", "replace")


async def response_frames(begun: Begun) -> Frames:
    """The events of a response. A failure on the way is an `error` event, in both shapes that clients know."""
    last, events = None, begun.events()
    try:
        async for came in events:
            last = came[-1]
            yield _bytes("".join([_frame(event.raw, event.type) for event in came]))
    except Exception as error:
        inner = failure(error, begun.scope)["error"]
        number = _number_of(last) + 1
        flat = {name: inner[name] for name in ("code", "message", "param")}
        yield frame(encode({"type": "error", "sequence_number": number, **flat, "error": inner}).decode(), "error")
    finally:
        await events.aclose()


async def chat_frames(begun: Begun) -> Frames:
    """The chunks of a chat completion, and [DONE] - which does not come after a failure."""
    events = begun.events()
    try:
        async for came in events:
            yield _bytes(_frames([event.raw for event in came]))
        yield frame(_DONE)
    except Exception as error:
        yield frame(encode(failure(error, begun.scope)).decode())
    finally:
        await events.aclose()


def failure(error: Exception, scope: Scope) -> dict[str, Any]:
    """What a failure on the way is told as, and remembered. The answer has begun: there is no status any more, and nobody
    else to catch it.
    """
    if isinstance(error, CallsheetError):
        remember(scope, error)
        return envelope_of(error)
    log_bug(scope, error)
    record_in(scope).error = "internal_error"
    return envelope(500, "the gateway failed in the middle of the stream", "internal_error")


def _number_of(event: Event | None) -> int:
    """An event's sequence number, -1 where there is none."""
    number = event.document.get("sequence_number") if event is not None else None
    return number if isinstance(number, int) else -1


def with_model(stream: Stream, name: Callable[[str], str | None]) -> Stream:
    """Let each event name the model as the caller does; `name` turns the provider's name into it."""
    theirs = ours = ""

    def change(event: Event) -> Event:
        nonlocal theirs, ours
        raw = event.raw
        if theirs and raw.startswith(theirs) and _is_plain(rest := raw[len(theirs) :]):
            return Event(event.type, ours + rest)
        if '"model"' not in raw:
            return event
        # Chunks of a chat all have it, before anything nested: putting it in its place there spares reading the whole.
        # They begin alike, too: what was put in the place of one beginning fits the next ones.
        if (
            (found := _MODEL_FIRST.match(raw)) is not None
            and _is_plain(rest := raw[found.end() :])
            and '"response"' not in found[0]
        ):
            theirs, named = found[0], encode(name(decode(found[1].encode()))).decode()
            ours = raw[: found.start(1)] + named
            return Event(event.type, ours + rest)
        document = event.document
        inner = document.get("response", document)
        if not isinstance(inner, dict) or not isinstance(inner.get("model"), str) or not inner["model"]:
            return event
        inner["model"] = name(inner["model"])
        return Event.of(event.type, document)

    return stream.change(change)


def _is_plain(rest: str) -> bool:
    """Whether what follows a model's name leaves it the one that counts: there is no later one, nor one of a response."""
    return '"model"' not in rest and '"response"' not in rest
