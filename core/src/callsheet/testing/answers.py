"""What the fake answers, and the steps by which an answer reaches the other side.

A well-behaved answer and a broken one are both a sequence of steps; the server and the in-process transports act them
out, each in its own way. So a fault is written once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

__all__ = [
    "Answer",
    "Data",
    "End",
    "Head",
    "Mark",
    "Pause",
    "Reset",
    "Stall",
    "Step",
    "document",
    "event_stream",
]


@frozen
class Head:
    """The status and the headers. With `interval` they come a byte at a time, that many seconds apart."""

    status: int
    headers: Sequence[tuple[str, str]]
    interval: float = 0.0


@frozen
class Data:
    """A piece of the body, before any framing. With `interval` a byte at a time."""

    content: bytes = field(repr=False)
    interval: float = 0.0


@frozen
class Pause:
    """Nothing, for so many seconds."""

    seconds: float


@frozen
class Mark:
    """A fault happens here. Costs no time; nothing is sent."""

    stage: str


@frozen
class Stall:
    """Nothing ever again; the connection stays open until the other side gives up."""


@frozen
class Reset:
    """The connection ends with an RST."""


@frozen
class End:
    """The body is whole."""


Step: TypeAlias = Head | Data | Pause | Mark | Stall | Reset | End


@frozen
class Answer:
    """A whole answer. `stream` says that its pieces are events, sent one by one, of unknown length in all.

    `content_from` is the number of the first piece with content in it (text, not lifecycle); `last` how many pieces at
    the end say that the whole is complete.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    pieces: Sequence[bytes] = field(default=(), repr=False)
    stream: bool = False
    content_from: int = 0
    last: int = 0

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, length: int | None = None, **changed: str) -> Head:
        """The head of this answer, with the framing that fits: chunked for a stream, else a length."""
        framing = {"transfer-encoding": "chunked"} if self.stream else {"content-length": str(length)}
        if not self.stream and length is None:
            framing = {"content-length": str(len(self.body))}
        if self.status == 204:
            framing = {}
        changes = {name.replace("_", "-"): value for name, value in changed.items()}
        return Head(self.status, list({**self.headers, **framing, **changes}.items()))

    def steps(self) -> Iterator[Step]:
        yield self.head()
        for piece in self.pieces:
            yield Data(piece)
        yield End()


def document(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON document."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, {"content-type": "application/json", **(headers or {})}, [content])


def event_stream(
    events: Sequence[Mapping[str, Any] | str], content_from: int, last: int, *, named: bool = True
) -> Answer:
    """Server-sent events, one piece each. `named` writes the `event:` line, from the event's own type."""
    pieces = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        name = f"event: {event['type']}\n" if named and not isinstance(event, str) else ""
        pieces.append(f"{name}data: {data}\n\n".encode())
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Answer(200, headers, pieces, stream=True, content_from=content_from, last=last)
