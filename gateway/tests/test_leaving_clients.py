"""Clients that leave before their answer: what they asked for is given up, unless it may have been paid for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import anyio
import httpx
import pytest
from core.tests.server import Server, json_answer
from gateway.tests.odd import Odd, over

from callsheet import IO, CreateResponse, GenerateVideo, Response, Video, hookimpl
from callsheet_gateway import make_client


class Slow(Odd):
    """Takes its time, and notes what becomes of it."""

    begun, given_up, done = threading.Event(), threading.Event(), threading.Event()

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response:
        self.begun.set()
        try:
            await anyio.sleep(20)
        except BaseException:
            self.given_up.set()
            raise
        return Response({"id": "r", "output": []})

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        self.begun.set()
        try:
            await anyio.sleep(0.6)
        except BaseException:
            self.given_up.set()
            raise
        self.done.set()
        return Video(id="v_1", status="queued")


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    for event in (Slow.begun, Slow.given_up, Slow.done):
        event.clear()
    with over(Slow) as client:
        yield client


def ask_and_leave(http: httpx.Client, path: str, body: bytes) -> float:
    """Send a request, and leave as soon as the provider has begun. The time of leaving."""
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=10) as connection:
        head = [f"POST /v1{path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        connection.sendall("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        assert Slow.begun.wait(5)
    return time.monotonic()


@pytest.mark.parametrize("size", [1, 70_000, 2_000_000])
def test_an_answer_that_nobody_waits_for_is_given_up(http: httpx.Client, size: int) -> None:
    left = ask_and_leave(http, "/responses", b'{"model": "odd/m", "input": "%s"}' % (b"x" * size))
    assert Slow.given_up.wait(0.5), "the upstream is kept for more than half a second"
    assert time.monotonic() - left < 0.5


def test_a_job_is_finished_and_written_down(http: httpx.Client) -> None:
    ask_and_leave(http, "/videos", b'{"model": "odd/m", "prompt": "A fox"}')
    assert Slow.done.wait(5)
    until = time.monotonic() + 5
    while not (listed := http.get("/videos").json()["data"]):
        assert time.monotonic() < until, "what was made is not written down"
    assert not Slow.given_up.is_set()
    assert [video["prompt"] for video in listed] == ["A fox"]


def test_who_stays_gets_the_answer_over_the_same_connection(http: httpx.Client) -> None:
    assert http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}).json()["status"] == "queued"
    assert http.get("/videos").json()["data"][0]["prompt"] == "A fox"
    assert not Slow.given_up.is_set()


def test_nothing_is_bought_for_who_has_left() -> None:
    """The vendor turned the first attempt away, and asks to come back: nobody waits for that any more."""
    with Server() as vendor:
        busy = json_answer({"error": {"message": "busy"}}, 429, retry_after="1")
        vendor.on("/v1/videos", busy, json_answer({"id": "v_1", "object": "video", "status": "queued"}))
        client = make_client(
            {
                "model_list": [
                    {
                        "model_name": "m",
                        "litellm_params": {"model": "openai/x", "api_base": f"{vendor.url}/v1", "api_key": "sk-a"},
                    }
                ]
            }
        )
        body = b'{"model": "m", "prompt": "A fox"}'
        with over(Slow, client=client) as http:
            with socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=10) as connection:
                head = ["POST /v1/videos HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
                connection.sendall("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
                while not vendor.seen:
                    time.sleep(0.01)
                time.sleep(0.2)
            time.sleep(1.5)
        assert len(vendor.requests("/v1/videos")) == 1
