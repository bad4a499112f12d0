"""What a request carries: bytes, files and multipart forms, streamed in constant memory."""

from __future__ import annotations

import json
import mimetypes
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from attrs import define, field

__all__ = ["CHUNK", "Body", "Source", "Upload", "quoted"]

CHUNK = 256 * 1024
Run: TypeAlias = Callable[..., Awaitable[Any]]


@define(eq=False, repr=False)
class Upload:
    """A file to send: where it comes from, its name, its media type and, where it is known, its size.

    `size` is in bytes, None when it can't be known; `replayable` says whether it can be read again from its start;
    `started` whether reading has begun.
    """

    source: Any
    filename: str
    content_type: str
    size: int | None = None
    replayable: bool = True
    started: bool = field(default=False, init=False)
    _start: int = field(default=0, alias="start")

    @classmethod
    def of(cls, value: Source, default_name: str = "upload") -> Upload:
        """Accept a path, bytes, an open binary file, an iterable of bytes (also async), or (filename, any of these).

        Raises FileNotFoundError (or another OSError) for a path that can't be read, TypeError for anything else.
        """
        match value:
            case Upload():
                return value
            case (str() as name, content):
                named = cls.of(content, name)
                named.filename, named.content_type = name, _media_type(name)
                return named
            case str() | os.PathLike():
                path = Path(value)
                with path.open("rb") as file:  # fails now, with the system's words, and not half-way through a call
                    size = os.fstat(file.fileno()).st_size
                return cls(path, path.name, _media_type(path.name), size)
            case bytes() | bytearray() | memoryview():
                return cls(bytes(value), default_name, _media_type(default_name), len(value))
        if hasattr(value, "read"):
            return cls._of_file(cast("BinaryIO", value), default_name)
        if isinstance(value, AsyncIterable):
            return cls(value, default_name, _media_type(default_name), replayable=False)
        if isinstance(value, Iterable):
            return cls(value, default_name, _media_type(default_name), replayable=not isinstance(value, Iterator))
        raise TypeError(
            f"a file is wanted: a path, bytes, a file opened in binary mode, or an iterable of bytes; not {type(value).__name__}"
        )

    @classmethod
    def _of_file(cls, file: BinaryIO, default_name: str) -> Upload:
        if hasattr(file, "encoding"):
            raise TypeError('the file is open in text mode; open it in binary mode: open(path, "rb")')
        name = getattr(file, "name", None)
        filename = Path(name).name if isinstance(name, str) else default_name
        start, size, replayable = 0, None, False
        with suppress(OSError, AttributeError):
            if file.seekable():
                start = file.tell()
                size = file.seek(0, os.SEEK_END) - start
                file.seek(start)
                replayable = True
        return cls(file, filename, _media_type(filename), size, replayable, start=start)

    @property
    def needs_loop(self) -> bool:
        """Whether only the async client can read it."""
        return isinstance(self.source, AsyncIterable)

    async def chunks(self, run: Run) -> AsyncIterator[bytes]:
        """Yield the content in pieces. `run` is `io.run`: blocking reads go through it."""
        if self.started and not self.replayable:
            raise ValueError(f"{self.filename} was read already and can't be read from its start again")
        self.started = True
        source = self.source
        if isinstance(source, bytes):
            for start in range(0, len(source), CHUNK):
                yield source[start : start + CHUNK]
        elif isinstance(source, Path):
            file = await run(source.open, "rb")
            try:
                while chunk := await run(file.read, CHUNK):
                    yield chunk
            finally:
                file.close()
        elif hasattr(source, "read"):
            if self.replayable:
                await run(source.seek, self._start)
            while chunk := await run(source.read, CHUNK):
                yield chunk
        elif isinstance(source, AsyncIterable):
            async for chunk in source:
                yield chunk
        else:
            iterator = iter(source)
            while (chunk := await run(next, iterator, None)) is not None:
                yield chunk

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type}{'' if self.size is None else f' {self.size} bytes'}>"


Source: TypeAlias = (
    bytes | str | os.PathLike[str] | BinaryIO | Iterable[bytes] | AsyncIterable[bytes] | tuple[str, Any] | Upload
)
"""What is taken for a file: see `Upload.of`."""


def _media_type(filename: str) -> str:
    # webp and mp4 are missing from the tables of some systems
    known = {".webp": "image/webp", ".mp4": "video/mp4"}
    suffix = Path(filename).suffix.lower()
    return known.get(suffix) or mimetypes.guess_type(filename)[0] or "application/octet-stream"


@define(eq=False, repr=False)
class Body:
    """A request's body: pieces of bytes and files, sent one after the other."""

    parts: Sequence[bytes | Upload]
    content_type: str

    @classmethod
    def json(cls, document: object) -> Body:
        """A JSON document, in UTF-8, as compact as can be."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return cls([text.encode("utf-8", "surrogatepass")], "application/json")

    @classmethod
    def form(cls, fields: Iterable[tuple[str, str | bytes | Upload | tuple[bytes, str]]]) -> Body:
        """A multipart form (RFC 7578). A value is text, bytes with a media type (no filename), or a file."""
        boundary = secrets.token_hex(16)
        parts: list[bytes | Upload] = []
        for name, value in fields:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"'
            match value:
                case Upload():
                    head += f'; filename="{quoted(value.filename)}"\r\nContent-Type: {value.content_type}'
                case (bytes(), str() as media_type):
                    head += f"\r\nContent-Type: {media_type}"
            parts.append(f"{head}\r\n\r\n".encode())
            match value:
                case str():
                    parts.append(value.encode("utf-8", "surrogatepass"))
                case (content, _):
                    parts.append(content)
                case _:
                    parts.append(value)
            parts.append(b"\r\n")
        parts.append(f"--{boundary}--\r\n".encode())
        return cls(parts, f"multipart/form-data; boundary={boundary}")

    @property
    def files(self) -> list[Upload]:
        return [part for part in self.parts if isinstance(part, Upload)]

    @property
    def size(self) -> int | None:
        """Bytes in all, or None when one of the files does not know its size."""
        sizes = [part.size if isinstance(part, Upload) else len(part) for part in self.parts]
        return None if None in sizes else sum(cast("list[int]", sizes))

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return all(file.replayable for file in self.files)

    @property
    def started(self) -> bool:
        """Whether a file in it has begun to be read."""
        return any(file.started for file in self.files)

    async def chunks(self, run: Run) -> AsyncIterator[bytes]:
        """Yield the body in pieces; `run` as in `Upload.chunks`."""
        for part in self.parts:
            if isinstance(part, Upload):
                async for chunk in part.chunks(run):
                    yield chunk
            else:
                yield part

    def __repr__(self) -> str:
        return f"<Body {self.content_type.partition(';')[0]}{'' if self.size is None else f' {self.size} bytes'}>"


def quoted(name: str) -> str:
    """A field's or file's name as it stands between the quotes of a Content-Disposition header (WHATWG's escaping)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def flattened(fields: Mapping[str, object]) -> list[tuple[str, str]]:
    """Plain form fields: text as it is, everything else as JSON, absent ones left out."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in fields.items()
        if value is not None
    ]
