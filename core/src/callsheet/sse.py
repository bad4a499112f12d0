"""Server-sent events: a decoder that does no I/O, and events out of an answer's bytes (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable

from attrs import define, field

from callsheet.errors import APIResponseValidationError
from callsheet.io import ByteStream
from callsheet.stream import Event

__all__ = ["SSEDecoder", "SSEEvents"]

MAX_EVENT_CHARACTERS = 32 * 1024 * 1024
"""As much as any other answer may have: an event may carry a whole image in base64, and it is paid for."""


@define
class SSEDecoder:
    """Turns bytes, cut anywhere, into events.

    Comments, `id` and `retry` are passed over; several `data` lines are joined by line breaks; a byte-order mark and all
    three kinds of line end are understood. Raises APIResponseValidationError for an event longer than `max_characters`.
    """

    max_characters: int = MAX_EVENT_CHARACTERS
    _decode: codecs.IncrementalDecoder = field(
        factory=lambda: codecs.getincrementaldecoder("utf-8-sig")("replace"), init=False
    )
    _pending: list[str] = field(factory=list, init=False)
    _held: int = field(default=0, init=False)
    _after_cr: bool = field(default=False, init=False)
    _type: str = field(default="", init=False)
    _data: list[str] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)

    def feed(self, chunk: bytes, final: bool = False) -> list[Event]:
        """The events that are complete now. An event that is unfinished when the stream ends is dropped, as specified."""
        text = self._decode.decode(chunk, final)
        if self._after_cr and text:
            text, self._after_cr = text.removeprefix("\n"), False  # the second half of a CRLF that was cut in two
        self._after_cr = self._after_cr or text.endswith("\r")
        # Only these three end a line; str.splitlines would also split at U+2028 and others that stand in JSON texts.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._pending.append(text)  # joined only when its line ends: a long line may come in very small pieces
        self._held += len(text)
        events: list[Event] = []
        if "\n" in text:
            *blocks, rest = "".join(self._pending).split("\n\n")
            for block in blocks:
                if (event := self._whole(block)) is not None:
                    events.append(event)
                else:
                    events += self._lines([*block.split("\n"), ""])
            *lines, rest = rest.split("\n")
            events += self._lines(lines)
            self._pending, self._held = [rest], len(rest)
        self._guard(self._held)
        return events

    @property
    def unfinished(self) -> str:
        """The data of an event that no blank line has ended yet."""
        line = "".join(self._pending)
        rest = [line.removeprefix("data:").removeprefix(" ")] if line.startswith("data:") else []
        return "\n".join([*self._data, *rest])

    def _whole(self, block: str) -> Event | None:
        """The event in the lines before a blank one, where they are as most are: its data in one, perhaps its type before."""
        if self._data or self._type or len(block) > self.max_characters:
            return None
        if block.startswith("data: ") and "\n" not in block:
            return Event("message", block[6:])
        type, data = "", block
        if block.startswith("event: "):
            type, _, data = block.removeprefix("event: ").partition("\n")
        return Event(type or "message", data[6:]) if data.startswith("data: ") and "\n" not in data else None

    def _lines(self, lines: list[str]) -> list[Event]:
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event(self._type or "message", "\n".join(self._data)) if self._data else None
            self._type, self._data, self._size = "", [], 0
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._guard(len(value))
            self._size += len(value) + 1
            self._data.append(value)
        elif name == "event":
            self._type = value
        return None

    def _guard(self, more: int) -> None:
        if self._size + more > self.max_characters:
            raise APIResponseValidationError(f"a server-sent event is longer than {self.max_characters:,} characters")


@define(eq=False)
class SSEEvents:
    """The events of an answer: give it to `Stream`. Closing it closes the answer's connection."""

    _chunks: ByteStream
    _decoder: SSEDecoder = field(factory=SSEDecoder)
    _ready: deque[Event] = field(factory=deque, init=False)

    async def __anext__(self) -> Event:
        while not self._ready:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._ready.extend(self._decoder.feed(b"", final=True))
                if not self._ready:
                    raise
                break
            self._ready.extend(self._decoder.feed(chunk))
        return self._ready.popleft()

    def ready_while(self, wanted: Callable[[Event], bool], most: int) -> list[Event]:
        """The events that have come already, up to `most`, or to one that is not `wanted`."""
        ready, events = self._ready, list[Event]()
        while ready and len(events) < most and wanted(ready[0]):
            events.append(ready.popleft())
        return events

    @property
    def unfinished(self) -> str:
        """What came of an event that the end of the answer cut off."""
        return self._decoder.unfinished

    async def aclose(self) -> None:
        await self._chunks.aclose()
