"""One connection: a request out, its answer in, and waiting for either until a deadline."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import anyio

from callsheet.body import Body, Run
from callsheet.transport import LONGEST
from callsheet_gateway.upstream.response import ProtocolError, ResponseReader

if TYPE_CHECKING:
    from callsheet_gateway.upstream.request import Origin

__all__ = ["Broken", "Connection", "Late"]

MOST_BUFFERED = 64 * 1024
"""Bytes of an answer that wait for their reader before the server is made to wait."""


class Broken(Exception):
    """The connection ended before the answer did. Its text says how."""


class Late(Exception):
    """The deadline has come."""


class Connection(asyncio.Protocol):
    """A connection to an origin, for one request at a time: `request`, then `read` until b"", then the next one.

    `on_lost` is called when it has been closed. Whoever cancels `request` or `read`, or sees them raise, has to `close`.
    """

    __slots__ = (
        "_busy", "_closed", "_deadline", "_held", "_loop", "_lost", "_on_lost", "_poll", "_room", "_sending", "_timer",
        "_timer_at", "_transport", "_waiter", "_whole", "answer", "gone", "idle_since", "origin",
    )  # fmt: skip

    def __init__(self, origin: Origin, on_lost: Callable[[Connection], None]) -> None:
        self.origin = origin
        self.answer = ResponseReader()
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._busy = False  # whether a request is under way
        self._whole = False  # whether all of it was handed to the socket
        self._room = True  # whether the socket takes more
        self._held = False  # whether the server is made to wait
        self._lost = ""  # how the connection ended
        self.gone = False  # whether its socket is closed
        self._closed: asyncio.Event | None = None  # set then, if anybody waits for it
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._sending: anyio.CancelScope | None = None

    async def request(self, method: str, head: bytes, body: Body | None, run: Run, deadline: float) -> None:
        """Send a request and wait until its answer's head is there: `answer.status` and `answer.headers`.

        Raises Broken or Late, or whatever reading the body raises. `deadline` is a reading of time.monotonic().
        """
        self.answer.begin(method)
        self._busy, self._whole = True, False
        if body is None:
            self._write(head)
            self._whole = True
        elif not body.files:
            self._write(head + b"".join(cast("list[bytes]", body.parts)))
            self._whole = True
        else:
            self._write(head)
            await self._send(body, run, deadline)
        while not self.answer.status:
            if self._lost:
                raise Broken(self._lost)
            await self._wait(deadline)

    async def read(self, deadline: float) -> bytes:
        """The part of the body that has come, or the next one that comes; b"" at the end. Raises Broken or Late."""
        answer = self.answer
        while not answer.pieces:
            if answer.done:
                return b""
            if self._lost:
                raise Broken(self._lost)
            await self._wait(deadline)
        data = answer.take()
        if self._held and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._held = False
        return data

    def free(self) -> bool:
        """End the exchange. Whether another request may follow: both sides have said all, and nothing more came."""
        self._busy = False
        transport = self._transport
        return (
            self.answer.done
            and self.answer.keep
            and self._whole
            and not self._lost
            and not self._held
            and transport is not None
            and not transport.is_closing()
        )

    def usable(self) -> bool:
        """Whether an idle connection is still open, with nothing to be read - neither an end nor stray bytes.

        The socket is asked: what came a moment ago, the event loop has not told yet.
        """
        if self._lost or self._transport is None or self._transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    def abort(self) -> None:
        """Have the connection closed at once. Harmless when it is closed."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self, patience: float = 2.0) -> None:
        """Close the connection at once, and return when its socket is. A cancelled call waits for that, too."""
        self.abort()
        if self._transport is not None and not self.gone:
            if self._closed is None:
                self._closed = asyncio.Event()
            with anyio.move_on_after(patience, shield=True):
                await self._closed.wait()

    async def _send(self, body: Body, run: Run, deadline: float) -> None:
        """Send a body piece by piece, no faster than it is taken in, until it is whole or the server has refused it."""
        chunked = body.size is None
        scope = self._sending = anyio.move_on_after(max(0.0, deadline - time.monotonic()))
        try:
            with scope:
                async with aclosing(body.chunks(run)) as chunks:
                    async for chunk in chunks:
                        self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                        while not self._room and not self._lost:
                            await self._wait(deadline)
                        if self._answered_early():
                            return
                if chunked:
                    self._write(b"0\r\n\r\n")
                self._whole = True
        finally:
            self._sending = None
        if scope.cancelled_caught and not self._answered_early():
            raise Late

    def _answered_early(self) -> bool:
        """Whether sending on is of no use. An answer that begins well may need the rest of the request."""
        return bool(self._lost) or self.answer.status >= 300

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._lost:
            self._transport.write(data)

    async def _wait(self, deadline: float) -> None:
        """Wait until something has happened. Raises Late at the deadline.

        The timer of an earlier wait stays when it ends sooner than this one, and is then set anew: most never end, and to
        start and cancel one for each piece costs more than to read the piece.
        """
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            self._start_timer()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        left = max(0.001, min(self._deadline - time.monotonic(), LONGEST))
        self._timer, self._timer_at = self._loop.call_later(left, self._time_is_up), self._deadline

    def _time_is_up(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._deadline > time.monotonic():
            self._start_timer()
        else:
            self._waiter.set_exception(Late())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._sending is not None and self._answered_early():
            self._sending.cancel()  # where it waits for the next piece of the body

    # What the event loop calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self._busy or self.answer.done:  # nobody asked for it
            self.abort()
            return
        answer = self.answer
        try:
            answer.feed(data)
        except ProtocolError as error:
            if not answer.done:
                self._lost = f"the answer is not one: {error}"
            self.abort()
        else:
            if answer.buffered > MOST_BUFFERED and not answer.done and self._transport is not None:
                self._transport.pause_reading()
                self._held = True
        if answer.status or self._lost:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        answer = self.answer
        if exc is None and not self._lost:
            answer.end()
        if not answer.done and not self._lost:
            begun = "before the end of its answer" if answer.status else "without an answer"
            self._lost = f"the server closed the connection {begun}" if exc is None else str(exc) or type(exc).__name__
        self._lost = self._lost or "closed"
        self.gone, self._poll = True, None
        answer.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_lost(self)
        self._wake()
        if self._closed is not None:
            self._closed.set()

    def pause_writing(self) -> None:
        self._room = False

    def resume_writing(self) -> None:
        self._room = True
        self._wake()
