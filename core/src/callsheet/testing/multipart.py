"""A parser of multipart forms (RFC 7578, escapes as WHATWG has them) that refuses whatever is not exactly right."""

from __future__ import annotations

import re

from callsheet.testing.refusals import Violation
from callsheet.testing.seen import Part

__all__ = ["parse_form"]

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_DISPOSITION = re.compile(r'form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?')
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:;.*)?")
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


def parse_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a form. Violation for a preamble, an epilogue, bare line feeds, odd headers, a part without a name."""
    delimiter = b"--" + _boundary(content_type)
    if not body.startswith(delimiter + b"\r\n"):
        raise _bad("the body does not begin with its boundary")
    whole = body.removesuffix(b"\r\n")
    if not whole.endswith(b"\r\n" + delimiter + b"--"):
        raise _bad("the body does not end with its closing boundary")
    inner = whole[len(delimiter) + 2 : -len(delimiter) - 4]
    return [_part(raw) for raw in inner.split(b"\r\n" + delimiter + b"\r\n")]


def _boundary(content_type: str) -> bytes:
    _, *parameters = [text.strip() for text in content_type.split(";")]
    values = [text.partition("=")[2] for text in parameters if text.lower().startswith("boundary=")]
    if len(values) != 1:
        raise _bad("the content type names no boundary, or two")
    value = values[0]
    if value[:1] == '"' == value[-1:] and len(value) > 1:
        value = value[1:-1]
    if not _BOUNDARY.fullmatch(value):
        raise _bad(f"{value!r} is no boundary")
    return value.encode()


def _part(raw: bytes) -> Part:
    head, separator, content = raw.partition(b"\r\n\r\n")
    if not separator:
        raise _bad("a part has no blank line after its headers")
    headers: dict[str, str] = {}
    for line in _text(head).split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or "\n" in line or "\r" in line or name != name.strip() or name.lower() in headers:
            raise _bad(f"{line!r} is no header of a part, or came twice")
        headers[name.lower()] = value.strip()
    disposition = _DISPOSITION.fullmatch(headers.pop("content-disposition", ""))
    media_type = headers.pop("content-type", None)
    if disposition is None or headers:
        raise _bad(f"a part's headers are not those of a form field: {_text(head)!r}")
    if media_type is not None and not _TYPE.fullmatch(media_type):
        raise _bad(f"{media_type!r} is no media type")
    name, filename = disposition.groups()
    if filename is not None and media_type is None:
        raise _bad(f"the file {name!r} has no media type")
    if not name or filename == "":
        raise _bad("a part's name or filename is empty")
    if filename is None:
        _text(content)
    return Part(_unescaped(name), content, None if filename is None else _unescaped(filename), media_type)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("a text is not in UTF-8") from None


def _unescaped(name: str) -> str:
    for escape, character in _ESCAPES.items():
        name = name.replace(escape, character)
    return name


def _bad(why: str) -> Violation:
    return Violation(f"Could not parse multipart form: {why}.", code="invalid_multipart")
