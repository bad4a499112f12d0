"""Uploads and forms by themselves: what is accepted, what it says of itself, and how it stands on the wire."""

from __future__ import annotations

import email
import email.policy
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from core.tests.server import Server
from core.tests.wire import KEY, registry
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callsheet import BadRequestError, Body, Client, Upload
from callsheet.body import CHUNK
from callsheet.drive import finish, step_through


async def run(function: Any, *args: Any) -> Any:
    return function(*args)


def content(upload: Upload | Body) -> bytes:
    return b"".join(step_through(upload.chunks(run)))


async def async_pieces() -> AsyncIterator[bytes]:
    yield b"x"


class AsyncFile:
    """What anyio.open_file and aiofiles give: its `read` has to be awaited."""

    async def read(self, size: int) -> bytes:
        return b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return async_pieces()


@pytest.mark.parametrize(
    ("source", "size", "replayable", "name"),
    [
        (b"abc", 3, True, "upload"),
        (bytearray(b"abc"), 3, True, "upload"),
        (memoryview(b"abc"), 3, True, "upload"),
        (b"", 0, True, "upload"),
        (io.BytesIO(b"abc"), 3, True, "upload"),
        ([b"a", b"bc"], None, True, "upload"),
        (iter([b"a", b"bc"]), None, False, "upload"),
        ((piece for piece in [b"abc"]), None, False, "upload"),
        (("clip.mp4", b"abc"), 3, True, "clip.mp4"),
        (("clip.mp4", io.BytesIO(b"abc")), 3, True, "clip.mp4"),
    ],
)
def test_what_an_upload_says_of_itself(source: Any, size: int | None, replayable: bool, name: str) -> None:
    upload = Upload.of(source)
    assert (upload.size, upload.replayable, upload.started, upload.filename) == (size, replayable, False, name)
    wanted = b"" if size == 0 else b"abc"
    assert content(upload) == wanted
    assert upload.started
    if replayable:
        assert content(upload) == wanted
    else:
        with pytest.raises(ValueError, match="was read already"):
            content(upload)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "clip.MP4"
    path.write_bytes(bytes(CHUNK * 2 + 5))
    for source in (path, str(path)):
        upload = Upload.of(source)
        assert (upload.size, upload.filename, upload.content_type) == (CHUNK * 2 + 5, "clip.MP4", "video/mp4")
        assert [len(piece) for piece in step_through(upload.chunks(run))] == [CHUNK, CHUNK, 5]
    with path.open("rb") as file:
        file.seek(CHUNK)
        upload = Upload.of(file)
        assert (upload.size, upload.filename, upload.replayable) == (CHUNK + 5, "clip.MP4", True)
        assert len(content(upload)) == len(content(upload)) == CHUNK + 5


def test_a_pipe_can_be_read_once() -> None:
    class Pipe(io.RawIOBase):
        left = b"abc"

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            given, self.left = self.left, b""
            return given

    upload = Upload.of(Pipe())
    assert (upload.size, upload.replayable) == (None, False)
    assert content(upload) == b"abc"


def test_a_file_left_in_the_middle_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(CHUNK * 3))
    pieces = step_through(Body.form([("video", Upload.of(path))]).chunks(run))
    assert [len(next(pieces)) for _ in range(2)][1] == CHUNK
    pieces.close()  # were the file still open, its ResourceWarning would be an error


@pytest.mark.parametrize("wrong", [None, 7, 1.5, object(), {1: 2}.items])
def test_what_is_no_file(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a file is wanted"):
        Upload.of(wrong)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("x")
    with path.open() as file, pytest.raises(TypeError, match='open it in binary mode: open\\(path, "rb"\\)'):
        Upload.of(file)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="binary mode"):
        Upload.of(io.StringIO("x"))  # type: ignore[arg-type]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        Upload.of(tmp_path / "nowhere.mp4")
    with pytest.raises(IsADirectoryError):
        Upload.of(tmp_path)


@pytest.mark.parametrize("source", [async_pieces, AsyncFile])
def test_an_async_source_is_refused_by_the_sync_client(server: Server, source: Any) -> None:
    """Before anything is sent - and before it is touched."""
    with Client(provider="wire", api_key=KEY, base_url=server.url, registry=registry()) as client:
        with pytest.raises(TypeError, match="use AsyncClient"):
            client.create_character(name="Luna", video=source())
    assert server.opened == 0


def test_a_missing_file_at_the_client(server: Server, tmp_path: Path) -> None:
    with Client(provider="wire", api_key=KEY, base_url=server.url, registry=registry()) as client:
        with pytest.raises(FileNotFoundError):
            client.create_character(name="Luna", video=tmp_path / "nowhere.mp4")
    assert server.opened == 0


def parts_of(body: Body) -> list[tuple[str, str | None, str, bytes]]:
    """The form as Python's own mail parser reads it: name, filename, media type, content."""
    wire = content(body)
    if body.size is not None:
        assert len(wire) == body.size
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + wire, policy=email.policy.HTTP)
    assert message.defects == []
    parts = []
    for part in message.get_payload():
        assert part.defects == []  # type: ignore[union-attr]
        _, name, filename = _disposition(part["content-disposition"])  # type: ignore[index]
        kind = part.get_content_type()  # type: ignore[union-attr]
        parts.append((name, filename, kind, part.get_payload(decode=True)))  # type: ignore[union-attr]
    return parts  # type: ignore[return-value]


def _disposition(header: str) -> tuple[str, str, str | None]:
    """Read as browsers write it (WHATWG): quoted, and only quote and line breaks are escaped."""
    kind, _, rest = str(header).partition("; ")
    name, _, filename = rest.partition("; filename=")
    named = [_unquoted(text) for text in (name.removeprefix("name="), filename) if text]
    return kind, named[0], named[1] if len(named) > 1 else None


def _unquoted(text: str) -> str:
    assert text[0] == text[-1] == '"'
    assert '"' not in text[1:-1]
    return text[1:-1].replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


NAMES = st.text(
    st.characters(codec="ascii", exclude_characters="%\0\x0b\x0c\x1c\x1d\x1e\x1f\\;"), min_size=1, max_size=20
)
CONTENT = st.binary(max_size=200) | st.sampled_from([b"", b"\r\n", b"--", b"\r\n--", b"\r\n\r\n", bytes(range(256))])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, CONTENT, st.booleans()), min_size=1, max_size=4))
@example([("a", 'my "best" clip\r\nX-Evil: 1', b"--\r\n", True)])
@example([('na"me\r\n\r\n', "f", b"", True)])
def test_forms_are_read_back_as_they_were_meant(fields: list[tuple[str, str, bytes, bool]]) -> None:
    body = Body.form(
        [(name, Upload.of((file, data)) if known else Upload.of((file, [data]))) for name, file, data, known in fields]
    )
    assert (body.size is None) == (not all(known for *_, known in fields))
    got = [(name, filename, data) for name, filename, _, data in parts_of(body)]
    assert got == [(name, file, data) for name, file, data, _ in fields]


def test_the_three_kinds_of_form_field() -> None:
    body = Body.form(
        [("prompt", "Grüße, 狐\r\n"), ("session", (b"{}", "application/json")), ("clip", Upload.of(("ü.mp4", b"\0")))]
    )
    wire = content(body)
    assert 'filename="ü.mp4"'.encode() in wire  # UTF-8 as it is, like browsers
    boundary = body.content_type.partition("boundary=")[2].encode()
    assert wire.count(b"--" + boundary) == 4
    assert wire.endswith(b"\r\n--" + boundary + b"--\r\n")
    assert b'name="prompt"\r\n\r\nGr\xc3\xbc\xc3\x9fe, \xe7\x8b\x90\r\n\r\n' in wire
    assert b'name="session"\r\nContent-Type: application/json\r\n\r\n{}' in wire
    assert repr(body) == f"<Body multipart/form-data {len(wire)} bytes>"


def test_boundaries_differ() -> None:
    assert len({Body.form([]).content_type for _ in range(50)}) == 50


def test_a_body_s_state() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"

    body = Body.form([("a", "b"), ("clip", Upload.of(pieces()))])
    assert (body.size, body.replayable, body.started) == (None, False, False)
    chunks = step_through(body.chunks(run))
    next(chunks)
    assert not body.started  # only the form's own text so far
    list(chunks)
    assert body.started
    assert Body.json({"a": 1}).replayable


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
@settings(max_examples=100, deadline=None)
def test_json_bodies(document: object) -> None:
    import json

    body = Body.json(document)
    assert json.loads(content(body)) == document
    assert body.size == len(content(body))


def test_what_is_no_text_is_json_in_a_form() -> None:
    sent = content(Body.form([("a", "text"), ("c", {"d": [1]}), ("e", 7), ("f", True)]))
    for name, value in {"a": "text", "c": '{"d":[1]}', "e": "7", "f": "true"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in sent


def test_a_media_type_can_not_add_headers() -> None:
    with pytest.raises(ValueError, match="line break"):
        Body.form([("a", Upload(b"1", "a", "image/png\r\nX: y"))])


def test_json_that_utf8_can_not_spell() -> None:
    assert content(Body.json({"a": "\ud800"})) == b'{"a":"\\ud800"}'
    for refused in (Body.json, lambda value: Body.form([("options", value)])):
        with pytest.raises(BadRequestError, match="[Oo]ut of range"):
            refused({"a": float("nan")})
    with pytest.raises(TypeError, match=r"io\.post_form"):
        Body.json({"a": Upload.of(b"x")})


def test_a_list_is_not_a_name_and_a_file() -> None:
    with pytest.raises(TypeError, match="pieces of bytes are wanted"):
        content(Upload.of(["a.mp4", "/etc/hostname"]))  # type: ignore[list-item]  # that is the test


def test_a_file_with_an_async_read_is_refused() -> None:
    class Async:
        async def read(self, size: int) -> bytes:
            return b""

    with pytest.raises(TypeError, match="async iterator"):
        Upload.of(Async())  # type: ignore[arg-type]  # that is the test


def test_a_source_that_waits_for_a_loop_is_refused_clearly() -> None:
    async def waiting() -> AsyncIterator[bytes]:
        import asyncio

        await asyncio.sleep(0)
        yield b"x"

    with pytest.raises(RuntimeError, match="event loop"):
        list(step_through(Upload.of(waiting()).chunks(run)))


def test_finishing_what_never_waits() -> None:
    async def value() -> int:
        return await run(lambda: 7)

    assert finish(value()) == 7
