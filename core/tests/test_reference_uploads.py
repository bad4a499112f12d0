"""Uploads of clips, in a hook: on their way to disk, and gone from it however the call ends."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from core.tests.conftest import Mode
from core.tests.test_reference_frames import BUNNY, clip

from callsheet import IO, BadRequestError, Character, CreateCharacter, Provider, Registry, hookimpl
from callsheet import reference_frames as module
from callsheet.reference_frames import Frame, frames_of_upload


class Cutter(Provider):
    """Makes characters of pictures, and forgets them."""

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        frames = await frames_of_upload(request.video, io, 3)
        return Character(id="one", name=f"{len(frames)} of {frames[0].width}x{frames[0].height}")


def registry() -> Registry:
    made = Registry(points=[], wraps=())
    made.register("cutter", Cutter)
    return made


@pytest.fixture
def cutter(mode: Mode) -> Any:
    return mode.client(None, "cutter", registry=registry())


@pytest.fixture
def spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The temporary files that are made. All are closed in the end, and none has a name."""
    files: list[Any] = []
    make = tempfile.TemporaryFile

    def noted() -> Any:
        files.append(make(dir=tmp_path))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    yield files
    assert all(file.closed for file in files)
    assert list(tmp_path.iterdir()) == []


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


async def test_uploads_of_every_kind(cutter: Any, spooled: list[Any]) -> None:
    content = clip()
    with BUNNY.open("rb") as file:
        for video in (BUNNY, file, content, pieces(content), list(pieces(content)), ("a.mp4", content)):
            made = await cutter.create_character(name="Luna", video=video)
            assert made.name == f"3 of {'1280x720' if video in (BUNNY, file) else '128x72'}"


@pytest.mark.parametrize("known", [True, False])
async def test_an_upload_that_is_too_big_is_not_read_to_its_end(
    cutter: Any, spooled: list[Any], monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield bytes(10_000)

    with pytest.raises(BadRequestError) as refused:
        await cutter.create_character(name="Luna", video=bytes(100_001) if known else endless())
    assert (refused.value.code, refused.value.param) == ("clip_too_big", "video")
    assert (len(read), len(spooled)) == ((0, 0) if known else (11, 1))


async def test_an_upload_that_fails_leaves_nothing(cutter: Any, spooled: list[Any]) -> None:
    def failing() -> Iterator[bytes]:
        yield b"\0" * 1000
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await cutter.create_character(name="Luna", video=failing())


async def test_a_cancelled_upload_leaves_nothing(mode: Mode, cutter: Any, spooled: list[Any]) -> None:
    if mode.blocking:
        return  # nothing can be cancelled there
    begun = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"\0" * 1000
        begun.set()
        await anyio.sleep(60)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: cutter.create_character(name="Luna", video=slow()))
        await begun.wait()
        group.cancel_scope.cancel()
    assert len(spooled) == 1


async def test_a_call_that_is_cancelled_while_it_decodes(
    mode: Mode, cutter: Any, spooled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio's own cancellation does not wait for the thread: that keeps the file until it is done with it."""
    if mode.name != "asyncio":
        return
    begun, go_on, closed = threading.Event(), threading.Event(), []
    cut = module._taken

    def slow(file: Any, count: int) -> list[Frame]:
        begun.set()
        go_on.wait(10)
        closed.append(file.closed)
        return cut(file, count)

    monkeypatch.setattr(module, "_taken", slow)
    task = asyncio.create_task(cutter.create_character(name="Luna", video=BUNNY))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    while not spooled[0].closed:
        await asyncio.sleep(0.001)
    assert closed == [False]


async def test_the_loop_goes_on_meanwhile(mode: Mode, cutter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding happens in another thread, where there is a loop that must not stand still."""
    threads: list[int] = []
    cut = module._taken

    def noting(*arguments: Any) -> list[Frame]:
        threads.append(threading.get_ident())
        return cut(*arguments)

    monkeypatch.setattr(module, "_taken", noting)
    await cutter.create_character(name="Luna", video=BUNNY)
    assert (threads == [threading.get_ident()]) is mode.blocking
