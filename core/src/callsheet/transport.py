"""Getting bytes to the wire and back, over httpx: the only module that imports an HTTP client.

httpx's timeouts hold for one read each, so that a server which drips one byte at a time holds a call for ever. Here a
call has one deadline: the blocking transport recomputes what is left of it at every read and write, the async one
cancels. Name resolution is the exception in blocking mode: it can't be interrupted.

A client object of one's own (httpx's, or that of its fork httpx2) may be passed. Then its limits, proxies and
certificates hold; the deadline of a blocking call is then kept per read only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

from attrs import define, field

from callsheet.drive import step_through
from callsheet.errors import APIConnectionError, APITimeoutError
from callsheet.io import Incoming, Outgoing

__all__ = ["AsyncTransport", "BlockingTransport"]

T = TypeVar("T")
_HTTP_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2"}
_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"}
_CONNECTIONS = {"max_connections": 100, "max_keepalive_connections": 20}


class _TimeLeft(float):
    """A timeout that knows the deadline behind it. `float` so that any HTTP client takes it for a timeout."""

    deadline: float

    @classmethod
    def until(cls, deadline: float) -> _TimeLeft:
        left = cls(max(0.001, deadline - time.monotonic()))
        left.deadline = deadline
        return left


class _Progress:
    """How far a request got, as httpcore's `trace` extension tells it."""

    connecting = False
    sending = False

    def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.startswith(("connection.", "socks5.", "proxy.")):
            self.connecting = True
        elif event.endswith("send_request_headers.started"):
            self.sending = True

    async def awaited(self, event: str, info: Mapping[str, Any]) -> None:
        self(event, info)

    def may_have_arrived(self, error: BaseException) -> bool:
        if self.sending:
            return True
        return type(error).__name__ not in _NOT_SENT and not self.connecting


def _translated(error: Exception, request: Outgoing, progress: _Progress) -> Exception:
    """The HTTP client's exception as ours; the exceptions of other code (a file that can't be read) as they are.

    Told apart by name, so that httpx and httpx2 need no import here and are treated alike.
    """
    name = type(error).__name__
    ours = type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES
    if not ours and not isinstance(error, TimeoutError):
        return error
    sent = progress.may_have_arrived(error)
    where = f"{request.method} {request.url.partition('?')[0]}"
    if "Timeout" in name:
        return APITimeoutError(f"{where}: no answer before the deadline ({name})", sent=sent)
    if name in {"InvalidURL", "UnsupportedProtocol"}:
        return APIConnectionError(f"{where}: the address is not one that can be called ({error})", sent=False)
    hint = "" if sent else "; is the server running, and is the base URL right?"
    return APIConnectionError(f"{where}: {str(error) or name}{hint}", sent=sent)


def _timeouts(left: _TimeLeft) -> dict[str, float]:
    return {"connect": left, "read": left, "write": left, "pool": left}


def _plain(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@define(eq=False)
class _BlockingIncoming:
    status: int
    headers: Mapping[str, str]
    _response: Any
    _left: _TimeLeft
    _request: Outgoing
    _progress: _Progress
    _chunks: Iterator[bytes] | None = None

    async def read(self, deadline: float) -> bytes:
        self._left.deadline = deadline
        if deadline <= time.monotonic():
            raise APITimeoutError(f"{self._request.method}: the answer did not end before the deadline")
        if self._chunks is None:
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

    _client: Any = field(default=None, alias="client")
    _own: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own = self._client is None

    async def open(self, request: Outgoing) -> Incoming:
        client = self._client or self._start()
        left, progress = _TimeLeft.until(request.deadline), _Progress()
        content = step_through(request.body.chunks(self.run)) if request.body is not None else None
        try:
            built = client.build_request(
                request.method,
                request.url,
                headers=request.headers,
                content=content,
                extensions={"timeout": _timeouts(left), "trace": progress},
            )
            response = client.send(built, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            raise _translated(error, request, progress) from error
        return _BlockingIncoming(response.status_code, _plain(response.headers), response, left, request, progress)

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))  # noqa: ASYNC251  blocking is what this transport is for

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return function(*args)

    def close(self) -> None:
        if self._own and self._client is not None:
            self._client.close()

    def _start(self) -> Any:
        import httpx

        client = httpx.Client(limits=httpx.Limits(**_CONNECTIONS))
        _refuse_cookies(client)
        for transport in [client._transport, *client._mounts.values()]:
            _keep_deadlines(transport)
        self._client = client
        return client


@define(eq=False)
class _AsyncIncoming:
    status: int
    headers: Mapping[str, str]
    _response: Any
    _request: Outgoing
    _progress: _Progress
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
            if self._chunks is not None:
                await self._chunks.aclose()
            await self._response.aclose()


@define(eq=False)
class AsyncTransport:
    """Waits on the running event loop, asyncio's or trio's. One per loop."""

    _client: Any = field(default=None, alias="client")
    _own: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own = self._client is None

    async def open(self, request: Outgoing) -> Incoming:
        import anyio

        client = self._client or self._start()
        progress = _Progress()
        left = _TimeLeft.until(request.deadline)
        content = request.body.chunks(self.run) if request.body is not None else None
        try:
            built = client.build_request(
                request.method,
                request.url,
                headers=request.headers,
                content=content,
                extensions={"timeout": _timeouts(left), "trace": progress.awaited},
            )
            with anyio.fail_after(left):
                response = await client.send(built, stream=True, follow_redirects=False, auth=None)
        except Exception as error:
            raise _translated(error, request, progress) from error
        return _AsyncIncoming(response.status_code, _plain(response.headers), response, request, progress)

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(max(0.0, seconds))

    async def run(self, function: Callable[..., T], *args: object) -> T:
        import anyio.to_thread

        return await anyio.to_thread.run_sync(partial(function, *args))

    async def aclose(self) -> None:
        if self._own and self._client is not None:
            await self._client.aclose()

    def _start(self) -> Any:
        import httpx

        client = httpx.AsyncClient(limits=httpx.Limits(**_CONNECTIONS))
        _refuse_cookies(client)
        self._client = client
        return client


def _refuse_cookies(client: Any) -> None:
    """One client serves many accounts: nothing that a server sets may travel on to another request."""
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))


def _keep_deadlines(transport: Any) -> None:
    """Let every socket operation recompute what is left of the deadline.

    httpx has no public way to its network backend; tests/test_transport.py holds this to its purpose.
    """
    from callsheet.deadlines import DeadlineBackend

    pool = getattr(transport, "_pool", None)
    if pool is not None and hasattr(pool, "_network_backend"):
        pool._network_backend = DeadlineBackend(pool._network_backend)
