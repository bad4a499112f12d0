"""Multipart forms: files go to disk as they come, in constant memory; fields become the document that JSON would be.

Clients spell structure in several ways, and all of them are read: `video[id]`, `characters[][id]`, `characters[0][id]`,
`include[]`, and a part that holds a JSON text.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any, cast

from attrs import frozen
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from callsheet import Upload
from callsheet_gateway.documents import parse
from callsheet_gateway.errors import Refused
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.spool import IN_MEMORY, Lease, Spool, disk_full

__all__ = ["FormRoom", "as_document", "read_form"]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 4
_LONGEST_LIST = 16
_PART_HEADERS = 8 * 1024


@frozen
class FormRoom:
    """Where a form's files are made, and what the form takes: on the disk, and in memory."""

    spool: Spool
    files: Lease
    memory: Lease


class _Parser(MultiPartParser):
    """Starlette's parser with limits over all parts, files where we want them, and an eye on the end."""

    spool_max_size = IN_MEMORY
    max_parts = 16
    room: FormRoom | None = None
    parts = 0
    part_bytes = 0
    header_bytes = 0
    ended = False

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self.parts += 1
        self.header_bytes = self.part_bytes = 0
        if self.parts > self.max_parts:
            raise Refused(400, f"the form has more than {self.max_parts} parts", "too_many_parts")

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.header_bytes += end - start
        if self.header_bytes > _PART_HEADERS:
            raise Refused(400, f"a part's headers have more than {_PART_HEADERS:,} bytes", "invalid_form")
        super().on_header_value(data, start, end)

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self.room is not None and (upload := self._current_part.file) is not None:
            upload.file.close()
            upload.file = self.room.spool.file()  # Starlette's own goes to the system's folder, which may be memory
            self._files_to_close_on_error[-1] = cast("Any", upload.file)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.room is not None:
            in_memory = size = end - start
            if self._current_part.file is not None:
                self.room.files.take(size)
                # A file's beginning stays counted when the file goes to the disk: it is little then.
                in_memory = max(0, min(size, IN_MEMORY - self.part_bytes))
            self.room.memory.take(in_memory)
            self.part_bytes += size
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None and not _is_text(part.data):  # Starlette would take it for Latin-1, and so change it
            raise Refused(400, f"the form's field {part.field_name!r:.80} is not UTF-8", "invalid_form")
        super().on_part_end()

    def on_end(self) -> None:
        self.ended = True

    def close(self) -> None:
        """Close all files, whole or not. What is still to be written is given up."""
        for file in self._files_to_close_on_error:
            with suppress(OSError):
                file.close()


def _is_text(content: bytes | bytearray) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def read_form(
    headers: Headers, stream: AsyncGenerator[bytes, None], settings: GatewaySettings, room: FormRoom | None = None
) -> FormData:
    """Read a multipart body. Its files are open afterwards, and the caller's to close.

    Without `room` the body must be a small one. Raises Refused for a form that is broken, cut short or too big, and where
    there is no room for it; nothing is left on the disk then.
    """
    boundary = parse_options_header(headers.get("content-type", ""))[1].get(b"boundary", b"")
    if not re.fullmatch(rb"[\x21-\x7e]([\x20-\x7e]{0,68}[\x21-\x7e])?", boundary) or b'"' in boundary:
        raise Refused(400, "the multipart body needs a boundary of 1 to 70 characters in Content-Type", "invalid_form")
    # The boundary and nothing else: a charset there means nothing (RFC 7578), and the parser would obey it.
    plain = Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode()}"'})
    parser = _Parser(plain, stream, max_part_size=settings.max_part)
    parser.max_parts, parser.room = settings.max_parts, room
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if not parser.ended and "exceeded maximum" not in error.message:
            raise Refused(400, f"the multipart body can't be read: {error.message}", "invalid_form") from None
        raise Refused(413, error.message, "part_too_big") from None
    except OSError as error:
        parser.close()  # the parser stops at the first file that says so again
        raise disk_full(error) or error from None
    if not parser.ended:
        parser.close()  # the form does not know the file that was cut
        raise Refused(400, "the multipart body ends before its closing boundary: it was cut short", "body_cut_short")
    return form


def as_document(items: Iterable[tuple[str, str | UploadFile]], texts: frozenset[str]) -> dict[str, Any]:
    """The document that a form's parts make up. Fields named in `texts` are never read as JSON.

    Raises Refused for names that contradict each other or make no sense.
    """
    document: dict[str, Any] = {}
    for name, value in items:
        if (match := _NAME.fullmatch(name)) is None:
            raise Refused(400, f"the form has a field named {name!r:.80}; brackets don't match", "invalid_form")
        steps = _STEP.findall(match[2])
        if len(steps) > _DEEPEST:
            raise Refused(400, f"the form's field {name!r:.80} is nested too deep", "invalid_form")
        content = _upload(value) if isinstance(value, UploadFile) else _value(value, name in texts or bool(steps))
        _put(document, [match[1], *steps], content, name)
    return document


def _put(target: Any, path: list[str], value: Any, name: str) -> None:
    """Set a value at a path of keys; an empty key or a number stands for a place in a list."""
    key, rest = path[0], path[1:]
    if isinstance(target, list):
        if key and not (key.isascii() and key.isdigit() and len(key) <= 2):
            raise _contradiction(name)
        # `a[][id]=1&a[][id]=2` are two items: a field that the last item has already begins the next one.
        same_item = bool(target) and bool(rest) and not _has(target[-1], rest[0])
        index = int(key) if key else len(target) - same_item
        if index > len(target) or index >= _LONGEST_LIST:
            raise Refused(
                400, f"the form's field {name!r:.80} leaves out an item, or there are too many", "invalid_form"
            )
        if index == len(target):
            target.append(_new(rest) if rest else value)
            if not rest:
                return
        elif not rest:
            raise _contradiction(name)
        _put(target[index], rest, value, name)
    elif isinstance(target, dict):
        if not key:
            raise _contradiction(name)
        if rest:
            _put(target.setdefault(key, _new(rest)), rest, value, name)
        elif key in target:
            raise Refused(400, f"the form has the field {name!r:.80} twice", "invalid_form", key[:80])
        else:
            target[key] = value
    else:
        raise _contradiction(name)


def _new(rest: list[str]) -> Any:
    return [] if not rest[0] or rest[0].isdigit() else {}


def _has(item: Any, key: str) -> bool:
    return not isinstance(item, dict) or key in item


def _contradiction(name: str) -> Refused:
    return Refused(400, f"the form's field {name!r:.80} contradicts another one", "invalid_form")


def _value(text: str, as_it_is: bool) -> Any:
    """A part's text, or the object or list that it is the JSON of."""
    if not as_it_is and text[:1] in {"{", "["}:
        try:
            return parse(text)
        except ValueError:
            return text
    return text


def _upload(part: UploadFile) -> Upload:
    """A file part as the library takes it: its name without folders, its type as the client gave it."""
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2] or "upload"
    upload = Upload.of((name[-200:], part.file))
    if part.content_type and part.content_type.isascii() and part.content_type.isprintable():
        upload.content_type = part.content_type
    return upload
