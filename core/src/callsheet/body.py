"""What a request carries: bytes, files and multipart forms, streamed in constant memory."""

from __future__ import annotations

import inspect
import mimetypes
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from attrs import define, field

from callsheet.errors import BadRequestError
from callsheet.jsontext import encode

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
            case tuple((str() as name, content)):
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
        if isinstance(value, AsyncIterable):  # before `read`: that of an async file is a coroutine
            return cls(value, default_name, _media_type(default_name), replayable=False)
        if inspect.iscoroutinefunction(getattr(value, "read", None)):
            raise TypeError("the file's read() is async: pass an async iterator of its bytes, or the file beneath it")
        if hasattr(value, "read"):
            return cls._of_file(cast("BinaryIO", value), default_name)
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

    async def read(self, run: Run, most: int, param: str | None = None) -> bytes:
        """The whole content, for vendors that want files inside of documents. `run` is `io.run`.

        BadRequestError, naming the field `param`, when there are more than `most` bytes: no more than these are held.
        """
        content = bytearray()
        async with aclosing(self.chunks(run)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > most:
                    raise BadRequestError(
                        f"{self.filename} has more than {most:,} bytes, which is as much as this provider takes here;"
                        " make it smaller",
                        param=param,
                        code="file_too_large",
                    )
        return bytes(content)

    async def chunks(self, run: Run) -> AsyncGenerator[bytes, None]:
        """Yield the content in pieces. `run` is `io.run`: blocking reads go through it.

        Exactly `size` bytes where that is known, however the file has changed since: ValueError when it became shorter.
        """
        if self.started and not self.replayable:
            raise ValueError(f"{self.filename} was read already and can't be read from its start again")
        self.started = True
        left = self.size
        async with aclosing(self._pieces(run)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, bytes | bytearray | memoryview):
                    raise TypeError(f"{self.filename}: pieces of bytes are wanted, not {type(piece).__name__}")
                content = bytes(piece if left is None else piece[:left])
                if content:
                    yield content
                if left is not None and not (left := left - len(content)):
                    return
        if left:
            raise ValueError(f"{self.filename} became {left:,} bytes shorter while it was sent")

    async def _pieces(self, run: Run) -> AsyncGenerator[Any, None]:
        source = self.source
        if isinstance(source, bytes):
            for start in range(0, len(source), CHUNK):
                yield source[start : start + CHUNK]
        elif isinstance(source, Path):
            # Opened here and not in a thread: a call cancelled meanwhile would never get it, to close it.
            with source.open("rb") as file:
                while chunk := await run(file.read, CHUNK):
                    yield chunk
        elif isinstance(source, AsyncIterable):
            async for chunk in source:
                yield chunk
        elif hasattr(source, "read"):
            if self.replayable:
                await run(source.seek, self._start)
            while chunk := await run(source.read, CHUNK):
                yield chunk
        else:
            iterator, end = iter(source), object()
            while (chunk := await run(next, iterator, end)) is not end:
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
        """A JSON document, in UTF-8, as compact as can be. BadRequestError for NaN and Infinity: JSON has no such numbers."""
        return cls([_json(document)], "application/json")

    @classmethod
    def form(cls, fields: Iterable[tuple[str, object]]) -> Body:
        """A multipart form (RFC 7578).

        A value is text, bytes, bytes with a media type (no filename), a file, or anything else, which is sent as JSON.
        """
        boundary = secrets.token_hex(16)
        parts: list[bytes | Upload] = []
        for name, value in fields:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted(name)}"'
            match value:
                case Upload():
                    head += f'; filename="{quoted(value.filename)}"\r\nContent-Type: {value.content_type}'
                case (bytes(), str() as media_type):
                    head += f"\r\nContent-Type: {media_type}"
            if head.count("\n") > 2:  # names are escaped: the break came with a media type
                raise ValueError(f"the media type of {name!r} has a line break in it")
            parts.append(f"{head}\r\n\r\n".encode("utf-8", "replace"))
            match value:
                case str():
                    parts.append(value.encode("utf-8", "surrogatepass"))
                case (bytes() as content, str()):
                    parts.append(content)
                case bytes() | Upload():
                    parts.append(value)
                case _:
                    parts.append(_json(value))
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

    async def chunks(self, run: Run) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces; `run` as in `Upload.chunks`."""
        for is_file, parts in groupby(self.parts, lambda part: isinstance(part, Upload)):
            if not is_file:
                yield b"".join(cast("Iterable[bytes]", parts))  # each piece costs a system call, and a packet
                continue
            for file in cast("Iterable[Upload]", parts):
                async with aclosing(file.chunks(run)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    def __repr__(self) -> str:
        return f"<Body {self.content_type.partition(';')[0]}{'' if self.size is None else f' {self.size} bytes'}>"


def quoted(name: str) -> str:
    """A field's or file's name as it stands between the quotes of a Content-Disposition header (WHATWG's escaping)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _json(document: object) -> bytes:
    try:
        return encode(document, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"{error}; a request that carries a file is a form: io.post_form") from None
    except (ValueError, RecursionError) as error:  # NaN, Infinity, a circle
        raise BadRequestError(f"the request can't be written as JSON: {error}", code="invalid_value") from None
