"""The gateway's end: what is under way is finished, what takes too long is told so, and a second signal ends it all."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from core.tests.server import Exchange, Server, json_answer
from gateway.tests.serving import launched

pytestmark = pytest.mark.anyio
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": []}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def gateway(folder: Path, upstream: Server, **settings: float) -> Iterator[tuple[Any, str, Path]]:
    """`callsheet serve` in front of a server: its process, its address, and what it says on stderr."""
    config = {
        "model_list": [
            {
                "model_name": "m",
                "litellm_params": {"model": "openai/x", "api_base": f"{upstream.url}/v1", "api_key": "sk-of-a-test"},
            }
        ],
        "gateway": settings,
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    with (folder / "errors").open("w+") as errors:
        process, said = launched(folder / "data", errors, "--config", str(folder / "config.yaml"))
        try:
            yield process, said["base_url"], folder / "errors"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def streams_of(events: int, pause: float) -> Any:
    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for _ in range(events):
            await exchange.chunk(b"data: %s\n\n" % json.dumps(CHUNK).encode())
            await asyncio.sleep(pause)
        await exchange.chunk(b"data: [DONE]\n\n")
        await exchange.write(b"0\r\n\r\n")

    return answer


async def stream(client: httpx.AsyncClient, begun: asyncio.Semaphore) -> list[str]:
    """The data of a stream's events. `begun` is released at the first."""
    told = []
    async with client.stream("POST", "/chat/completions", json=ASKED) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                told.append(line[6:])
                if len(told) == 1:
                    begun.release()
    return told


async def upload(client: httpx.AsyncClient, begun: asyncio.Semaphore) -> httpx.Response:
    """A clip that comes in pieces, over a second and a half."""
    head = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nBunny\r\n'
    head += b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        begun.release()
        for _ in range(15):
            yield b"x" * 20_000
            await asyncio.sleep(0.1)
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    return await client.post("/videos/characters", params={"model": "m"}, content=pieces(), headers=headers)


@pytest.mark.parametrize(("streams", "uploads"), [(100, 10)])
async def test_what_is_under_way_is_finished(tmp_path: Path, streams: int, uploads: int) -> None:
    with Server() as upstream:
        upstream.on("/v1/chat/completions", streams_of(15, 0.2))
        upstream.on("/v1/videos/characters", json_answer({"id": "char_1", "object": "character", "name": "Bunny"}))
        with gateway(tmp_path, upstream, notice_seconds=1.0, grace_seconds=20) as (process, url, errors):
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, limits=limits) as client:
                begun = asyncio.Semaphore(0)
                asked = [asyncio.create_task(stream(client, begun)) for _ in range(streams)]
                sent = [asyncio.create_task(upload(client, begun)) for _ in range(uploads)]
                for _ in range(streams + uploads):
                    await begun.acquire()
                process.send_signal(signal.SIGTERM)
                told = time.monotonic()
                while (looked := await client.get("/health/ready")).status_code == 200:
                    assert time.monotonic() - told < 1
                assert time.monotonic() - told < 0.5
                assert (looked.status_code, looked.json()) == (503, {"status": "ending"})
                assert looked.headers["connection"] == "close"
                assert (await client.get("/health/live")).status_code == 200
                assert (await client.get("/models")).status_code == 200  # the door is open still
                ended, answers = await asyncio.gather(*asked), await asyncio.gather(*sent)
                with pytest.raises(httpx.ConnectError):
                    await client.get("/health/live")
            assert [len(one) for one in ended] == [16] * streams
            assert {one[-1] for one in ended} == {"[DONE]"}
            assert [answer.status_code for answer in answers] == [200] * uploads
            assert process.wait(10) == 0
            assert "cut off" not in errors.read_text()


async def test_what_takes_too_long_is_told_so(tmp_path: Path) -> None:
    with Server() as upstream:
        upstream.on("/v1/chat/completions", streams_of(1000, 0.1))
        with gateway(tmp_path, upstream, notice_seconds=0, grace_seconds=1) as (process, url, errors):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                begun = asyncio.Semaphore(0)
                asked = asyncio.create_task(stream(client, begun))
                upstream.on("/v1/responses", _never)
                silent = asyncio.create_task(client.post("/responses", json={"model": "m", "input": "x"}))
                await begun.acquire()
                await asyncio.sleep(0.2)
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                last = json.loads((await asked)[-1])
                answer = await silent
            assert 0.9 < time.monotonic() - began < 3
            assert last["error"]["code"] == "ending"
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ending")
            assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("1", "true")
            assert process.wait(5) == 0
            said = errors.read_text()
            assert "2 requests are under way: they get 1 seconds." in said
            assert "Requests that were cut off: 2." in said
            assert "Traceback" not in said


async def test_the_end_before_a_first_event_and_beside_a_job(tmp_path: Path) -> None:
    """A stream that has sent nothing has a status still. A job's progress hears of the end as other streams do, and does
    not take it for one more outage.
    """
    with Server() as upstream:
        upstream.on("/v1/chat/completions", _begins_late)
        upstream.on("/v1/videos", json_answer({"id": "v_1", "object": "video", "status": "queued"}))
        upstream.on("/v1/videos/v_1", json_answer({"id": "v_1", "object": "video", "status": "in_progress"}))
        with gateway(tmp_path, upstream, notice_seconds=0, grace_seconds=1) as (process, url, errors):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                id = (await client.post("/videos", json={"model": "m", "prompt": "A fox"})).json()["id"]
                watched = asyncio.create_task(client.get(f"/videos/{id}/events"))
                asked = asyncio.create_task(client.post("/chat/completions", json=ASKED))
                await asyncio.sleep(2.5)  # the job is looked at a second time
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                refused, progress = await asked, await watched
            assert 0.9 < time.monotonic() - began < 1.6  # the event would come after 1.8 seconds
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ending")
            assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
            first, last = progress.text.strip().split("\n\n")
            assert first.startswith("event: video.in_progress\n")
            assert last.startswith("event: error\n")
            assert json.loads(last.partition("data: ")[2])["error"]["code"] == "ending"
            assert await asyncio.to_thread(process.wait, 10) == 0
            said = errors.read_text()
            assert "Requests that were cut off: 2." in said
            assert "ERROR" not in said


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Server() as upstream:
        upstream.on("/v1/chat/completions", streams_of(1000, 0.1))
        with gateway(tmp_path, upstream, notice_seconds=10, grace_seconds=60) as (process, url, errors):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                begun = asyncio.Semaphore(0)
                asked = asyncio.create_task(stream(client, begun))
                await begun.acquire()
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                await asyncio.to_thread(process.wait, 10)
                assert time.monotonic() - began < 2.5
                with pytest.raises(httpx.RemoteProtocolError):
                    await asked
            assert "Traceback" not in errors.read_text()


async def test_what_is_being_bought_is_waited_for_and_written_down(tmp_path: Path) -> None:
    """The grace is over long before the provider has answered: the caller is told so, the job is not lost."""
    with Server() as upstream:

        async def slow(exchange: Exchange) -> None:
            await exchange.body()
            await asyncio.sleep(2.5)
            await json_answer({"id": "v_1", "object": "video", "status": "queued"})(exchange)

        upstream.on("/v1/videos", slow)
        with gateway(tmp_path, upstream, notice_seconds=0, grace_seconds=0.3) as (process, url, _errors):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                asked = asyncio.create_task(client.post("/videos", json={"model": "m", "prompt": "A fox"}))
                while not upstream.seen:
                    await asyncio.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                answer = await asked
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ending")
            assert await asyncio.to_thread(process.wait, 10) == 0
        with gateway(tmp_path, upstream) as (_process, url, _errors):
            listed = httpx.get(f"{url}/videos", trust_env=False).json()["data"]
            assert [video["prompt"] for video in listed] == ["A fox"]
    assert len(upstream.seen) == 1


async def _never(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.gone()


async def _begins_late(exchange: Exchange) -> None:
    """An event comes 4.3 seconds after the request."""
    await exchange.body()
    await exchange.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    await asyncio.sleep(4.3)
    with suppress(ConnectionError):
        await exchange.chunk(b"data: %s\n\n" % json.dumps(CHUNK).encode())
    await exchange.gone()
