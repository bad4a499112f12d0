"""The fake behind a real server on loopback: one thread with an asyncio loop of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attrs import define, field

from callsheet.testing.answers import Data, End, Head, Pause, Reset, Stall, Step, document
from callsheet.testing.http1 import LIMIT, BadRequest, head_bytes, read_request
from callsheet.testing.refusals import Refusal

if TYPE_CHECKING:
    from callsheet.testing.wire import Wire

__all__ = ["serving"]


@contextmanager
def serving(fake: Wire, tls: ssl.SSLContext | None) -> Iterator[str]:
    """Serve until the context ends. Connections that are open then are cut."""
    server = _Server(fake, tls)
    thread = threading.Thread(target=server.run, name="callsheet fake upstream", daemon=True)
    thread.start()
    server.ready.wait(10)
    if server.failure is not None:
        raise server.failure
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.port}{fake.prefix}"
    finally:
        server.stop()
        thread.join(10)


class _Over(Exception):
    """The connection can't be used any longer."""


@define(eq=False)
class _Server:
    fake: Wire
    tls: ssl.SSLContext | None
    port: int = 0
    failure: BaseException | None = None
    ready: threading.Event = field(factory=threading.Event)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)
    _stopping: asyncio.Event = field(factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    def run(self) -> None:
        try:
            self._loop.set_exception_handler(lambda *_: None)  # a client that breaks off a handshake is no news
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self.failure = error
        finally:
            self.ready.set()
            self._loop.close()

    def stop(self) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _serve(self) -> None:
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls, limit=LIMIT, backlog=256)
        self.port = listener.sockets[0].getsockname()[1]
        self.ready.set()
        await self._stopping.wait()
        await asyncio.sleep(0.005)  # asyncio loses a connection that is coming in when the server is closed
        listener.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(others, timeout=0.1)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.fake.connected(1)
        try:
            while await self._exchange(reader, writer):
                pass
        except (_Over, ConnectionError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError):
            pass  # clients may leave whenever they like
        except asyncio.CancelledError:
            pass  # the server is stopped
        except Exception as error:
            self.fake.problem(f"the fake itself failed: {error!r}")
        finally:
            await self._hang_up(writer)
            self.fake.connected(-1)
            self._tasks.discard(task)

    async def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        try:
            with suppress(Exception):  # a peer that doesn't take the rest is left alone
                await asyncio.wait_for(writer.wait_closed(), 0.5)
        finally:
            with suppress(AttributeError):  # up to Python 3.11.3 a TLS transport that is gone can't be aborted
                writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. Whether there may be another."""

        async def go_on() -> None:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

        try:
            request = await read_request(reader, go_on)
        except BadRequest as error:
            self.fake.problem(str(error))
            refused = document(self.fake.error_document(Refusal(str(error))), 400)
            await _Line(reader, writer).play(refused.steps())
            return False
        if request is None:
            return False
        steps = self.fake.offers(
            request.method, request.target, request.headers, request.body, "https" if self.tls else "http"
        )
        await _Line(reader, writer).play(steps)
        return request.keep_alive


@define(eq=False)
class _Line:
    """One answer on its way out."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chunked: bool = False

    async def play(self, steps: Iterator[Step]) -> None:
        for step in steps:
            match step:
                case Head(status, headers, interval):
                    self.chunked = ("transfer-encoding", "chunked") in headers
                    await self._write(head_bytes(status, headers), interval)
                case Data(content, interval) if content:
                    await self._data(content, interval)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Stall():
                    await self._until_gone()
                case Reset():
                    self._reset()
                    raise _Over
                case End():
                    if self.chunked:
                        await self._write(b"0\r\n\r\n")
                case _:
                    pass

    async def _data(self, content: bytes, interval: float) -> None:
        pieces = [content[i : i + 1] for i in range(len(content))] if interval else [content]
        for piece in pieces:
            await self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)
            if interval:
                await asyncio.sleep(interval)

    async def _write(self, content: bytes, interval: float = 0.0) -> None:
        pieces = [content[i : i + 1] for i in range(len(content))] if interval else [content]
        for piece in pieces:
            if self.writer.transport.is_closing():
                raise _Over
            self.writer.write(piece)
            await self.writer.drain()
            if interval:
                await asyncio.sleep(interval)

    async def _until_gone(self) -> None:
        while await self.reader.read(LIMIT):
            pass
        raise _Over

    def _reset(self) -> None:
        raw: Any = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
