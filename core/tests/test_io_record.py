"""What io records of each request: not sent, rejected, or maybe accepted; and what several requests of one hook add up to."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.server import Server, error_answer, json_answer, stall
from core.tests.wire import Wire

from callsheet import (
    IO,
    APIConnectionError,
    APIError,
    APITimeoutError,
    NotFoundError,
    Provider,
    RateLimitError,
    Registry,
    Request,
    Video,
    hookimpl,
)
from callsheet import models as m


async def test_by_status(client: Any, server: Server) -> None:
    for outcome, statuses in {
        "rejected": (400, 401, 402, 403, 404, 413, 422, 429),
        "maybe": (302, 303, 408, 409, 500, 502, 503, 504, 529),
    }.items():
        for status in statuses:
            server.on("/videos", error_answer(status, location="/else"))
            with pytest.raises(APIError):
                await client.generate_video(prompt="A fox")
            assert (status, Wire.ios[-1].outcome) == (status, outcome)


async def test_success_is_a_maybe(client: Any, server: Server) -> None:
    server.on("/videos", json_answer({"id": "v1", "status": "queued"}))
    await client.generate_video(prompt="A fox")
    [sent] = Wire.ios[-1].sent
    assert (sent.method, sent.billable, sent.outcome) == ("POST", True, "maybe")


async def test_reading_costs_nothing(client: Any, server: Server) -> None:
    server.on("/videos/v1", json_answer({"id": "v1", "status": "queued"}))
    await client.get_video(video_id="v1", provider="wire")
    [sent] = Wire.ios[-1].sent
    assert (sent.method, sent.billable) == ("GET", False)
    assert Wire.ios[-1].outcome == "not_sent"


async def test_waiting_for_a_free_connection_is_not_sending(mode: Mode, server: Server) -> None:
    """All connections are taken: the deadline finds the request where it was."""
    from callsheet import transport

    before = dict(transport._CONNECTIONS)
    transport._CONNECTIONS.update(max_connections=1)
    try:
        client = mode.client(server)
        server.on("/responses", stall)
        server.on("/videos", json_answer({"id": "v1", "status": "queued"}))

        async def going(exchange: Any) -> None:
            await exchange.body()
            await exchange.head(200, {"content-type": "text/event-stream"})
            await exchange.gone()

        server.on("/responses", going)
        async with await client.responses(input="hi", stream=True):
            with pytest.raises(APITimeoutError) as caught:
                await client.generate_video(prompt="A fox", timeout=0.2)
        assert (caught.value.sent, caught.value.should_retry) == (False, None)
        assert Wire.ios[-1].outcome == "not_sent"
        assert len(server.requests("/videos")) == 0
        assert (await client.generate_video(prompt="A fox")).status == "queued"
    finally:
        transport._CONNECTIONS.update(before)


class Several(Provider):
    """Looks, starts the work, and looks again."""

    @hookimpl
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> Video:
        await io.send(Request("POST", "/before", billable=False))
        reply = await io.post_json("/start", {})
        await io.get("/after")
        return Video.model_validate(reply.json())


@pytest.fixture
def several(mode: Mode, server: Server) -> Any:
    registry = Registry(points=[], wraps=())
    registry.register("several", Several)
    for path in ("/before", "/start", "/after"):
        server.on(path, json_answer({"id": "v1", "status": "queued"}))
    return mode.client(server, "several", registry=registry)


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_trouble_after_the_work_began(several: Any, server: Server, status: int) -> None:
    """Whatever the last request met: asking for the whole again would begin the work again."""
    server.on("/after", error_answer(status))
    with pytest.raises(APIError) as caught:
        await several.generate_video(prompt="A fox")
    assert caught.value.should_retry is False
    assert len(server.requests("/start")) == 1


async def test_trouble_before_the_work_began(several: Any, server: Server) -> None:
    server.on("/before", error_answer(404))
    with pytest.raises(NotFoundError) as caught:
        await several.generate_video(prompt="A fox")
    assert caught.value.should_retry is None
    server.on("/before", error_answer(429, retry_after="500"))
    with pytest.raises(RateLimitError) as limited:
        await several.generate_video(prompt="A fox")
    assert limited.value.should_retry is None
    assert len(server.requests("/start")) == 0


class Wanderer(Provider):
    """Starts the work here and then calls where nobody is."""

    nowhere = ""

    @hookimpl
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> Video:
        await io.post_json("/start", {})
        await io.send(Request("GET", self.nowhere, auth=None))
        return Video(id="v1", status="queued")


async def test_not_sent_after_the_work_began(mode: Mode, server: Server) -> None:
    """The request that failed provably did not arrive, but an earlier one of the same attempt did."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nowhere = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    registry = Registry(points=[], wraps=())
    registry.register("wanderer", type("Wanderer", (Wanderer,), {"nowhere": nowhere}))
    server.on("/start", json_answer({}))
    with pytest.raises(APIConnectionError) as caught:
        await mode.client(server, "wanderer", registry=registry).generate_video(prompt="A fox")
    assert (caught.value.sent, caught.value.should_retry) == (False, False)
    assert len(server.seen) == 1
