"""A real HTTP server on loopback that does what a test tells it, well-behaved or not, and remembers what arrived.

    server.on("/videos", json_answer({"id": "v1"}), status_answer(503))     # the second request meets the second answer

An answer is an async function of an `Exchange`; the last one of a path serves every further request.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from attrs import define, field

KEPT = 256 * 1024
"""Bytes of a body that are remembered; longer ones are counted and hashed only."""


@define
class Seen:
    """One request as it arrived. `whole` says whether its body did, to the end."""

    method: str
    target: str
    headers: dict[str, str]
    connection: int
    raw_head: bytes
    body: bytes = b""
    size: int = 0
    sha256: str = ""
    whole: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


@define(eq=False)
class Exchange:
    """A request whose headers have arrived, and the way to answer it."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep: bool = True
    """Whether the connection lives on after the answer."""

    async def body(self) -> bytes:
        """Read the request's body: count it, hash it, keep its beginning."""
        if self.seen.whole:
            return self.seen.body
        digest = hashlib.sha256()
        async for piece in self._pieces():
            digest.update(piece)
            self.seen.size += len(piece)
            if len(self.seen.body) < KEPT:
                self.seen.body += piece[: KEPT - len(self.seen.body)]
        self.seen.sha256, self.seen.whole = digest.hexdigest(), True
        return self.seen.body

    async def _pieces(self) -> Any:
        if self.seen.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                while size:
                    piece = await self.reader.read(min(size, 256 * 1024))
                    if not piece:
                        raise ConnectionError("cut in a chunk")
                    size -= len(piece)
                    yield piece
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            return
        left = int(self.seen.headers.get("content-length", "0"))
        while left:
            piece = await self.reader.read(min(left, 256 * 1024))
            if not piece:
                raise ConnectionError("cut in the body")
            left -= len(piece)
            yield piece

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        await self.write(head_bytes(status, headers or {}))

    async def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """A whole answer of known length."""
        lines = {"content-length": str(len(body)), **(headers or {})}
        await self.write(head_bytes(status, lines) + (body if self.seen.method != "HEAD" else b""))

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self) -> None:
        """End the connection with an RST."""
        self.keep = False
        raw: Any = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client closes the connection."""
        self.keep = False
        with suppress(ConnectionError):
            while await self.reader.read(64 * 1024):
                pass


Answer = Callable[[Exchange], Awaitable[None]]


def head_bytes(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def json_answer(document: object, status: int = 200, **headers: str) -> Answer:
    return bytes_answer(json.dumps(document).encode(), status, content_type="application/json", **headers)


def bytes_answer(body: bytes, status: int = 200, **headers: str) -> Answer:
    """`headers` with underscores for dashes."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.answer(status, body, names)

    return answer


def error_answer(status: int, message: str = "no", code: str | None = None, **headers: str) -> Answer:
    return json_answer({"error": {"message": message, "code": code, "param": None, "type": "e"}}, status, **headers)


def gzip_answer(body: bytes, status: int = 200) -> Answer:
    """Encoded though nobody asked for it."""
    return bytes_answer(gzip.compress(body), status, content_encoding="gzip")


def sse_answer(*pieces: bytes, pause: float = 0.0, end: bool = True) -> Answer:
    """Pieces of an event stream, one chunk each. `end` False: cut off instead of ended."""

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for piece in pieces:
            await exchange.chunk(piece)
            await asyncio.sleep(pause)
        if end:
            await exchange.write(b"0\r\n\r\n")
        else:
            exchange.keep = False

    return answer


def file_answer(content: bytes, etag: str | None = '"one"', ranges: bool = True) -> Answer:
    """A file that knows Range and If-Range, as RFC 9110 has them."""

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        asked = exchange.seen.headers.get("range", "")
        matches = exchange.seen.headers.get("if-range", etag) == etag
        headers = {"content-type": "video/mp4", **({"etag": etag} if etag else {})}
        if not (ranges and matches and asked.startswith("bytes=")):
            await exchange.answer(200, content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(content) - int(last)
        end = min(int(last), len(content) - 1) if first and last else len(content) - 1
        if start >= len(content):
            await exchange.answer(416, b"", {"content-range": f"bytes */{len(content)}"})
            return
        headers["content-range"] = f"bytes {start}-{end}/{len(content)}"
        await exchange.answer(206, content[start : end + 1], headers)

    return answer


async def drip_headers(exchange: Exchange) -> None:
    """An answer whose headers come a byte at a time, for ever."""
    await exchange.body()
    await exchange.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
    while True:
        await exchange.write(b"a")
        await asyncio.sleep(0.02)


async def drip_body(exchange: Exchange) -> None:
    """An answer whose body comes a byte at a time, for ever."""
    await exchange.body()
    await exchange.head(200, {"content-length": "1000000", "content-type": "application/json"})
    while True:
        await exchange.write(b" ")
        await asyncio.sleep(0.02)


async def stall(exchange: Exchange) -> None:
    """No answer at all; the connection stays open until the client leaves."""
    await exchange.body()
    await exchange.gone()


async def stall_in_body(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-length": "100"})
    await exchange.write(b'{"id"')
    await exchange.gone()


async def never_read(exchange: Exchange) -> None:
    """The request's body stays in the sender's buffers. (Not for long: without reading nobody sees a client leave.)"""
    exchange.keep = False
    transport: Any = exchange.writer.transport
    transport.pause_reading()
    await asyncio.sleep(0.7)


async def read_slowly(exchange: Exchange) -> None:
    """The request's body is taken in by small sips."""
    exchange.keep = False
    for _ in range(35):
        await exchange.reader.read(2048)
        await asyncio.sleep(0.02)


async def reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


async def reset_before_headers(exchange: Exchange) -> None:
    await exchange.body()
    exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, {"content-length": "100", "content-type": "application/json"})
    await exchange.write(b'{"id"')
    await asyncio.sleep(0.05)  # an RST may overtake what was sent before it
    exchange.reset()


async def close_unanswered(exchange: Exchange) -> None:
    await exchange.body()
    exchange.keep = False


@define(eq=False, slots=False)
class Server:
    """One thread with an asyncio loop; start it as a context manager. `open` counts the connections that live."""

    tls: ssl.SSLContext | None = None
    routes: dict[str, list[Answer]] = field(factory=dict)
    seen: list[Seen] = field(factory=list)
    opened: int = 0
    port: int = 0
    _live: set[asyncio.StreamWriter] = field(factory=set)
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)
    _ready: threading.Event = field(factory=threading.Event)
    problems: list[BaseException] = field(factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        return len(self._live)

    def on(self, path: str, *answers: Answer) -> None:
        """What to answer on a path (without its query), one after the other; the last stays."""
        self.routes[path] = list(answers)

    def requests(self, path: str, method: str | None = None) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.path == path and method in {None, seen.method}]

    def settled(self, connections: int = 0, within: float = 2.0) -> bool:
        """Wait until so many connections are open."""
        end = time.monotonic() + within
        while self.open != connections and time.monotonic() < end:
            time.sleep(0.005)
        return self.open == connections

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        task = asyncio.current_task()
        assert task is not None
        self._live.add(writer)
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # clients may leave whenever they like
        except asyncio.CancelledError:
            pass  # the server is stopped
        except Exception as error:
            self.problems.append(error)
        finally:
            writer.close()
            try:
                with suppress(Exception):  # a peer that doesn't take the rest is left alone
                    await asyncio.wait_for(writer.wait_closed(), 0.5)
            finally:
                with suppress(AttributeError):  # up to Python 3.11.3 a TLS transport that is gone can't be aborted
                    writer.transport.abort()
                self._live.discard(writer)
                self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            key = name.lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        seen = Seen(method, target, headers, number, head)
        self.seen.append(seen)
        answers = self.routes.get(seen.path, [error_answer(404, f"nothing at {seen.path}")])
        exchange = Exchange(seen, reader, writer)
        await self._while_there(exchange, answers.pop(0) if len(answers) > 1 else answers[0])
        return exchange.keep and headers.get("connection") != "close"

    async def _while_there(self, exchange: Exchange, answer: Answer) -> None:
        """Answer, and stop as soon as the client has gone away."""
        answering = asyncio.ensure_future(answer(exchange))
        try:
            while not answering.done():
                await asyncio.wait([answering], timeout=0.02)
                if exchange.writer.transport.is_closing() or exchange.reader.at_eof():
                    answering.cancel()
                    with suppress(asyncio.CancelledError):
                        await answering
                    raise ConnectionError("the client went away")
            answering.result()
        finally:
            answering.cancel()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls, limit=64 * 1024)
        # Inherited by accepted sockets: what isn't read must soon be felt by the sender.
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.port = server.sockets[0].getsockname()[1]
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.005)  # asyncio loses a connection that is coming in when the server is closed
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:  # a handshake that the client has left in the middle is among them
                task.cancel()
            await asyncio.wait(others, timeout=0.1)
        await asyncio.sleep(0)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], daemon=True)
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()


def events(*documents: tuple[str, object] | Iterable[Any]) -> bytes:
    """Events as they stand on the wire."""
    return b"".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode() for kind, data in documents)
