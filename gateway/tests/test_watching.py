"""What those see who run the gateway: /health, /metrics and the access log."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.odd import Items, Odd, over
from gateway.tests.serving import launched
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from callsheet import (
    IO,
    ChatCompletion,
    CreateChatCompletion,
    Event,
    GenerateVideo,
    InternalServerError,
    Stream,
    Video,
    hookimpl,
)
from callsheet_gateway.access_log import AccessLog, line_of
from callsheet_gateway.log_writer import LogWriter
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.resources import Resources
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
ADMIN = {"authorization": f"Bearer {MASTER}"}
ASKED = {"model": "odd/m", "messages": [{"role": "user", "content": "a prompt of nobody's business"}]}


class Vendor(Odd):
    """Fails at every first attempt at a chat; streams when it is asked to."""

    attempts = 0

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        if request.stream:
            return Stream(Items(Event("message", '{"object": "chat.completion.chunk"}'), Event("message", "[DONE]")))
        Vendor.attempts += 1
        if request.model == "n":
            raise InternalServerError("down", status_code=500, code="vendor_down")
        return ChatCompletion({"id": "c", "model": "m", "choices": []})

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="v_1", status="queued")


class Out:
    """What was written."""

    def __init__(self) -> None:
        self.text = ""
        self.writer = LogWriter(self.write)

    def write(self, content: bytes) -> None:
        self.text += content.decode()


@pytest.fixture
def out() -> Iterator[Out]:
    made = Out()
    yield made
    made.writer.close()


@pytest.fixture
def http(tmp_path: Path, out: Out) -> Iterator[httpx.Client]:
    with over(Vendor, state=State(tmp_path), access_log=AccessLog(out.writer), master_key=SecretStr(MASTER)) as client:
        yield client


def lines(out: Out, count: int) -> list[dict[str, Any]]:
    """The access log's lines, once there are so many."""
    until = time.monotonic() + 5
    while len(out.text.splitlines()) < count:
        assert time.monotonic() < until, out.text
        time.sleep(0.01)
    return [json.loads(line) for line in out.text.splitlines()]


def figures(http: httpx.Client) -> dict[tuple[str, str], float]:
    """Each sample by its name and its labels."""
    text = http.get("/metrics", headers=ADMIN).text
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_line_for_each_request(http: httpx.Client, out: Out) -> None:
    secret = http.post("/keys", json={"name": "Ann's", "owner": "ann"}, headers=ADMIN).json()
    ann = {"authorization": f"Bearer {secret['key']}"}
    answer = http.post("/chat/completions", json=ASKED, headers=ann)
    refused = http.post("/chat/completions", json=ASKED, headers={"authorization": "Bearer sk-of-a-stranger"})
    http.get("/videos/video_forged?secret=of-a-query", headers=ann)
    http.get("/nothing/sk-in-a-path", headers=ann)
    http.get("/health/live")
    made, chat, unknown, look, nowhere = lines(out, 5)
    assert (made["route"], made["key"], made["key_id"], made["status"]) == ("POST /keys", "master", None, 201)
    assert chat["request_id"] == answer.headers["x-request-id"]
    assert chat["time"].endswith("+00:00")
    assert {name: chat[name] for name in ("method", "route", "status", "error", "key", "key_id", "model", "provider")} == {
        "method": "POST", "route": "chat_completions", "status": 200, "error": None, "key": "Ann's",
        "key_id": secret["id"], "model": "odd/m", "provider": "odd",
    }  # fmt: skip
    assert (chat["attempts"], chat["client_left"]) == (1, False)
    assert chat["account"]
    assert chat["sent_bytes"] == len(answer.content)
    assert chat["received_bytes"] == len(answer.request.content)
    assert 0 < chat["upstream_seconds"] <= chat["first_byte_seconds"] <= chat["seconds"] < 5
    assert (unknown["request_id"], unknown["status"]) == (refused.headers["x-request-id"], 401)
    assert (unknown["route"], unknown["error"], unknown["key"], unknown["account"], unknown["attempts"]) == (
        "chat_completions", "invalid_api_key", None, None, 0,
    )  # fmt: skip
    assert (look["route"], look["status"], look["error"]) == ("get_video", 404, "not_found")
    assert (nowhere["route"], nowhere["status"], nowhere["error"]) == (None, 404, "unknown_route")
    for secret_text in (secret["key"], MASTER, "sk-of-a-stranger", "of-a-query", "sk-in-a-path", "nobody's business"):
        assert secret_text not in out.text


def test_attempts_and_failures_are_told(http: httpx.Client, out: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)
    answer = http.post("/chat/completions", json={**ASKED, "model": "odd/n"}, headers=ADMIN)
    (line,) = lines(out, 1)
    assert answer.status_code == 500
    assert (line["status"], line["error"], line["model"]) == (500, "vendor_down", "odd/n")
    assert line["attempts"] == 1  # a provider that sends nothing is not asked again
    figured = figures(http)
    assert figured["callsheet_upstream_calls_total", f"{line['account']},500"] == 1
    assert not any(name == "callsheet_refusals_total" for name, _ in figured)


def test_streams_count_to_their_end(http: httpx.Client, out: Out) -> None:
    answer = http.post("/chat/completions", json={**ASKED, "stream": True}, headers=ADMIN)
    (line,) = lines(out, 1)
    assert line["sent_bytes"] == len(answer.content) > 0
    assert figures(http)["callsheet_requests_total", "chat_completions,200"] == 1


def test_figures(http: httpx.Client) -> None:
    before = figures(http)
    assert before["callsheet_build_info", "0.1.0"] == 1
    assert before["callsheet_requests_in_progress", ""] == 1
    assert before["callsheet_draining", ""] == 0
    http.post("/chat/completions", json=ASKED, headers=ADMIN)
    http.post("/chat/completions", json=ASKED)
    http.post("/videos", json={"model": "odd/m", "prompt": "A fox"}, headers=ADMIN)
    for number in range(30):
        http.get(f"/nothing/{number}", headers=ADMIN)
        http.get(f"/videos/video_{number}", headers=ADMIN)
        http.post("/responses", json={"model": f"nobody/{number}", "input": "x"}, headers=ADMIN)
    after = figures(http)
    assert after["callsheet_requests_total", "chat_completions,200"] == 1
    assert after["callsheet_requests_total", "chat_completions,401"] == 1
    assert after["callsheet_requests_total", "none,404"] == 30
    assert after["callsheet_requests_total", "get_video,404"] == 30
    assert after["callsheet_requests_total", "responses,404"] == 30
    for code, number in {"missing_api_key": 1, "unknown_route": 30, "not_found": 30, "model_not_found": 30}.items():
        assert after["callsheet_refusals_total", code] == number
    assert after["callsheet_made_total", "video"] == 1
    assert after["callsheet_request_duration_seconds_count", "chat_completions"] == 2
    assert after["callsheet_first_byte_seconds_count", "generate_video"] == 1
    (account,) = {labels for name, labels in after if name == "callsheet_upstream_attempts_total"}
    assert after["callsheet_upstream_attempts_total", account] == 2
    assert after["callsheet_upstream_duration_seconds_count", account] == 2
    assert after["callsheet_received_bytes_total", ""] > 0
    # What strangers say makes no series.
    assert not any("nobody" in labels or "nothing" in labels for _, labels in after)
    ours = {name for name, _ in after if name.startswith("callsheet_") and not name.endswith(("_bucket", "_sum"))}
    assert 12 <= len(ours) <= 30, sorted(ours)


def test_who_may_look(http: httpx.Client) -> None:
    assert http.get("/metrics").status_code == 401
    key = http.post("/keys", json={"name": "a"}, headers=ADMIN).json()["key"]
    assert http.get("/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 403
    looked = http.get("/metrics", headers=ADMIN)
    assert looked.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert MASTER not in looked.text
    assert key not in looked.text
    assert http.get("/health/ready").json() == {"status": "ready"}
    assert http.get("/health/live").json() == {"status": "ok"}
    assert http.head("/health/ready").status_code == 200


def test_without_keys_everybody_of_this_machine_may_look() -> None:
    with over(Vendor) as http:
        assert http.get("/metrics").status_code == 200


def test_a_database_that_cannot_be_written_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.1)
    monkeypatch.setattr("callsheet_gateway.health._GOOD_FOR", 0.0)
    state = State(tmp_path)
    with over(Vendor, state=state) as http:
        assert http.get("/health/ready").status_code == 200
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = http.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "database can't be written"})
        other.execute("ROLLBACK")
        other.close()
        assert http.get("/health/ready").status_code == 200


def test_many_who_ask_write_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probes, probe = [], Resources.probe

    async def counted(resources: Resources) -> None:
        probes.append(1)
        await probe(resources)

    monkeypatch.setattr(Resources, "probe", counted)
    with over(Vendor) as http:
        for _ in range(20):
            assert http.get("/health/ready").status_code == 200
    assert len(probes) == 1


def test_a_log_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    """Nor does it hold up the end. A pipe takes 64 KiB."""
    errors, unread = os.pipe()[::-1]
    process, said = launched(tmp_path, errors, "--access-log")
    with httpx.Client(base_url=said["base_url"], timeout=5, trust_env=False) as http:
        for _ in range(400):
            assert http.get("/models").status_code == 200
        port = http.base_url.port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=5) as garbage:
            garbage.sendall(b"GARBAGE\r\n\r\n")  # uvicorn has something to say about it
            assert garbage.recv(100).startswith(b"HTTP/1.1 400 ")
        assert http.get("/health/live").status_code == 200
        with http.stream("GET", "/openapi.json"):
            process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
    os.close(errors)
    read = os.read(unread, 100_000)
    os.close(unread)
    assert all(json.loads(line)["route"] == "GET /models" for line in read.splitlines()[:100])


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet_gateway.log_writer._MOST_WAITING", 5)
    let_go, out = threading.Event(), list[bytes]()

    def write(content: bytes) -> None:
        let_go.wait(10)
        out.append(content)

    writer = LogWriter(write)
    with over(Vendor, access_log=AccessLog(writer)) as http:
        for _ in range(20):
            assert http.get("/models").status_code == 200
            time.sleep(0.01)
        assert figures(http)["callsheet_access_log_dropped", ""] == writer.dropped > 0
        let_go.set()
    writer.close()
    assert b"".join(out).count(b"\n") + writer.dropped == 20


def test_a_log_that_is_closed_costs_lines_only() -> None:
    def closed(_content: bytes) -> None:
        raise OSError("nobody reads")

    writer = LogWriter(closed)
    AccessLog(writer).tell(RequestRecord("req_1", "GET"))
    writer.close()
    assert writer.dropped == 1


@pytest.mark.parametrize("text", ['a"b\nc', "\x1b[31m", "\u2028", "\ud800"])
def test_a_line_is_a_line(text: str) -> None:
    record = RequestRecord("req_1", "GET", key=text, model=text)
    line = line_of(0.0, record)
    assert line.isascii()
    assert not any(character < " " for character in line)
    assert json.loads(line)["model"] == text
