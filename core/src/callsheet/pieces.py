"""What arrives piece by piece, read in this thread: the sync client's streams of events and of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from callsheet.drive import finish
from callsheet.stream import Download, Event, Stream

__all__ = ["SyncDownload", "SyncStream"]

T = TypeVar("T")


class _Pieces(Generic[T]):
    """A stream read in this thread: an iterator and a context manager."""

    def __init__(self, source: Stream | Download) -> None:
        self._source: Any = source
        self.meta = source.meta

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return cast("T", finish(self._source.__anext__()))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Close the connection behind the stream. Closing twice is harmless."""
        finish(self._source.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SyncStream(_Pieces[Event]):
    """Events as they come."""


class SyncDownload(_Pieces[bytes]):
    """Bytes as they come; `info` has the content type, the size and the entity tag."""

    @property
    def info(self) -> Download:
        return cast("Download", self._source)
