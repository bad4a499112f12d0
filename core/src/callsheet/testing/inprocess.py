"""The fake without a socket: transports that hand a request over and act out what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from callsheet.errors import APIConnectionError, APITimeoutError
from callsheet.exchange import Outgoing
from callsheet.testing.answers import Data, End, Head, Pause, Stall, Step
from callsheet.testing.http1 import head_bytes

if TYPE_CHECKING:
    from callsheet.testing.wire import Wire

__all__ = ["AsyncFakeTransport", "BlockingFakeTransport"]

T = TypeVar("T")
MAX_HEAD = 100 * 1024
"""Bytes: where HTTP clients give up on an answer's headers."""


@define(eq=False)
class _Transport:
    """What both have in common. `sleep` and `run` are where they differ."""

    fake: Wire
    blocking: ClassVar[bool] = False

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    async def run(self, function: Callable[..., T], *args: object) -> T:
        raise NotImplementedError

    async def open(self, request: Outgoing) -> _Incoming:
        where = f"{request.method} {request.url.partition('?')[0]}"
        if request.deadline <= time.monotonic():
            raise APITimeoutError(f"{where}: no answer before the deadline", sent=False)
        pieces = []
        if request.body is not None:
            async with aclosing(request.body.chunks(self.run)) as chunks:
                pieces = [chunk async for chunk in chunks]
        body = b"".join(pieces)
        announced = request.headers.get("content-length", str(len(body)))
        if announced != str(len(body)):
            self.fake.problem(f"{where}: {len(body)} bytes were sent, and {announced} announced")
            raise APIConnectionError(f"{where}: the body is not as long as announced", sent=True)
        address = urlsplit(request.url)
        target = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
        headers = [("host", address.netloc), *request.headers.items()]
        incoming = _Incoming(self, self.fake.offers(request.method, target, headers, body, address.scheme), where)
        await incoming.open(request.deadline)
        return incoming


@define(eq=False)
class _Incoming:
    """An answer on its way in."""

    _transport: _Transport
    _steps: Iterator[Step]
    _where: str
    status: int = field(default=0, init=False)
    headers: Mapping[str, str] = field(factory=dict, init=False)
    _dripping: Data | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    async def open(self, deadline: float) -> None:
        head = await self._next(deadline)
        if not isinstance(head, Head):
            raise APIConnectionError(f"{self._where}: the server disconnected without an answer", sent=True)
        raw = head_bytes(head.status, head.headers)
        await self._wait(head.interval * len(raw), deadline)
        if len(raw) > MAX_HEAD:
            raise APIConnectionError(f"{self._where}: the answer's headers are too large", sent=True)
        self.status, self.headers = head.status, {name.lower(): value for name, value in head.headers}

    @property
    def closed(self) -> bool:
        """Whether nothing more is wanted of it: it was read to its end, or closed."""
        return self._over

    async def read(self, deadline: float) -> bytes:
        if self._over:
            return b""
        if deadline <= time.monotonic():
            raise APITimeoutError(f"{self._where}: the answer did not end before the deadline", sent=True)
        if self._dripping is not None:
            return await self._drip(self._dripping, deadline)
        match await self._next(deadline):
            case Data(_, interval) as step if interval:
                return await self._drip(step, deadline)
            case Data(content):
                return content
            case End():
                self._over = True
                return b""
            case _:
                raise APIConnectionError(f"{self._where}: the connection broke in the answer's body", sent=True)

    async def aclose(self) -> None:
        self._over = True

    async def _drip(self, step: Data, deadline: float) -> bytes:
        """One byte, when its time has come."""
        await self._wait(step.interval, deadline)
        rest = step.content[1:]
        self._dripping = Data(rest, step.interval) if rest else None
        return step.content[:1]

    async def _next(self, deadline: float) -> Step | None:
        """The next step that is something to see; None when the connection has ended."""
        for step in self._steps:
            match step:
                case Pause(seconds):
                    await self._wait(seconds, deadline)
                case Stall():
                    await self._wait(float("inf"), deadline)
                case Data(content) if not content:
                    continue
                case Head() | Data() | End():
                    return step
                case _:
                    return None
        return None

    async def _wait(self, seconds: float, deadline: float) -> None:
        left = deadline - time.monotonic()
        if seconds >= left:
            await self._transport.sleep(max(0.0, left))
            raise APITimeoutError(f"{self._where}: no answer before the deadline", sent=True)
        if seconds > 0:
            await self._transport.sleep(seconds)


class BlockingFakeTransport(_Transport):
    """Blocks the calling thread; never suspends."""

    blocking = True

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  blocking is what this transport is for

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return function(*args)


class AsyncFakeTransport(_Transport):
    """Waits on the running event loop, asyncio's or trio's."""

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        import anyio.to_thread

        return await anyio.to_thread.run_sync(partial(function, *args))
