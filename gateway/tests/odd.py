"""A provider that does what a test tells it to, behind a gateway in this very process: real HTTP over loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from callsheet import (
    IO,
    AsyncClient,
    ChatCompletion,
    CreateChatCompletion,
    CreateResponse,
    Download,
    DownloadVideo,
    Event,
    GenerateVideo,
    GetVideo,
    MintRealtimeSecret,
    Provider,
    RealtimeCall,
    RealtimeSecret,
    Registry,
    RelaySDP,
    Response,
    Stream,
    Video,
    hookimpl,
)
from callsheet_gateway import GatewaySettings, make_app, make_client
from callsheet_gateway.access_log import AccessLog
from callsheet_gateway.protocol import Protocol
from callsheet_gateway.state import State


class Odd(Provider):
    """Each hook calls the function of its name in `does`."""

    embedded = True
    models = {"m": ("responses",), "n": ()}
    does: dict[str, Callable[[Any], Any]] = {}

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return self.does["generate_video"](request)

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return self.does["get_video"](request)

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        return self.does["download_video"](request)

    @hookimpl
    async def mint_realtime_secret(self, request: MintRealtimeSecret, io: IO) -> RealtimeSecret:
        return self.does["mint_realtime_secret"](request)

    @hookimpl
    async def relay_sdp(self, request: RelaySDP, io: IO) -> RealtimeCall:
        return self.does["relay_sdp"](request)

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        return self.does["responses"](request)

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        return self.does["chat_completions"](request)


class Items:
    """A stream's source: events to give, errors to raise, and functions to await between them."""

    def __init__(self, *items: Any) -> None:
        self.items, self.closed = list(items), threading.Event()

    async def __anext__(self) -> Event:
        while self.items:
            item = self.items.pop(0)
            if isinstance(item, Event):
                return item
            if isinstance(item, BaseException):
                raise item
            await item()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


@contextmanager
def over(
    kind: type[Provider],
    client: AsyncClient | None = None,
    state: State | None = None,
    access_log: AccessLog | None = None,
    **settings: Any,
) -> Iterator[httpx.Client]:
    """An HTTP client of a gateway over one provider class, or over a client that was made elsewhere."""
    registry = Registry(points=[], wraps=())
    registry.register("odd", kind)
    chosen = GatewaySettings(**settings)
    app = make_app(client or make_client(None, registry), chosen, state, access_log=access_log)
    how = uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=2, http=Protocol.of(chosen))
    server = uvicorn.Server(how)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", trust_env=False, timeout=20) as http:
            yield http
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
