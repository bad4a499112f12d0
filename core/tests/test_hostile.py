"""An upstream that is broken, or means ill: secrets, depth, stalls, redirects. Each of these went wrong once."""

from __future__ import annotations

import socket
import time
import traceback
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.server import Exchange, Server, bytes_answer, json_answer
from core.tests.wire import KEY

from callsheet import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    RateLimitError,
    VideoFailedError,
)
from callsheet.urls import leads_on


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)


async def test_a_key_in_a_line_that_is_no_header(client: Any, server: Server) -> None:
    """The HTTP library quotes the line, and its error would stand in the traceback."""

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        exchange.keep = False
        await exchange.write(f"HTTP/1.1 200 OK\r\n{KEY} no header\r\n\r\n".encode())

    server.on("/videos", answer)
    with pytest.raises(APIConnectionError) as caught:
        await client.generate_video(prompt="A fox")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.should_retry is False


@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_that_is_deep(client: Any, server: Server, status: int) -> None:
    deep = '{"error": {"message": "m", "x": ' + "[" * 600 + "]" * 600 + "}}"
    server.on("/videos", bytes_answer(deep.encode(), status, content_type="application/json"))
    with pytest.raises(APIStatusError) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.status_code == status
    assert caught.value.should_retry is (None if status == 400 else False)


async def test_what_is_deep_is_sent_back_or_refused_in_words(client: Any, server: Server) -> None:
    """Two hundred levels go there and back; a thousand are a BadRequestError, before anything is sent."""
    for levels in (200, 240):
        deep: Any = []
        for _ in range(levels):
            deep = [deep]
        server.on("/responses", json_answer({"id": "r", "output": deep}))
        answer = await client.responses(input="hi")
        await client.responses(input=answer.output, store=False)
        assert server.seen[-1].json()["input"] == deep
    for _ in range(900):
        deep = [deep]
    before = len(server.seen)
    with pytest.raises((APIResponseValidationError, APIStatusError), match="can't be written"):
        await client.responses(input=deep, store=False)
    assert len(server.seen) == before


async def test_an_error_whose_words_never_come(client: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status has come, and so has what it says of trying again."""
    monkeypatch.setattr("callsheet.io.PATIENCE_WITH_ERRORS", 0.2)

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(429, {"content-length": "100", "retry-after-ms": "10"})
        await exchange.gone()

    server.on("/videos/v1", answer)
    begun = time.monotonic()
    with pytest.raises(RateLimitError):
        await client.get_video(video_id="v1", provider="wire", timeout=10)
    assert time.monotonic() - begun < 5
    assert len(server.seen) == 3


async def test_a_place_that_does_not_answer_is_left_soon(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection has a time of its own, so that there is some left to try again."""
    monkeypatch.setattr("callsheet.transport.CONNECT", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        client = mode.client(base_url=f"http://127.0.0.1:{full.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(APITimeoutError) as caught:
            await client.generate_video(prompt="A fox", timeout=20)
        assert 0.5 < time.monotonic() - begun < 5  # three times
        assert (caught.value.sent, caught.value.should_retry) == (False, None)
        for other in others:
            other.close()


async def test_no_proxy_for_this_machine(mode: Mode, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys travel to it in the open: not by way of whatever HTTP_PROXY names."""
    with Server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        server.on("/videos/v1", json_answer({"id": "v1", "status": "queued"}))
        for host in ("127.0.0.1", "localhost"):
            await mode.client(base_url=server.url.replace("127.0.0.1", host)).get_video(video_id="v1", provider="wire")
        assert proxy.opened == 0


async def test_a_job_that_failed_quotes_no_key(client: Any, server: Server) -> None:
    failed = {"id": "v1", "status": "failed", "error": {"code": "auth", "message": f"Incorrect key {KEY}"}}
    server.on("/videos/v1", json_answer(failed, x_request_id=f"req-{KEY}"))
    video = await client.get_video(video_id="v1", provider="wire")
    assert KEY not in repr(video) + repr(video.meta)
    with pytest.raises(VideoFailedError, match=r"Incorrect key \[secret\]"):
        await client.wait(video)


async def test_a_conversation_and_a_remote_tool_leave_something_behind(mode: Mode, server: Server) -> None:
    """So an answer that got lost is not asked for again, stored or not."""
    for more in ({"conversation": "conv_1"}, {"tools": [{"type": "mcp", "server_url": "https://x.example"}]}):
        server.seen.clear()
        server.on("/responses", bytes_answer(b"{", 500))
        with pytest.raises(APIStatusError) as caught:
            await mode.client(server).responses(input="hi", store=False, **more)
        assert (len(server.seen), caught.value.should_retry) == (1, False)


@pytest.mark.parametrize(
    ("url", "target", "may"),
    [
        ("https://a.example/v1", "https://cdn.example/x", True),
        ("https://a.example/v1", "http://cdn.example/x", False),
        ("http://a.example/v1", "http://cdn.example/x", True),
        ("https://a.example/v1", "https://169.254.169.254/latest", False),
        ("https://a.example/v1", "https://127.0.0.1/x", False),
        ("https://a.example/v1", "https://localhost/x", False),
        ("https://a.example/v1", "https://10.1.2.3/x", False),
        ("https://a.example/v1", "https://[::ffff:10.1.2.3]/x", False),
        ("https://a.example/v1", "https://8.8.8.8/x", True),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/x", True),
        ("http://10.0.0.1/v1", "http://10.0.0.2/x", True),
    ],
)
def test_where_a_redirect_may_lead(url: str, target: str, may: bool) -> None:
    assert leads_on(url, target) is may
