"""What the tests of the transport share: a server, a client in each of three modes, and a way to run one test in all.

A test that is an `async def` and takes `mode` (or `client`, which has one) is run three times: blocking, where its
client's methods block and nothing ever suspends, and on asyncio and trio.
"""

from __future__ import annotations

import gc
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]  # its stubs are a distribution of their own
import pytest
from core.tests.server import Server
from core.tests.wire import KEY, registry

from callsheet import AsyncClient, BlockingTransport, Client, SyncDownload, SyncStream
from callsheet.drive import finish


class Awaited:
    """A sync client (or stream) that can be awaited: it does its work at once, in this thread."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if not callable(member):
            return member

        async def call(*arguments: Any, **keywords: Any) -> Any:
            result = member(*arguments, **keywords)
            return Awaited(result) if isinstance(result, SyncStream | SyncDownload) else result

        return call

    def __aiter__(self) -> Awaited:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self.inner)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.inner.close()

    async def __aenter__(self) -> Awaited:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class Mode:
    """Blocking, asyncio or trio."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blocking = name == "blocking"
        self._clients: list[Any] = []

    def client(self, server: Server | None = None, provider: str = "wire", **options: Any) -> Any:
        """A client in this mode; it is closed when the test ends."""
        if server is not None:
            options.setdefault("base_url", server.url)
        options = {"provider": provider, "api_key": KEY, "registry": registry(), "timeout": 5.0, **options}
        made = Awaited(Client(**options)) if self.blocking else AsyncClient(**options)
        self._clients.append(made)
        return made

    async def sleep(self, seconds: float) -> None:
        if self.blocking:
            time.sleep(seconds)
        else:
            await anyio.sleep(seconds)

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function in this mode, and close the clients afterwards, where they lived."""

        async def whole() -> None:
            try:
                await body()
            finally:
                for client in self._clients:
                    await client.close()

        if self.blocking:
            finish(whole())
        else:
            anyio.run(whole, backend=self.name)


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    """Import the HTTP client now: it would count against the first test's deadline."""
    BlockingTransport()._start().close()


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own. Every connection to it must be gone when the test is over."""
    with Server() as running:
        yield running
        assert running.settled(0), f"{running.open} connections are still open"
    assert running.problems == []


@pytest.fixture
def client(mode: Mode, server: Server) -> Any:
    return mode.client(server)


class Held:
    """How many files and threads this process holds, and whether it comes back to that."""

    def __init__(self) -> None:
        gc.collect()
        self._here = psutil.Process()
        self.files, self.threads = self._here.num_fds(), threading.active_count()

    def more(self, files: int = 0, threads: int = 0, within: float = 2.0) -> str:
        """What is held beyond `files` and `threads` more; empty if nothing. The server is given time to close its ends."""
        end = time.monotonic() + within
        while True:
            gc.collect()
            more_files, more_threads = self._here.num_fds() - self.files, threading.active_count() - self.threads
            if more_files <= files and more_threads <= threads:
                return ""
            if time.monotonic() > end:
                return f"{more_files} files and {more_threads} threads more than before"
            time.sleep(0.01)


@pytest.fixture
def held(server: Server) -> Held:
    return Held()


def pytest_configure(config: pytest.Config) -> None:
    # Leaving an HTTP stream early abandons httpx's and httpcore's own nested generators; trio tells of each. Not ours.
    config.addinivalue_line("filterwarnings", r"ignore:Async generator 'http(x|core)2?\._:ResourceWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or not isinstance(mode := pyfuncitem.funcargs.get("mode"), Mode):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    mode.run(lambda: pyfuncitem.obj(**arguments))
    return True
