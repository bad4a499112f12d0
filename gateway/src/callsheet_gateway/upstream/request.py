"""What leaves: where to, and the head of a request in bytes."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from attrs import frozen

from callsheet import APIConnectionError, ConfigurationError
from callsheet.io import Outgoing
from callsheet.urls import parsed

__all__ = ["Origin", "Target", "head_of", "target_of", "where"]

_PORTS = {"http": 80, "https": 443}
_PATH = "!$%&'()*+,/:;=@[\\]^|"
_QUERY = _PATH + "?`{}"


@frozen
class Origin:
    """What a connection is made to, and what it can be used again for."""

    scheme: str
    host: str
    port: int


@frozen
class Target:
    """An address in the parts that a request needs. `plain`: it holds neither a user's name nor letters beyond ASCII."""

    origin: Origin
    authority: str
    path: str
    plain: bool


def where(request: Outgoing) -> str:
    """How a request is named in errors: without its query, which may hold a secret."""
    return f"{request.method} {request.url.partition('?')[0]}"


@lru_cache(maxsize=512)
def target_of(url: str) -> Target:
    """Take an address apart. APIConnectionError or ConfigurationError for one that can't be called."""
    parts = parsed(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in _PORTS:
        raise APIConnectionError(
            f"{url.partition('?')[0]}: the address is not one that can be called (http:// or https:// is wanted)",
            sent=False,
        )
    port = parts.port or _PORTS[scheme]
    authority = f"[{host}]" if ":" in host else host
    if port != _PORTS[scheme]:
        authority = f"{authority}:{port}"
    path = quote(parts.path or "/", safe=_PATH)
    if parts.query:
        path = f"{path}?{quote(parts.query, safe=_QUERY)}"
    return Target(Origin(scheme, host, port), authority, path, host.isascii() and "@" not in parts.netloc)


class Head(bytes):
    """A request's line and headers, with the empty line. Keys stand in it: tools that show frames shall not show them."""

    def __repr__(self) -> str:
        return f"<head of {len(self)} bytes>"


def head_of(request: Outgoing, target: Target) -> Head:
    """A request's head. ConfigurationError for what would be more lines than it says."""
    if (head := _head(request, target)) is None:
        raise ConfigurationError(
            f"{where(request)!r:.200} can't be sent: there is a line break, a zero byte or a character beyond ASCII in its"
            " method or in a header"
        )
    return head


def _head(request: Outgoing, target: Target) -> Head | None:
    headers, body = request.headers, request.body
    lines = [f"{request.method} {target.path} HTTP/1.1", f"host: {target.authority}"]
    if "accept" not in headers:
        lines.append("accept: */*")
    lines.extend([f"{name}: {value}" for name, value in headers.items()])
    if body is not None and "content-length" not in headers and "transfer-encoding" not in headers:
        lines.append("transfer-encoding: chunked" if body.size is None else f"content-length: {body.size}")
    breaks = len(lines) + 1
    head = "\r\n".join([*lines, "", ""])
    odd = head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head or not head.isascii()
    return None if odd or not request.method.isalpha() else Head(head.encode("ascii"))
