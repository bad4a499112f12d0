"""How much one key may have under way, and how much all forms may have on the disk: and that nothing of it is left over."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import httpx
import pytest
from gateway.tests.odd import Items, Odd, over
from pydantic import SecretStr

from callsheet import IO, Event, GenerateVideo, Response, Stream, Video, hookimpl
from callsheet_gateway.spool import Spool
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
MB = 1024 * 1024
CHAT = {"model": "odd/m", "messages": [], "stream": True}


class Slow(Odd):
    """Makes videos in its own time."""

    seconds = 0.0

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        await anyio.sleep(self.seconds)
        return Video(id="v_1", status="queued")


class Callers:
    """A gateway, three who call it, and what it holds."""

    def __init__(self, http: httpx.Client, state: State) -> None:
        self.http, self.state, self.limits = http, state, state.limits
        keys = {name: state.keys.create(name)[1] for name in ("shop", "bank")}
        self.headers = {name: {"authorization": f"Bearer {key}"} for name, key in {**keys, "master": MASTER}.items()}

    def models(self, name: str) -> int:
        return self.http.get("/models", headers=self.headers[name]).status_code

    def upload(self, name: str, size: int, length: int | None = None) -> socket.socket:
        """A connection over which a form has come, with a file of `size` bytes - of `length`, if it is to go on."""
        start, end = part("input_reference", b"")
        body = start + bytes(size)
        whole = len(start) + (length or size) + len(end)
        connection = socket.create_connection(("127.0.0.1", self.http.base_url.port or 0), timeout=20)
        head = ["POST /v1/videos HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {self.headers[name]['authorization']}"]
        head += ["Content-Type: multipart/form-data; boundary=x", f"Content-Length: {whole}", "", ""]
        connection.sendall("\r\n".join(head).encode() + body + (end if length is None else b""))
        return connection

    def begun(
        self, name: str, body: bytes, kind: str = "application/json", length: int | None = None, digits: int = 1
    ) -> socket.socket:
        """A connection over which a body has come, that is to go on to `length`; in chunks without."""
        connection = socket.create_connection(("127.0.0.1", self.http.base_url.port or 0), timeout=20)
        path = "responses" if kind == "application/json" else "videos"
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length:0{digits}}"
        head = [f"POST /v1/{path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {self.headers[name]['authorization']}"]
        connection.sendall("\r\n".join([*head, f"Content-Type: {kind}", size, "", ""]).encode())
        connection.sendall(b"%x\r\n%s\r\n" % (len(body), body) if length is None else body)
        return connection

    def files(self) -> list[str]:
        """The open files of the spool. They have no name."""
        return [path for path in opened() if path.startswith(str(self.state.folder)) and path.endswith(" (deleted)")]

    def nothing_is_left(self) -> bool:
        held = self.limits.requests.total, self.limits.uploads.total, self.limits.spool.used, self.limits.memory.used
        return held == (0, 0, 0, 0) and not self.files()


def opened() -> list[str]:
    """What this process has open, with the gateway in it."""
    paths = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it has been closed meanwhile
            paths.append(str(link.readlink()))
    return paths


def part(name: str, content: bytes) -> tuple[bytes, bytes]:
    """A form with two fields, up to the file's content, and its end."""
    fields = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field
        for field in ((b"model", b"odd/m"), (b"prompt", b"A fox"))
    )
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    return fields + head.encode() + content, b"\r\n--x--\r\n"


def soon(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, true
        time.sleep(0.01)


def answer_on(connection: socket.socket) -> bytes:
    """All of an answer, in however many pieces it comes."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        size = re.search(rb"content-length: ([0-9]+)", head)
        if size is not None and len(body) >= int(size[1]):
            break
    return answer


def status_of(connection: socket.socket) -> int:
    with connection:
        return int(connection.recv(65536).split()[1])


@contextmanager
def calling(folder: Path, **settings: Any) -> Iterator[Callers]:
    """Callers of a gateway that lets go of everything in the end."""
    state = State(folder / "state")
    with over(Slow, state=state, master_key=SecretStr(MASTER), **settings) as http:
        callers = Callers(http, state)
        yield callers
        soon(callers.nothing_is_left)


def test_one_key_can_not_take_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = partial(anyio.sleep, 60)
    monkeypatch.setitem(Odd.does, "chat_completions", lambda _: Stream(Items(Event("message", "{}"), endless)))
    with calling(tmp_path, max_requests_per_key=2) as callers, ExitStack() as streams:
        http, shop = callers.http, callers.headers["shop"]
        for _ in range(2):
            streams.enter_context(http.stream("POST", "/chat/completions", json=CHAT, headers=shop))
        began = time.monotonic()
        refused = http.get("/models", headers=shop)
        assert time.monotonic() - began < 1
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["type"]) == (429, "too_many_requests", "rate_limit_error")
        assert "this key has 2 requests under way" in error["message"]
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        assert callers.limits.requests.total == 2
        assert (callers.models("bank"), callers.models("master")) == (200, 200)
        assert http.get("/health/live", headers=shop).status_code == 200
        streams.close()  # they leave
        soon(lambda: callers.models("shop") == 200)


def test_what_is_refused_is_not_under_way(tmp_path: Path) -> None:
    with calling(tmp_path, max_requests_per_key=1) as callers:
        shop = callers.headers["shop"]
        asked = [("GET", "/videos/nothing"), ("POST", "/models"), ("GET", "/keys"), ("POST", "/videos"), ("GET", "/no")]
        for method, path in asked * 2:
            assert callers.http.request(method, path, headers=shop).status_code in {400, 403, 404, 405}
        assert callers.models("shop") == 200


def test_the_master_key_is_not_bound(tmp_path: Path) -> None:
    with calling(tmp_path, max_uploads_per_key=1) as callers:
        uploads = [callers.upload("master", 10, 1000) for _ in range(3)]
        soon(lambda: callers.limits.uploads.total == 3)
        for upload in uploads:
            upload.close()


def test_four_uploads_of_a_key(tmp_path: Path) -> None:
    """The fifth is refused before its body has come; others' go on."""
    with calling(tmp_path) as callers:
        uploads = [callers.upload("shop", 2 * MB, 3 * MB) for _ in range(4)]
        soon(lambda: callers.limits.uploads.total == 4)
        with callers.upload("shop", 0, 3 * MB) as fifth:
            answer = answer_on(fifth)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"too_many_uploads" in answer
        assert b"retry-after: 5\r\n" in answer
        assert status_of(callers.upload("bank", 2 * MB)) == 200
        for upload in uploads:
            upload.sendall(bytes(MB) + part("", b"")[1])
        assert [status_of(upload) for upload in uploads] == [200] * 4
        soon(callers.nothing_is_left)
        assert status_of(callers.upload("shop", 2 * MB)) == 200


def test_files_are_in_the_data_directory_and_have_no_name(tmp_path: Path) -> None:
    with calling(tmp_path) as callers:
        before = set(callers.state.folder.iterdir())
        with callers.upload("shop", 2 * MB, 3 * MB):
            soon(lambda: callers.limits.spool.used == 2 * MB and callers.files())
            assert len(callers.files()) == 1
            assert set(callers.state.folder.iterdir()) == before
        soon(callers.nothing_is_left)


def test_the_spool_has_a_quota(tmp_path: Path) -> None:
    with calling(tmp_path, max_spool=3 * MB) as callers:
        first = callers.upload("shop", 2 * MB, 2 * MB + 10)
        soon(lambda: callers.limits.spool.used == 2 * MB)
        with callers.upload("bank", 2 * MB, 50 * MB) as second:
            answer = answer_on(second)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"spool_full" in answer
        assert b"retry-after: 5\r\n" in answer
        soon(lambda: callers.limits.spool.used == 2 * MB and len(callers.files()) == 1)  # the second's is gone
        first.sendall(bytes(10) + part("", b"")[1])
        assert status_of(first) == 200


def document(size: int) -> bytes:
    """A JSON body of a size."""
    start, end = b'{"model": "odd/m", "input": "', b'"}'
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("way", ["sized", "in chunks"])
def test_large_json_has_a_quota(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in memory: 200 requests of a key with 32 MiB each are 6 GiB."""
    with calling(tmp_path, max_memory=2 * MB) as callers:
        held, body = list[int](), document(3 * MB)

        def answered(_: object) -> Response:
            held.append(callers.limits.memory.used)
            return Response({})

        monkeypatch.setitem(Odd.does, "responses", answered)
        first = callers.begun("shop", body[: 2 * MB + 10], length=3 * MB)
        soon(lambda: callers.limits.memory.used == MB + 10)
        with callers.begun("bank", document(2 * MB), length=5 * MB if way == "sized" else None) as second:
            answer = answer_on(second)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"memory_full" in answer
        assert b"retry-after: 5\r\n" in answer
        soon(lambda: callers.limits.memory.used == MB + 10)
        assert status_of(callers.begun("bank", document(MB), length=MB)) == 200  # a small one is not counted
        first.sendall(body[2 * MB + 10 :])
        assert status_of(first) == 200
        assert held == [MB + 10, 2 * MB]  # as long as the request has it


def test_large_json_is_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Odd.does, "responses", lambda _: Response({}))
    with calling(tmp_path, max_uploads_per_key=1) as callers:
        small, body, end = document(1000), document(2 * MB), b"0\r\n\r\n"
        with callers.begun("shop", body[: MB + 1]):  # in chunks: it shows when so much has come
            soon(lambda: callers.limits.uploads.total == 1)
            for length, digits in ((2 * MB, 1), (2 * MB, 30), (None, 1)):
                with callers.begun("shop", b"" if length else body, length=length, digits=digits) as second:
                    answer = answer_on(second)
                assert answer.startswith(b"HTTP/1.1 429 ")
                assert b"too_many_uploads" in answer
            assert status_of(callers.begun("shop", small, length=1000)) == 200
            with callers.begun("shop", small) as chunked:
                chunked.sendall(end)
                assert chunked.recv(12) == b"HTTP/1.1 200"
            assert status_of(callers.begun("bank", body, length=2 * MB)) == 200
        soon(callers.nothing_is_left)
        monkeypatch.setitem(
            Odd.does, "responses", lambda _: Stream(Items(Event("message", "{}"), partial(anyio.sleep, 60)))
        )
        with callers.begun("shop", body, length=2 * MB) as stream:
            assert stream.recv(12) == b"HTTP/1.1 200"  # it has come, and is not an upload any more
            assert status_of(callers.begun("shop", body, length=2 * MB)) == 200
        soon(callers.nothing_is_left)


def test_what_forms_have_in_memory_is_counted(tmp_path: Path) -> None:
    """Texts, and the beginnings of files: those up to 1 MiB are not on the disk. The first MiB of a form is free."""
    head = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    with calling(tmp_path, max_memory=5 * MB) as callers:
        kind, limits = "multipart/form-data; boundary=x", callers.limits
        text = head % (b"prompt", b"") + b"a" * (3 * MB)
        with callers.begun("shop", text, kind, 50 * MB):
            soon(lambda: limits.memory.used > 2 * MB - 100)
            assert (limits.spool.used, limits.memory.used <= 2 * MB) == (0, True)
            with callers.begun("bank", text + b"a" * 2 * MB, kind, 50 * MB) as second:
                answer = answer_on(second)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"memory_full" in answer
        soon(callers.nothing_is_left)
        files = [head % (name, b'; filename="a.png"') + bytes(2 * MB) + b"\r\n" for name in (b"a", b"b")]
        with callers.begun("shop", b"".join(files) + head % (b"c", b""), kind, 50 * MB):
            soon(lambda: limits.spool.used == 4 * MB)
            assert limits.memory.used == MB
        soon(callers.nothing_is_left)


@pytest.mark.parametrize(
    "way", ["cut short", "reset", "broken", "too big", "a file that nobody takes", "left meanwhile"]
)
def test_nothing_is_left_of_an_upload(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with calling(tmp_path, max_form=4 * MB) as callers:
        shop = callers.headers["shop"]
        if way in {"cut short", "reset"}:
            upload = callers.upload("shop", 2 * MB, 3 * MB)
            soon(callers.files)
            if way == "reset":
                upload.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            upload.close()
        elif way == "left meanwhile":  # what may be paid for is done to its end
            monkeypatch.setattr(Slow, "seconds", 0.3)
            with callers.upload("shop", 2 * MB):
                soon(callers.files)
        else:
            start, end = part("nobody" if way.startswith("a file") else "input_reference", bytes(2 * MB))
            body = {"broken": start, "too big": start + bytes(3 * MB) + end}.get(way, start + end)
            headers = {**shop, "content-type": "multipart/form-data; boundary=x"}
            answer = callers.http.post("/videos", content=iter([body]), headers=headers)
            assert answer.status_code == (413 if way == "too big" else 400), answer.text
        soon(callers.nothing_is_left)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Spool) -> BinaryIO:
        return Path("/dev/full").open("w+b")

    monkeypatch.setattr(Spool, "file", full)
    with calling(tmp_path) as callers:
        start, _ = part("input_reference", bytes(3000) + b"\r\n")
        second, end = part("video", bytes(3000))  # what is held back fails again when it is closed
        headers = {**callers.headers["shop"], "content-type": "multipart/form-data; boundary=x"}
        answer = callers.http.post("/videos", content=start + second + end, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
        assert "disk is full" in answer.json()["error"]["message"]
        soon(lambda: "/dev/full" not in opened())
