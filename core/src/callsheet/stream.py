"""What arrives piece by piece: events (`Stream`) and bytes (`Download`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from attrs import Factory, define, field

from callsheet.errors import APIResponseValidationError, CallsheetError
from callsheet.jsontext import decode, encode
from callsheet.models.base import Meta

if TYPE_CHECKING:
    from callsheet.exchange import ByteStream

__all__ = ["Download", "Event", "Source", "Stream"]

_NO_FILES = {"text/html", "application/json", "text/event-stream"}
_DIGITS = re.compile("[0-9]{1,18}")
_CONTENT_RANGE = re.compile(
    r"bytes (?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<total>[0-9]{1,18}|\*)", re.IGNORECASE
)

T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """Where a stream's pieces come from: an async iterator that can be closed. An async generator is one."""

    async def __anext__(self) -> T_co: ...
    async def aclose(self) -> None: ...


class ReadsAhead:
    """Base of a source of events that may have more of them than it has given: those that came in one piece."""

    def ready(self, most: int) -> list[Event]:
        """Up to `most` events that need no waiting. An error, and the end, are left to `__anext__`."""
        raise NotImplementedError


@define(eq=False)
class Event:
    """One event: its type, and its data as the text that came. `data` decodes it, each time it is asked.

    Nobody changes one: `Stream.change` puts another in its place. (Frozen ones take three times as long to make.)
    """

    type: str
    raw: str

    @property
    def data(self) -> Any:
        """The decoded JSON; ValueError if it is none. Numbers are read as `Reply.json` does."""
        return decode(self.raw)

    @property
    def document(self) -> dict[str, Any]:
        """The decoded JSON object, each time it is asked; an empty one where the data is none, or can't be read."""
        try:
            data = self.data
        except (ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    @classmethod
    def of(cls, type: str, document: object) -> Event:
        return cls(type, encode(document).decode())


def _odd(error: Exception) -> APIResponseValidationError:
    kind = type(error).__name__
    odd = APIResponseValidationError(f"the adapter did not understand an event ({kind})")
    odd.__cause__ = error
    return odd


class _Closing:
    """`async with` and closing once, for both kinds of stream."""

    _source: Source[Any]
    meta: Meta
    _closed: bool = False
    _secrets: Sequence[str] = ()

    def hide(self, secrets: Sequence[str]) -> None:
        """What no error of this stream may say."""
        self._secrets = secrets

    def _explain(self, error: BaseException) -> None:
        """Let an error say whose answer it broke off, and no secret."""
        if isinstance(error, CallsheetError):
            error.hide(self._secrets)
            error.provider = error.provider or self.meta.provider
            error.request_id = error.request_id or self.meta.request_id

    async def aclose(self) -> None:
        """Close the stream, and with it the connection that it comes over. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self


@define(eq=False, slots=False)
class Stream(_Closing):
    """Events as they come. Iterate it; leave early by `aclose` or `async with`: the upstream is closed at once.

    A class, not an async generator: an abandoned generator is finalised whenever, and by another task's loop.
    """

    _source: Source[Event] = field(repr=False)
    meta: Meta = Factory(Meta)
    _on_event: list[Callable[[Event], None]] = field(factory=list, init=False, repr=False)
    _on_end: list[Callable[[BaseException | None], None]] = field(factory=list, init=False, repr=False)
    _changes: list[Callable[[Event], Event]] = field(factory=list, init=False, repr=False)
    _failed: Exception | None = field(default=None, init=False, repr=False)
    """What went wrong with an event that was ready: those before it are given first."""

    def tap(
        self,
        on_event: Callable[[Event], None] | None = None,
        on_end: Callable[[BaseException | None], None] | None = None,
    ) -> Stream:
        """Look at each event, and at the end (with the error that ended it, or None), without changing anything."""
        if on_event:
            self._on_event.append(on_event)
        if on_end:
            self._on_end.append(on_end)
        return self

    def change(self, function: Callable[[Event], Event]) -> Stream:
        """Let a function replace each event before anybody sees it."""
        self._changes.append(function)
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        try:
            if self._failed is not None:
                raise self._failed
            return self._seen(await self._understood())
        except StopAsyncIteration:
            await self._end(None)
            raise
        except BaseException as error:
            self._explain(error)
            await self._end(error)
            raise

    def ready(self, most: int = 256) -> list[Event]:
        """Up to `most` events that are there without waiting: they came together with the one before. Often there is none.

        An error among them is raised by the next `__anext__`, when those before it were given.
        """
        source, events = self._source, list[Event]()
        if self._closed or self._failed is not None or not isinstance(source, ReadsAhead):
            return events
        try:
            for event in source.ready(most):  # as `_seen`, whose call would cost more than what it does
                for change in self._changes:
                    event = change(event)
                for look in self._on_event:
                    look(event)
                events.append(event)
        except Exception as error:
            self._failed = error
        return events

    def _seen(self, event: Event) -> Event:
        for change in self._changes:
            event = change(event)
        for look in self._on_event:
            look(event)
        return event

    async def _understood(self) -> Event:
        """The next event. As in a hook: what an adapter stumbles over is an answer that can't be understood."""
        try:
            return await self._source.__anext__()
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            odd = error if isinstance(error, CallsheetError) else _odd(error)
        raise odd  # outside of the handler: its cause is set, and may yet be cut off for a secret

    async def aclose(self) -> None:
        """Close the stream and the connection behind it."""
        await self._end(None)

    async def _end(self, error: BaseException | None) -> None:
        if self._closed:
            return
        try:
            await super().aclose()
        finally:
            for look in self._on_end:
                look(error)


@define(eq=False, slots=False)
class Download(_Closing):
    """Bytes as they come, with what the headers said of them.

    `size` is the number of bytes in this answer, `start` the offset of its first, `total` the whole's size - each None
    where it is not known. `partial` says whether a range was asked for and given.
    """

    _source: Source[bytes] = field(repr=False)
    content_type: str = "application/octet-stream"
    size: int | None = None
    start: int = 0
    total: int | None = None
    etag: str | None = None
    partial: bool = False
    meta: Meta = Factory(Meta)

    @classmethod
    async def of(cls, answer: ByteStream) -> Download:
        """A download out of an answer, with what its headers say (RFC 9110).

        Raises APIResponseValidationError, and closes the answer, when it is a page or a document instead of bytes, or a
        part (206) that does not say which.
        """
        headers = answer.headers
        kind = headers.get("content-type") or "application/octet-stream"
        span = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        problem = ""
        if kind.partition(";")[0].strip().lower() in _NO_FILES:
            problem = f"with {kind[:60]} where a file was expected"
        elif answer.status == 204:
            problem = "with nothing where a file was expected"
        elif answer.status == 206 and (span is None or int(span["first"]) > int(span["last"])):
            problem = "with a part of the file and did not say with which (no usable Content-Range)"
        if problem:
            await answer.aclose()
            raise APIResponseValidationError(f"the provider answered {answer.status} {problem}")
        length = headers.get("content-length", "")
        size = int(length) if _DIGITS.fullmatch(length) else None
        if answer.status != 206 or span is None:
            return cls(answer, kind, size, total=size, etag=headers.get("etag"))
        total = None if span["total"] == "*" else int(span["total"])
        return cls(answer, kind, size, int(span["first"]), total, headers.get("etag"), partial=True)

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            return await self._source.__anext__()
        except BaseException as error:  # the end included
            self._explain(error)
            await self.aclose()
            raise
