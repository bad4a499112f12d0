"""Getting bytes to the wire and back, over httpx: with deadlines.py, the only module that imports an HTTP client.

httpx's timeouts hold for one read each, so that a server which drips one byte at a time holds a call for ever. Here a
call has one deadline: the blocking transport recomputes what is left of it at every read and write, the async one
cancels. Name resolution is the exception in blocking mode: it can't be interrupted.

A client object of one's own (httpx's, or that of its fork httpx2) may be passed. Then its limits, proxies and
certificates hold; the deadline of a blocking call is then kept per read only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from callsheet.drive import step_through
from callsheet.errors import APIConnectionError, APITimeoutError
from callsheet.io import Incoming, Outgoing

if TYPE_CHECKING:
    import ssl

__all__ = ["LONGEST", "AsyncTransport", "BlockingTransport", "certificates"]

T = TypeVar("T")
_HTTP_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2"}
_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"}
_CONNECTIONS = {"max_connections": 100, "max_keepalive_connections": 100}
_DIRECT: dict[str, Any] = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
"""No proxy of the environment's for this machine: keys travel to it in the open."""
_THREADS = 40
"""How many blocking functions of providers run at once."""
CONNECT = 10.0
"""Seconds for a connection to come about, its TLS handshake included."""
LONGEST = 30 * 24 * 3600.0
"""Seconds: sockets refuse timeouts beyond what their clocks can count, infinity among them."""


class _TimeLeft(float):
    """A timeout that knows the deadline behind it. `float` so that any HTTP client takes it for a timeout."""

    deadline: float

    @classmethod
    def until(cls, deadline: float) -> _TimeLeft:
        left = cls(min(max(0.001, deadline - time.monotonic()), LONGEST))
        left.deadline = deadline
        return left


class _Progress:
    """How far a request got, as httpcore's `trace` extension tells it. `told`: it surely tells, as our own client's does."""

    def __init__(self, told: bool) -> None:
        self.told = told
        self.connecting = False
        self.sending = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if ".receive_response_" in event and not event.endswith(".started"):
            # httpcore logs this dictionary next, at DEBUG, and an answer's headers, or its bytes in an error, may repeat
            # the key. The loggers are the whole program's, and not ours to silence: so they are left nothing to tell.
            info.clear()
        if event.startswith(("connection.", "socks5.", "proxy.")):
            self.connecting = True
        elif event.endswith("send_request_headers.started"):
            self.sending = True

    async def awaited(self, event: str, info: dict[str, Any]) -> None:
        self(event, info)

    def may_have_arrived(self, error: BaseException) -> bool:
        if self.sending or self.told:
            return self.sending
        return type(error).__name__ not in _NOT_SENT and not self.connecting


def _translated(error: Exception, request: Outgoing, progress: _Progress) -> Exception:
    """The HTTP client's exception as ours; the exceptions of other code (a file that can't be read) as they are.

    Told apart by name, so that httpx and httpx2 need no import here and are treated alike.
    """
    name = type(error).__name__
    ours = type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES
    if not ours and not isinstance(error, TimeoutError):
        return error
    _forget_frames(error)
    sent = progress.may_have_arrived(error)
    where = f"{request.method} {request.url.partition('?')[0]}"
    if "Timeout" in name:
        # That all connections are in use is this program's doing, and says nothing of the upstream.
        code = "pool_timeout" if name == "PoolTimeout" else None
        return APITimeoutError(f"{where}: no answer before the deadline ({name})", sent=sent, code=code)
    if name in {"InvalidURL", "UnsupportedProtocol"}:
        if not sent:
            return APIConnectionError(f"{where}: the address is not one that can be called ({error})", sent=False)
        # An answer that redirects to a bad address: httpx reads it though it isn't to follow it. It won't get better.
        return APIConnectionError(
            f"{where}: the server redirects to a bad address ({error})", sent=True, should_retry=False
        )
    hint = "" if sent else "; is the server running, and is the base URL right?"
    return APIConnectionError(f"{where}: {str(error) or name}{hint}", sent=sent)


def _forget_frames(error: BaseException | None) -> None:
    """Leave of an HTTP client's error what it says: its frames hold the request's headers, and tools show frames."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _timeouts(left: _TimeLeft) -> dict[str, float | None]:
    """A place that does not answer is told soon, while there is time to try again; the rest has the call's deadline."""
    connect = _TimeLeft.until(min(left.deadline, time.monotonic() + CONNECT))
    return {"connect": connect, "read": left, "write": left, "pool": left}


def _plain(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@define(eq=False)
class _BlockingIncoming:
    status: int
    headers: Mapping[str, str]
    _response: Any
    _timeouts: dict[str, float | None]
    _left: _TimeLeft
    _request: Outgoing
    _progress: _Progress
    _chunks: Iterator[bytes] | None = None

    async def read(self, deadline: float) -> bytes:
        self._left.deadline = deadline
        if deadline <= time.monotonic():
            where = f"{self._request.method} {self._request.url.partition('?')[0]}"
            raise APITimeoutError(f"{where}: the answer did not end before the deadline")
        if self._chunks is None:
            # A client of the caller's knows nothing of deadlines: it waits so long for each piece.
            self._left = self._timeouts["read"] = _TimeLeft.until(deadline)
            self._chunks = self._response.iter_raw()
        try:
            return next(self._chunks, b"")
        except Exception as error:
            raise _translated(error, self._request, self._progress) from error

    async def aclose(self) -> None:
        self._response.close()


@define(eq=False)
class BlockingTransport:
    """Blocks the calling thread; never suspends. Safe to share between threads."""

    blocking: bool = field(default=True, init=False)
    _client: Any = field(default=None, alias="client")
    _own: bool = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._own = self._client is None

    async def open(self, request: Outgoing) -> Incoming:
        client = self._client or self._start()
        left, progress = _TimeLeft.until(request.deadline), _Progress(self._own)
        timeouts = _timeouts(left)
        content = step_through(request.body.chunks(self.run)) if request.body is not None else None
        try:
            built = client.build_request(
                request.method,
                request.url,
                headers=request.headers,
                content=content,
                extensions={"timeout": timeouts, "trace": progress},
            )
            response = client.send(built, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            raise _translated(error, request, progress) from error
        finally:
            if content is not None:
                content.close()  # and with it the file that it reads
        headers = _plain(response.headers)
        return _BlockingIncoming(response.status_code, headers, response, timeouts, left, request, progress)

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))  # noqa: ASYNC251  blocking is what this transport is for

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return function(*args)

    def close(self) -> None:
        if self._own and self._client is not None:
            self._client.close()

    def _start(self) -> Any:
        import httpx

        from callsheet.deadlines import DeadlineBackend

        with self._lock:
            if self._client is None:
                client = httpx.Client(verify=certificates(), limits=httpx.Limits(**_CONNECTIONS), mounts=_DIRECT)
                _refuse_cookies(client)
                for pool in _pools_of(client):
                    pool._network_backend = DeadlineBackend(pool._network_backend)
                self._client = client
            return self._client


@define(eq=False)
class _AsyncIncoming:
    status: int
    headers: Mapping[str, str]
    _response: Any
    _request: Outgoing
    _progress: _Progress
    _pools: Sequence[Any]
    _chunks: Any = None

    async def read(self, deadline: float) -> bytes:
        import anyio

        if self._chunks is None:
            self._chunks = self._response.aiter_raw()
        try:
            with anyio.fail_after(max(0.0, deadline - time.monotonic())):
                return await anext(self._chunks, b"")
        except Exception as error:
            raise _translated(error, self._request, self._progress) from error

    async def aclose(self) -> None:
        import anyio

        # Shielded: a cancelled call must give its connection back, too.
        with anyio.move_on_after(2, shield=True):
            try:
                if self._chunks is not None:
                    await self._chunks.aclose()
                await self._response.aclose()
            finally:
                await _release(self._pools, self._progress)


@define(eq=False)
class AsyncTransport:
    """Waits on the running event loop, asyncio's or trio's. One per loop."""

    blocking: bool = field(default=False, init=False)
    _client: Any = field(default=None, alias="client")
    _own: bool = field(init=False)
    _pools: Sequence[Any] = field(default=(), init=False)
    _threads: Any = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._own = self._client is None

    async def open(self, request: Outgoing) -> Incoming:
        import anyio

        client = self._client or self._start()
        progress = _Progress(self._own)
        content = request.body.chunks(self.run) if request.body is not None else None
        try:
            built = client.build_request(
                request.method,
                request.url,
                headers=request.headers,
                content=content,
                # No other timeouts of httpx's: they would go on to count for each piece of a stream.
                extensions={"timeout": {"connect": CONNECT if self._own else None}, "trace": progress.awaited},
            )
            with anyio.fail_after(max(0.0, request.deadline - time.monotonic())):
                response = await client.send(built, stream=True, follow_redirects=False, auth=None)
        except BaseException as error:
            with anyio.move_on_after(2, shield=True):
                await _release(self._pools, progress)
            if isinstance(error, Exception):
                raise _translated(error, request, progress) from error
            raise
        finally:
            if content is not None:
                await content.aclose()  # and with it the file that it reads
        headers = _plain(response.headers)
        return _AsyncIncoming(response.status_code, headers, response, request, progress, self._pools)

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(max(0.0, seconds))

    async def run(self, function: Callable[..., T], *args: object) -> T:
        import anyio.to_thread

        if self._threads is None:
            # A limit of its own: what providers do must not keep a server from reading and writing its own files.
            self._threads = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(partial(function, *args), limiter=self._threads)

    async def aclose(self) -> None:
        if self._own and self._client is not None:
            await self._client.aclose()

    def _start(self) -> Any:
        import httpx

        from callsheet.deadlines import CancellableBackend

        client = httpx.AsyncClient(verify=certificates(), limits=httpx.Limits(**_CONNECTIONS), mounts=_DIRECT)
        _refuse_cookies(client)
        self._pools = _pools_of(client)
        for pool in self._pools:
            pool._network_backend = CancellableBackend(pool._network_backend)
        self._client = client
        return client


@cache
def certificates() -> ssl.SSLContext:
    """Whom to trust. Reading it takes 20 ms: once for all clients."""
    import httpx

    return httpx.create_ssl_context()


def _refuse_cookies(client: Any) -> None:
    """One client serves many accounts: nothing that a server sets may travel on to another request."""
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))


async def _release(pools: Sequence[Any], progress: _Progress) -> None:
    """Take back what a cancelled request holds in httpcore's pool.

    Cancelled between connecting and sending, it leaves a connection behind that no request will ever use; cancelled as
    an asyncio task while its connection is given back, it leaves both. They would stay open, and take one of the pool's
    places, for ever.
    """
    for pool in pools:
        mine = [request for request in pool._requests if request.request.extensions.get("trace") == progress.awaited]
        for request in mine:
            pool._requests.remove(request)
        used = {id(request.connection) for request in pool._requests}
        orphans = [
            connection
            for connection in pool._connections
            if not (id(connection) in used or connection.is_idle() or connection.is_closed())
        ]
        for connection in orphans:
            pool._connections.remove(connection)
        if mine or orphans:
            await pool._close_connections([*orphans, *pool._assign_requests_to_connections()])


def _pools_of(client: Any) -> list[Any]:
    """The connection pools of an httpx client of our own.

    httpx has no public way to them; tests/test_transport_deadline.py and test_transport_cancel.py hold this to its purpose.
    """
    transports = [client._transport, *client._mounts.values()]
    return [transport._pool for transport in transports if hasattr(transport, "_pool")]
