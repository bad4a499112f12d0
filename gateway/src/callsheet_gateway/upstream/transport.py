"""`Transport` over this package's connections: one call's errors and deadline, and what core's transport does instead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

from attrs import define, field

from callsheet import APIConnectionError, APITimeoutError, AsyncTransport
from callsheet import transport as core
from callsheet.io import Incoming, Outgoing
from callsheet_gateway.upstream.connection import Broken, Connection, Late
from callsheet_gateway.upstream.pool import Pool
from callsheet_gateway.upstream.request import Origin, Target, head_of, target_of, where

__all__ = ["UpstreamTransport"]

T = TypeVar("T")
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""Keys travel to this machine in the open: never by way of a proxy."""


@define(eq=False)
class _Answer:
    """An `Incoming`. Its connection goes back as soon as the last piece of the body is handed out."""

    status: int
    headers: Mapping[str, str]
    _connection: Connection | None = field(repr=False)
    _pool: Pool = field(repr=False)
    _request: Outgoing = field(repr=False)
    _whole: bool = field(default=False, init=False, repr=False)

    async def read(self, deadline: float) -> bytes:
        connection = self._connection
        if connection is None:
            if self._whole:
                return b""
            raise APIConnectionError(f"{where(self._request)}: the answer was closed before its end")
        try:
            if deadline <= time.monotonic():
                raise Late
            data = await connection.read(deadline)
        except BaseException as error:
            self._connection = None
            await connection.close()
            if isinstance(error, Late):
                said = f"{where(self._request)}: the answer did not end before the deadline"
                raise APITimeoutError(said) from None
            if isinstance(error, Broken):
                raise APIConnectionError(f"{where(self._request)}: {error}") from None
            raise
        if connection.answer.done and not connection.answer.pieces:
            self._connection, self._whole = None, True
            await self._pool.give_back(connection)
        return data

    async def aclose(self) -> None:
        if (connection := self._connection) is not None:
            self._connection = None
            await self._pool.give_back(connection)


@define(eq=False)
class UpstreamTransport:
    """A `Transport` for one event loop, asyncio's or uvloop's. There is no limit to its connections: callers set theirs.

    It trusts whom core's transport trusts. Where the environment names a proxy for an address (HTTP_PROXY, HTTPS_PROXY,
    ALL_PROXY, but for NO_PROXY and this machine), core's transport carries the request.

    A connection that the server has closed while it was idle is seen before it is used again. One that breaks after the
    first byte of a request was handed to it may have carried it: the error says sent=True.
    """

    blocking: bool = field(default=False, init=False)
    _pool: Pool = field(init=False)
    _core: AsyncTransport = field(factory=AsyncTransport, init=False)
    _proxies: dict[str, str] = field(factory=getproxies, init=False, repr=False)
    _handed_over: dict[Origin, bool] = field(factory=dict, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = Pool(lambda: core.certificates())

    async def open(self, request: Outgoing) -> Incoming:
        """Send a request and wait for the head of its answer.

        APIConnectionError and APITimeoutError as core's transport raises them; RuntimeError after `aclose`.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        target = target_of(request.url)
        if not target.plain or self._is_proxied(target):
            return await self._core.open(request)
        head = head_of(request, target)
        if request.deadline <= time.monotonic():
            raise APITimeoutError(f"{where(request)}: no answer before the deadline", sent=False)
        connection = self._pool.take(target.origin)
        if connection is None:
            connection = await self._pool.connect(target.origin, request.deadline, where(request))
        try:
            await connection.request(request.method, head, request.body, self.run, request.deadline)
        except BaseException as error:
            await connection.close()
            if isinstance(error, Late):
                raise APITimeoutError(f"{where(request)}: no answer before the deadline") from None
            if isinstance(error, Broken):
                raise APIConnectionError(f"{where(request)}: {error}") from None
            raise
        answer = connection.answer
        return _Answer(answer.status, answer.headers, connection, self._pool, request)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._core.sleep(seconds)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that blocks, in a worker thread: one of core's, whose number is limited."""
        return await self._core.run(function, *args)

    async def aclose(self) -> None:
        """Close all connections. Calls that are under way fail."""
        self._closed = True
        await self._pool.aclose()
        await self._core.aclose()

    def _is_proxied(self, target: Target) -> bool:
        """Whether the environment names a proxy for an origin, as core's HTTP client reads it."""
        if not self._proxies or target.origin.host in _HERE:
            return False
        if (known := self._handed_over.get(target.origin)) is None:
            named = self._proxies.get(target.origin.scheme) or self._proxies.get("all")
            passed_by = proxy_bypass(f"{target.origin.host}:{target.origin.port}")
            known = self._handed_over[target.origin] = bool(named) and not passed_by
        return known
