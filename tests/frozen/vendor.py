"""The vendor that the frozen plugin speaks to: a real server on loopback, with a wire of its own."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "first-key-0123456789"
FILM = bytes(range(256)) * 400


class Vendor(ThreadingHTTPServer):
    """Jobs go one state further each time they are looked at. What arrived is kept."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []
        self.clips: list[bytes] = []
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @classmethod
    @contextmanager
    def serving(cls):
        with cls() as vendor:
            thread = threading.Thread(target=vendor.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield vendor
            finally:
                vendor.shutdown()
                thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vendor

    def log_message(self, *_):
        pass

    def answer(self, document, status=200, **headers):
        self.send(status, json.dumps(document).encode(), "application/json", **headers)

    def send(self, status, content, kind, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def problem(self, status, kind, says, **headers):
        self.answer({"problem": {"kind": kind, "says": says}}, status, X_Request_Id="req_77", **headers)

    def take(self):
        """The request's body and path; None when the key is wrong."""
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/v1")
        self.server.requests[f"{self.command} {path}"] += 1
        if self.headers.get("x-first-key") != KEY:
            self.problem(401, "key", "no such key")
            return None, body
        return path, body

    def do_POST(self):
        path, body = self.take()
        if path == "/jobs":
            self.make_job(json.loads(body))
        elif path == "/talk":
            self.talk(json.loads(body))
        elif path == "/cast":
            self.server.clips.append(body)
            self.answer({"who": "c/1", "state": "cutting"})

    def make_job(self, wanted):
        self.server.asked.append({**wanted, "fingerprint": self.headers["x-first-fingerprint"]})
        tries = sum(job["text"] == wanted["text"] for job in self.server.asked)
        match wanted["text"]:
            case "busy" if tries == 1:
                self.problem(429, "busy", "later", Retry_After="0.05")
            case "broken":
                self.answer({"error": {"message": "it broke"}}, 500)
            case "forbidden":
                self.problem(422, "moderation", "we do not film this")
            case _:
                name = f"job {len(self.server.jobs) + 1}"
                self.server.jobs[name] = {
                    "job": name, "state": "waiting", "percent": 0, "film": wanted["film"],
                    "length": wanted["length"], "fails": wanted["text"] == "doomed",
                }  # fmt: skip
                self.answer(self.server.jobs[name])

    def talk(self, wanted):
        said = f"You said: {wanted['messages'][-1]['content']}"
        if not wanted.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            self.answer({"id": "talk-1", "object": "chat.completion", "model": wanted["model"], "choices": [choice]})
            return
        deltas = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in re.findall(r"\S+\s*", said)]
        lines = [*(json.dumps(delta) for delta in deltas), "[DONE]"]
        self.send(200, "".join(f"data: {line}\n\n" for line in lines).encode(), "text/event-stream")

    def do_GET(self):
        path, _ = self.take()
        if path is None:
            return
        parts = [part.replace("%20", " ").replace("%2F", "/") for part in path.strip("/").split("/")]
        match parts:
            case ["cast", "c/1"]:
                self.answer({"who": "c/1", "state": "ready"})
            case ["jobs"]:
                self.answer({"jobs": list(self.server.jobs.values())})
            case ["jobs", name] if job := self.server.jobs.get(name):
                if job["state"] == "running" and job["fails"]:
                    job.update(state="lost", why="the film was lost")
                else:
                    job["state"] = {"waiting": "running"}.get(job["state"], "done")
                    job["percent"] = {"running": 50, "done": 100}[job["state"]]
                self.answer(job)
            case ["jobs", name, "file"] if name in self.server.jobs:
                if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
                    first, last = int(span[1]), int(span[2] or len(FILM) - 1)
                    where = f"bytes {first}-{last}/{len(FILM)}"
                    self.send(206, FILM[first : last + 1], "video/mp4", Content_Range=where)
                else:
                    self.send(200, FILM, "video/mp4")
            case _:
                self.problem(404, "gone", "there is no such thing")

    def do_DELETE(self):
        path, _ = self.take()
        if path:
            self.server.jobs.pop(path.rpartition("/")[2].replace("%20", " "), None)
            self.answer({})
