"""Request bodies and queries, in every form that clients send: what comes out is one document, and files that are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from types import UnionType
from typing import Any, Union, get_args, get_origin

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request

from callsheet.models.base import OperationRequest
from callsheet.operations import OPERATIONS
from callsheet_gateway.documents import parse
from callsheet_gateway.errors import Refused
from callsheet_gateway.forms import FormRoom, as_document, read_form
from callsheet_gateway.idempotency import claim
from callsheet_gateway.limits import limits_of
from callsheet_gateway.principal import principal_of
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.spool import IN_MEMORY, Lease

__all__ = ["counted", "declared_size", "document_of", "json_document", "known_query", "media_type", "read_all"]


GRACE = 10.0
"""Seconds that a body may be behind SLOWEST, and so the longest that nothing of it may come."""
SLOWEST = 16 * 1024
"""Bytes a second."""


def media_type(request: Request) -> str:
    """The body's media type, without parameters, in lower case; "" where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def document_of(
    request: Request, kind: type[OperationRequest], settings: GatewaySettings
) -> AsyncIterator[dict[str, Any]]:
    """The document in a request's body, which is for this request to do (see `claim`). Files in it are open as long as the
    context lasts.

    A form is an upload, and so is JSON that is not small, while it comes: Refused (429, 503, 507) where its key has too
    many under way, or there is no room for it.
    """
    limits = limits_of(request)
    if (media := media_type(request)) != "multipart/form-data":
        size = declared_size(request.headers)
        if size is not None and size <= IN_MEMORY:
            document = _document(await read_all(request, settings.max_json), media)
            await claim(request, document)
            yield document
            return
        with limits.memory.lease(settings.max_memory, free=IN_MEMORY) as memory:
            document = _document(await _large(request, settings, size, memory), media)
            await claim(request, document)
            yield document
        return
    with (
        limits.uploads.one(principal_of(request), settings.max_uploads_per_key),
        limits.spool.lease(settings.max_spool) as files,
        limits.memory.lease(settings.max_memory, free=IN_MEMORY) as memory,
    ):
        room = FormRoom(limits.spool, files, memory)
        form = await read_form(request.headers, counted(request, settings.max_form), settings, room)
        try:
            document = as_document(form.multi_items(), _texts(kind))
            await claim(request, document)
            yield document
        finally:
            with anyio.CancelScope(shield=True):  # the client may have gone, and this task be cancelled
                await form.close()


async def json_document(request: Request, most: int) -> dict[str, Any]:
    """The JSON object in a body of at most `most` bytes; an empty one for no body."""
    return _document(await read_all(request, most), media_type(request))


async def _large(request: Request, settings: GatewaySettings, declared: int | None, memory: Lease) -> bytes:
    """A whole body that is not small, or does not say."""
    pieces, size = list[bytes](), 0
    upload = limits_of(request).uploads.one(principal_of(request), settings.max_uploads_per_key)
    with ExitStack() as reading:
        if is_upload := (declared or 0) > IN_MEMORY:
            reading.enter_context(upload)  # before any of it is read
        async for piece in counted(request, settings.max_json):
            memory.take(len(piece))
            pieces.append(piece)
            size += len(piece)
            if size > IN_MEMORY and not is_upload:
                is_upload = True
                reading.enter_context(upload)
    return b"".join(pieces)


def _document(content: bytes, media: str) -> dict[str, Any]:
    if content and media not in {"", "application/json"} and not media.endswith("+json"):
        raise Refused(
            415,
            f"a body of {media!r:.60} is not understood; send application/json (curl: -H 'Content-Type:"
            " application/json') or multipart/form-data (curl: -F)",
            "unsupported_media_type",
        )
    return _json(content)


async def read_all(request: Request, most: int) -> bytes:
    """A whole body. Refused with 413 as soon as it has more than `most` bytes."""
    return b"".join([chunk async for chunk in counted(request, most)])


async def counted(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """A body's pieces, up to `most` bytes in all, in time; a body that stops short is an error of its own."""
    if (declared_size(request.headers) or 0) > most:
        raise _too_big(most)
    clock, size, more = asyncio.get_running_loop().time, 0, True
    patience = GRACE  # what came fast is no credit to stand still on
    while more:
        began = clock()
        try:
            async with asyncio.timeout(patience):
                message = await request.receive()
        except TimeoutError:
            raise Refused(408, f"the body comes too slowly: {size:,} bytes so far", "body_too_slow") from None
        if message["type"] == "http.disconnect":
            raise Refused(400, f"the body was cut short after {size:,} bytes", "body_cut_short")
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        patience = min(GRACE, patience - (clock() - began) + len(piece) / SLOWEST)
        if size > most:
            raise _too_big(most)
        if piece:
            yield piece


def declared_size(headers: Headers) -> int | None:
    """A body's size in bytes, as its head says it; None where it does not."""
    declared = headers.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()):
        return None
    return int(declared.lstrip("0")[:20] or 0)  # zeros in front would hide what comes after 20 digits


def _too_big(most: int) -> Refused:
    return Refused(413, f"the body has more than {most:,} bytes, which is the most that is taken", "body_too_big")


def _json(content: bytes) -> dict[str, Any]:
    if not content.strip():
        return {}
    try:
        document = parse(content)
    except ValueError as error:
        raise Refused(400, f"the body {error}", "invalid_json") from None
    if not isinstance(document, dict):
        raise Refused(400, f"the body is JSON, but an object {{...}} is wanted, not {_kind(document)}", "invalid_json")
    return document


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _texts(kind: type[OperationRequest]) -> frozenset[str]:
    """The fields that hold a text, whatever it looks like: a prompt may begin with a bracket."""
    return frozenset(name for name, field in kind.model_fields.items() if field.annotation is str)


def known_query(operation: str, request: Request) -> dict[str, Any]:
    """The query's fields that an operation knows; lists may be spelled `include=a&include=b` or `include[]=a`."""
    fields: dict[str, Any] = {}
    known = OPERATIONS[operation].request.model_fields
    for name in known:
        values = [*request.query_params.getlist(name), *request.query_params.getlist(f"{name}[]")]
        if values:
            fields[name] = values if _is_list(known[name].annotation) else values[-1]
    return fields


def _is_list(annotation: Any) -> bool:
    options: Iterable[Any] = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else [annotation]
    return any(get_origin(option) is list for option in options)
