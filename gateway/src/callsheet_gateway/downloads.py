"""A video's bytes, streamed: whole, a range of them, or the word that they have not changed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from callsheet import Download
from callsheet_gateway.face import Face

__all__ = ["video_content"]

_RANGE = re.compile(r"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})", re.ASCII)
_TYPES = re.compile(r"video/[a-z0-9.+-]+|image/(webp|jpeg|png)")
"""What a browser may be given under our own origin: never a document with a script in it."""


async def video_content(face: Face, request: Request) -> Response:
    """GET /videos/{video_id}/content, with `variant`, Range, If-Range and If-None-Match."""
    headers, looking = request.headers, request.method == "HEAD"
    asked = "" if looking else headers.get("range", "")  # a Range goes with GET only
    fields = {
        "video_id": request.path_params["video_id"],
        "variant": request.query_params.get("variant"),
        # A Range that we don't understand, or of several parts, is ignored, as RFC 9110 has it.
        "range": asked if _RANGE.fullmatch(asked) else None,
        "if_range": headers.get("if-range"),
    }
    known_fields = {name: value for name, value in fields.items() if value is not None}
    download: Download = await face.call("download_video", known_fields, request)
    known = download.etag is not None and _matches(headers.get("if-none-match", ""), download.etag)
    if known or looking:
        await download.aclose()
        return Response(status_code=304 if known else 200, headers=_headers(download, known))
    return _Bytes(download)


class _Bytes(StreamingResponse):
    """An answer that closes the download behind it, however it ends."""

    def __init__(self, download: Download) -> None:
        super().__init__(_pieces(download), 206 if download.partial else 200, _headers(download))
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._download.aclose()


async def _pieces(download: Download) -> AsyncIterator[bytes]:
    async for piece in download:
        yield piece


def _headers(download: Download, unchanged: bool = False) -> dict[str, str]:
    headers = {"accept-ranges": "bytes", "cache-control": "private, no-cache", "content-security-policy": "sandbox"}
    if download.etag:
        headers["etag"] = download.etag
    if unchanged:
        return headers
    plain = _TYPES.fullmatch(download.content_type)
    headers["content-type"] = download.content_type if plain else "application/octet-stream"
    if download.size is not None:
        headers["content-length"] = str(download.size)
    if download.partial and download.size:
        end = download.start + download.size - 1
        headers["content-range"] = (
            f"bytes {download.start}-{end}/{download.total if download.total is not None else '*'}"
        )
    return headers


def _matches(header: str, etag: str) -> bool:
    """If-None-Match, by weak comparison: the ETag is in the list, or anything will do."""
    return header.strip() == "*" or etag.removeprefix("W/") in re.findall(r'"[^"]*"', header)
