"""Files on their way to the server: every source, in every mode, as the same bytes on the wire."""

from __future__ import annotations

import email
import email.policy
import hashlib
import io
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.server import Exchange, Seen, Server, json_answer

from callsheet import APIConnectionError

CLIP = bytes(range(256)) * 3000  # 750 KiB: three pieces


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    return path


@pytest.fixture
def characters(server: Server) -> Server:
    server.on("/videos/characters", json_answer({"id": "c1", "name": "Luna"}))
    return server


def form(seen: Seen) -> dict[str, tuple[str | None, str, bytes]]:
    """A multipart form as Python's own mail parser reads it: name -> filename, type, content."""
    assert re.fullmatch(r"multipart/form-data; boundary=[0-9a-f]{32}", seen.headers["content-type"])
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + seen.body, policy=email.policy.HTTP)
    parts = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        parts[str(name)] = (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
    return parts  # type: ignore[return-value]  # decoded payloads are bytes


SMALL = b"\x00\x01ftypmp42" * 1000


def pieces() -> Iterator[bytes]:
    yield SMALL[:5]
    yield b""  # an empty piece is not the end
    yield SMALL[5:]


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


class Pieces:
    def __iter__(self) -> Iterator[bytes]:
        return pieces()


SOURCES: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: SMALL,
    "bytearray": lambda path: bytearray(SMALL),
    "path": lambda path: path,
    "path as text": str,
    "file object": lambda path: path.open("rb"),
    "BytesIO": lambda path: io.BytesIO(SMALL),
    "generator": lambda path: pieces(),
    "iterable": lambda path: Pieces(),
    "named": lambda path: ("scene.mp4", Pieces()),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_every_source_arrives(client: Any, characters: Server, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(SMALL)
    source = SOURCES[kind](path)
    character = await client.create_character(name="Luna", video=source)
    assert character.name == "Luna"
    if kind == "file object":
        assert not source.closed  # the caller opened it, the caller closes it
        source.close()
    [seen] = characters.seen
    parts = form(seen)
    filename = {"path": "clip.mp4", "path as text": "clip.mp4", "file object": "clip.mp4", "named": "scene.mp4"}
    media_type = "video/mp4" if kind in filename else "application/octet-stream"
    assert parts["name"] == (None, "text/plain", b"Luna")
    assert parts["video"] == (filename.get(kind, "upload"), media_type, SMALL)
    sized = kind not in {"generator", "iterable", "named"}
    assert ("content-length" in seen.headers) == sized
    assert seen.headers.get("transfer-encoding") == (None if sized else "chunked")


@pytest.mark.parametrize("mode", ["asyncio", "trio"], indirect=True)
async def test_an_async_iterable_arrives(client: Any, characters: Server) -> None:
    await client.create_character(name="Luna", video=async_pieces())
    assert form(characters.seen[0])["video"][2] == SMALL


def test_the_same_bytes_in_all_modes(characters: Server, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the boundary, which is drawn for each request: so it is made to be the same."""
    monkeypatch.setattr("callsheet.body.secrets.token_hex", lambda size: "0" * 2 * size)
    for name in ("blocking", "asyncio", "trio"):
        mode = Mode(name)

        async def body(mode: Mode = mode) -> None:
            await mode.client(characters).create_character(name="Luna", video=clip)

        mode.run(body)
    first, *others = characters.seen
    assert first.size > len(CLIP)
    assert all((other.raw_head, other.sha256) == (first.raw_head, first.sha256) for other in others)


async def test_a_file_is_sent_from_where_it_stands(client: Any, characters: Server, clip: Path) -> None:
    with clip.open("rb") as file:
        file.seek(700_000)
        await client.create_character(name="Luna", video=file)
    assert form(characters.seen[0])["video"][2] == CLIP[700_000:]


async def test_a_form_field_of_a_generation(client: Any, server: Server) -> None:
    server.on("/videos", json_answer({"id": "v1", "status": "queued"}))
    await client.generate_video(prompt="A\r\nfox", input_reference=("frame.png", b"\x89PNG"))
    assert form(server.seen[0]) == {
        "prompt": (None, "text/plain", b"A\r\nfox"),
        "input_reference": ("frame.png", "image/png", b"\x89PNG"),
    }


async def test_large_bodies_arrive_whole(client: Any, characters: Server) -> None:
    block = bytes(range(256)) * 1024
    await client.create_character(name="Luna", video=[block] * 20)
    [seen] = characters.seen
    text = seen.body[: seen.body.index(b"video/")] if b"video/" in seen.body else seen.body
    boundary = text[: text.index(b"\r\n")]
    head = seen.body[: seen.body.index(b"\r\n\r\n", seen.body.index(b'name="video"')) + 4]
    whole = hashlib.sha256(head + block * 20 + b"\r\n" + boundary + b"--\r\n")
    assert seen.sha256 == whole.hexdigest()


async def test_a_source_that_fails(client: Any, characters: Server) -> None:
    """The caller's own error comes back as it is; half a body is no request; the next call is not disturbed."""

    def failing() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ZeroDivisionError("in the caller's code")

    with pytest.raises(ZeroDivisionError, match="in the caller's code"):
        await client.create_character(name="Luna", video=failing())
    assert not any(seen.whole for seen in characters.seen)
    assert (await client.create_character(name="Luna", video=b"x")).name == "Luna"


@pytest.mark.parametrize("piece", ["text", None, 7])
async def test_a_source_that_yields_something_else_than_bytes(client: Any, characters: Server, piece: object) -> None:
    with pytest.raises(TypeError, match="bytes"):
        await client.create_character(name="Luna", video=[b"x", piece, b"y"])
    assert not any(seen.whole for seen in characters.seen)


class Changing(io.BufferedReader):
    """A file that somebody cuts or lengthens while it is read."""

    length = 0

    def read(self, size: int | None = -1, /) -> bytes:
        os.truncate(self.name, self.length)
        return super().read(size)


async def test_a_file_that_becomes_shorter(client: Any, characters: Server, clip: Path) -> None:
    with Changing(io.FileIO(clip)) as file:
        file.length = 300_000
        with pytest.raises(ValueError, match="shorter"):
            await client.create_character(name="Luna", video=file)
    assert not any(seen.whole for seen in characters.seen)


async def test_a_file_that_becomes_longer(client: Any, characters: Server, clip: Path) -> None:
    """What there was when it was given is what arrives."""
    clip.write_bytes(SMALL)
    with Changing(io.FileIO(clip)) as file:
        file.length = len(SMALL) + 1000
        await client.create_character(name="Luna", video=file)
    assert form(characters.seen[0])["video"][2] == SMALL


async def test_the_file_of_a_broken_upload_is_closed(client: Any, server: Server, clip: Path) -> None:

    async def reset_in_request(exchange: Exchange) -> None:
        await exchange.reader.readexactly(300_000)
        exchange.reset()

    server.on("/videos/characters", reset_in_request)
    clip.write_bytes(CLIP * 20)
    caught = None
    try:
        await client.create_character(name="Luna", video=clip)
    except APIConnectionError as error:
        caught = error  # its traceback keeps every frame alive: what is closed now was closed on purpose
    assert caught is not None
    open_files = {path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()}
    assert clip.resolve() not in open_files
