"""Much data, little memory: what a server holds while 500 MB leave it and 100 MB come in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time

import pytest
from gateway.tests.films import film, finished, upstream_id
from gateway.tests.leftovers import Held, nothing_more
from gateway.tests.serving import serving

MB = 1_000_000
MOST = 32 * MB
"""How much a server may grow by."""


@pytest.fixture(scope="module")
def temp_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tmp")


@pytest.fixture(scope="module")
def server(tmp_path_factory, temp_dir):
    """A gateway of its own that has done all of it once, on a small scale: libraries are loaded, buffers made."""
    data_dir = tmp_path_factory.mktemp("bulk") / "data"
    with serving(data_dir, TMPDIR=str(temp_dir), TMP=str(temp_dir), TEMP=str(temp_dir)) as gateway:
        with gateway.http() as http:
            small = film(http)["id"]
            content = http.get(f"/videos/{small}/content").content
            edit = http.post("/videos/edits", files=[("video", ("a.mp4", content)), ("prompt", (None, "warm"))])
            finished(http, edit.json()["id"])
            wrong = http.post("/videos/characters", files=[("video", ("a.mp4", b"x" * MB)), ("name", (None, "Luna"))])
            assert wrong.status_code == 400
        yield gateway


class Watched:
    """How much a process's memory grows, sampled a hundred times a second. `growth` is in bytes."""

    def __init__(self, gateway):
        self.gateway, self.done = gateway, threading.Event()
        self.before = self.most = gateway.resident()
        self.samples = 0
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.done.wait(0.01):
            self.most = max(self.most, self.gateway.resident())
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.done.set()
        self.thread.join()
        print(f"RSS {self.before / MB:.1f} MB, grew by {self.growth / MB:.1f} MB in {self.samples} samples")

    @property
    def growth(self):
        return self.most - self.before


@pytest.fixture
def big(server):
    """A finished video whose file has 500 MB, nearly all of them a hole in it."""
    with server.http() as http:
        id = film(http)["id"]
        path = server.data_dir / "videos" / f"{upstream_id(id)}.mp4"
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(500 * MB)
        yield id, size
        assert http.delete(f"/videos/{id}").status_code == 200


def test_500_megabytes_go_out(server, big):
    id, head = big
    with server.http() as http, Watched(server) as watched:
        with http.stream("GET", f"/videos/{id}/content") as answer:
            assert answer.headers["content-length"] == str(500 * MB)
            total, first = 0, b""
            for piece in answer.iter_raw():
                first += piece if len(first) < head else b""
                total += len(piece)
    assert total == 500 * MB
    assert first[4:8] == b"ftyp"
    assert watched.samples > 10
    assert watched.growth < MOST


def test_a_reader_that_is_slow_holds_nothing_up(server, big, temp_dir):
    """The server reads no further than the client does; what it had read is let go when the client leaves."""
    id, _ = big
    before = Held.by(server, temp_dir)
    with Watched(server) as watched:
        with server.http() as http, http.stream("GET", f"/videos/{id}/content") as answer:
            pieces = answer.iter_raw(MB)
            for _ in range(3):
                next(pieces)
                time.sleep(0.3)
    assert watched.growth < MOST
    nothing_more(server, temp_dir, before)


@pytest.fixture(scope="module")
def padded(tmp_path_factory, server):
    """A small film in an MP4 of 99 MB: players skip a box of the kind `free`."""
    path = tmp_path_factory.mktemp("padded") / "film.mp4"
    with server.http() as http:
        content = http.get(f"/videos/{film(http)['id']}/content").content
    size = 99 * MB - len(content)
    with path.open("wb") as file:
        file.write(content + size.to_bytes(4, "big") + b"free")
        file.truncate(99 * MB)
    return path


def test_99_megabytes_come_in_and_are_edited(server, padded, temp_dir):
    with server.http() as http, padded.open("rb") as file, Watched(server) as watched:
        form = {"files": {"video": ("film.mp4", file, "video/mp4")}, "data": {"prompt": "golden hour"}}
        answer = http.post("/videos/edits", **form)
        assert answer.status_code == 200, answer.text
        video = finished(http, answer.json()["id"])
    assert video["seconds"] == "1"
    assert watched.growth < MOST
    assert not [*temp_dir.iterdir(), *(server.data_dir / "work").iterdir(), *(server.data_dir / "inputs").iterdir()]


@pytest.mark.parametrize(("megabytes", "status", "code"), [(99, 400, "clip_not_mp4"), (101, 400, "clip_too_big")])
def test_100_megabytes_that_are_no_clip(server, temp_dir, tmp_path, megabytes, status, code):
    path = tmp_path / "clip.mp4"
    path.touch()
    os.truncate(path, megabytes * MB)
    before = Held.by(server, temp_dir)
    with server.http() as http, path.open("rb") as file, Watched(server) as watched:
        answer = http.post("/videos/characters", files={"video": file}, data={"name": "Luna"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert watched.growth < MOST
    nothing_more(server, temp_dir, before)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_a_length_that_is_too_big(server, tmp_path):
    """The client is told before it has sent a byte of the body, if it waits for that as curl does."""
    path = tmp_path / "film.mp4"
    path.touch()
    os.truncate(path, 135 * MB)
    words = ["curl", "--no-progress-meter", "--noproxy", "*", "-w", "\n%{http_code} %{size_upload}"]
    words += ["-H", "Expect: 100-continue", "--expect100-timeout", "60", "-F", f"video=@{path}", "-F", "prompt=warm"]
    said = subprocess.run([*words, f"{server.base_url}/videos/edits"], capture_output=True, text=True).stdout
    document, _, numbers = said.rpartition("\n")
    assert json.loads(document)["error"]["code"] == "body_too_big"
    assert numbers == "413 0"


def test_too_much_of_no_declared_length(server, temp_dir):
    before = Held.by(server, temp_dir)

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
        for _ in range(135):
            yield bytes(MB)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    with server.http() as http, Watched(server) as watched:
        answer = http.post("/videos/edits", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_big")
    assert watched.growth < MOST
    nothing_more(server, temp_dir, before)
