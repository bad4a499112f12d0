"""Event streams of responses and chat: every event as it came, errors raised, and a broken-off answer told from a whole one.

An answer has one last event: `response.completed`, `.incomplete` or `.failed`, and in chat `[DONE]`. A stream that ends
without it was cut, even if the connection was closed politely.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Literal

from attrs import define, field

from callsheet.envelope import error_in_answer
from callsheet.errors import APIError, APIResponseValidationError
from callsheet.exchange import ByteStream, Reply, Request
from callsheet.io import IO
from callsheet.sse import SSEEvents
from callsheet.stream import Event, ReadsAhead, Stream

__all__ = ["open_stream"]

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
_LOOKED_AT = {"message", *TERMINAL}
"""The types of a response's events that say too little, or that it is over."""
DONE = "[DONE]"
MOST_OF_AN_ERROR = 1024 * 1024
Kind = Literal["responses", "chat"]
MakeError = Callable[[object, object], APIError]


async def open_stream(request: Request, io: IO, kind: Kind, make_error: MakeError = error_in_answer) -> Stream:
    """Send a request and hand out its events. Raises for an answer that is no event stream, before the first event.

    `make_error` makes the exception of an error that comes among the events.
    """
    answer = await io.stream(request)
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "text/event-stream":
        raise await _no_stream(answer, media_type, make_error)
    return Stream(Checked(answer, kind, make_error))


@define(eq=False)
class Checked(ReadsAhead):
    """The events of an answer, up to its last one."""

    _answer: ByteStream
    _kind: Kind
    _make_error: MakeError
    _events: SSEEvents = field(init=False)
    _ended: bool = False

    def __attrs_post_init__(self) -> None:
        self._events = SSEEvents(self._answer)

    async def __anext__(self) -> Event:
        while not self._ended:
            try:
                event = await self._events.__anext__()
            except StopAsyncIteration:
                if self._kind == "chat" and self._events.unfinished.strip() == DONE:  # some leave the blank line out
                    break
                raise APIResponseValidationError(
                    "the stream ended without its last event"
                    f" ({DONE if self._kind == 'chat' else 'response.completed'}): what came before is not the whole answer"
                ) from None
            if event.raw.strip() == DONE:
                self._ended = self._kind == "chat"  # elsewhere some servers add it; there it means nothing
                continue
            event = _named(event) if self._kind == "responses" else event
            if event.type == "error" or '"error"' in event.raw:
                self._raise_error(event)
            self._ended = self._kind == "responses" and event.type in TERMINAL
            return event
        # Only the end of the connection's answer is left to read; then another request may use it.
        await self._answer.drain(0.1)
        raise StopAsyncIteration

    def ready(self, most: int) -> list[Event]:
        """The plain events that came with the last one: those that `__anext__` would give as they are, and go on after."""
        return self._events.ready_while(self._is_plain, most) if not self._ended else []

    def _is_plain(self, event: Event) -> bool:
        if '"error"' in event.raw or event.type == "error" or event.raw.strip() == DONE:
            return False
        return self._kind == "chat" or event.type not in _LOOKED_AT

    async def aclose(self) -> None:
        await self._events.aclose()

    def _raise_error(self, event: Event) -> None:
        """Raise what an error event says: `{"error": {...}}`, or the fields side by side as OpenAI's own schema has them.

        `{"object": "error", ...}` is how older servers of vLLM say it in a chat.

        A response that failed is none: it says so in `response.failed`, its last event.
        """
        data = event.document
        inner = data.get("error")
        # Among responses' events a tool may tell of an error of its own, by an event of its own type.
        told = bool(inner) and (self._kind == "chat" or data.get("type", "error") == "error")
        if event.type != "error" and data.get("object") != "error" and not told:
            return
        if not isinstance(inner, dict):  # its type is the event's, and says nothing of the error
            inner = {"code": data.get("code"), "message": inner or data.get("message"), "param": data.get("param")}
        raise self._make_error(inner, data or event.raw)


def _named(event: Event) -> Event:
    """The event with its type, for servers that say it in the data only."""
    if event.type != "message":
        return event
    data = event.document
    kind = data.get("type")
    return Event(kind, event.raw) if isinstance(kind, str) else event


async def _no_stream(answer: ByteStream, media_type: str, make_error: MakeError) -> APIError:
    content = b""
    async with aclosing(answer):
        async for chunk in answer:
            content += chunk
            if len(content) > MOST_OF_AN_ERROR:
                break
    reply, whole_answer = Reply(answer.status, answer.headers, content), False
    with suppress(APIResponseValidationError):
        document = reply.json()
        if isinstance(document, dict) and document.get("error"):
            return make_error(document["error"], document)
        whole_answer = isinstance(document, dict)  # and paid for: asking again would buy the same once more
    return APIResponseValidationError(
        f"the provider answered {answer.status} with {media_type[:60] or 'no content type'} where events were expected;"
        " perhaps the server does not stream",
        request_id=reply.request_id,
        should_retry=False if whole_answer else None,
    )
