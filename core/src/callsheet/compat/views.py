"""JSON documents that are read by attribute, and streams of them, in the way of other libraries' result objects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from callsheet.errors import APIError, APIResponseValidationError
from callsheet.jsontext import number
from callsheet.models.base import Meta
from callsheet.models.responses import Response
from callsheet.pieces import SyncStream
from callsheet.stream import Event, Stream

__all__ = ["AsyncViews", "View", "Views", "plain", "view_of"]

_MAY_BE_ABSENT = frozenset(
    [
        "annotations",
        "audio",
        "completed_at",
        "content",
        "conversation",
        "delta",
        "error",
        "finish_reason",
        "function_call",
        "incomplete_details",
        "instructions",
        "logprobs",
        "max_output_tokens",
        "metadata",
        "name",
        "phase",
        "previous_response_id",
        "reasoning",
        "reasoning_content",
        "refusal",
        "role",
        "service_tier",
        "status",
        "system_fingerprint",
        "text",
        "tool_calls",
        "usage",
        "user",
    ]
)
"""Fields that a document may leave out though programs read them unasked: absent, they are None."""


class View(dict[str, Any]):
    """A JSON object whose fields are attributes, too: `answer.choices[0].message.content`.

    It is the document as it came, a dict: unknown fields are there, `json.dumps` writes it, and it can be sent back. A
    field that is called like one of dict's methods, such as `items`, is read as `view["items"]`.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in _MAY_BE_ABSENT:
                return None
            if name == "output_text" and isinstance(self.get("output"), list):
                return Response(self).output_text
            raise AttributeError(f"no field {name!r} in this document; it has {', '.join(self) or 'none'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        return f"View({super().__repr__()})"

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """The document as plain dicts and lists, a copy."""
        document: dict[str, Any] = plain(self, exclude_none=exclude_none)
        return document

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """The document as JSON."""
        return json.dumps(self, ensure_ascii=False, indent=indent)


def view_of(document: object) -> Any:
    """A document with a View in place of every dict, all the way down."""
    match document:
        case Mapping():
            return View((name, view_of(value)) for name, value in document.items())
        case list():
            return [view_of(value) for value in document]
    return document


def plain(value: Any, *, exclude_none: bool = False) -> Any:
    """A value with plain dicts and lists in place of views and of models that can dump themselves."""
    match value:
        case Mapping():
            found = {name: plain(item, exclude_none=exclude_none) for name, item in value.items()}
            return {name: item for name, item in found.items() if item is not None} if exclude_none else found
        case list() | tuple():
            return [plain(item, exclude_none=exclude_none) for item in value]
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(exclude_none=True)


def _view(event: Event) -> View | None:
    """What an event says; None for the mark that chat streams end with. Raises APIError for an error among chunks."""
    if event.raw.strip() == "[DONE]":
        return None
    try:
        document = json.loads(event.raw, object_hook=View, parse_float=number)
    except ValueError:
        document = None
    if not isinstance(document, View):
        raise APIResponseValidationError(f"an event that is a JSON object is wanted, not {event.raw[:80]!r}")
    if event.type != "message":  # the kind that an event without a kind has
        document.setdefault("type", event.type)
    elif isinstance(error := document.get("error"), dict):
        raise APIError(str(error.get("message") or "the stream broke off"), code=error.get("code"), body=document)
    return document


class Views:
    """Events or chunks as they come, read by attribute: an iterator and a context manager."""

    def __init__(self, stream: SyncStream) -> None:
        self._stream = stream

    @property
    def meta(self) -> Meta:
        """How the stream came about."""
        return self._stream.meta

    def __iter__(self) -> Iterator[View]:
        return self

    def __next__(self) -> View:
        try:
            while (view := _view(next(self._stream))) is None:
                pass
        except APIError:
            self.close()
            raise
        return view

    def close(self) -> None:
        """Close the stream and the connection behind it. Closing twice is harmless."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncViews:
    """Events or chunks as they come, read by attribute: an async iterator and context manager."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def meta(self) -> Meta:
        """How the stream came about."""
        return self._stream.meta

    def __aiter__(self) -> AsyncIterator[View]:
        return self

    async def __anext__(self) -> View:
        try:
            while (view := _view(await self._stream.__anext__())) is None:
                pass
        except APIError:
            await self.aclose()
            raise
        return view

    async def aclose(self) -> None:
        """Close the stream and the connection behind it. Closing twice is harmless."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
