"""Saving: whole or not at all under the final name; gone on with where it broke off, and only where that is safe."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from core.tests.server import Answer, Exchange, Server, bytes_answer, error_answer, file_answer
from core.tests.wire import KEY, registry

from callsheet import APIConnectionError, Client, NotFoundError

FILM = os.urandom(300_000)
OTHER = os.urandom(250_000)
CONTENT = "/videos/v1/content"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "film.mp4"


def breaking(content: bytes, at: int, etag: str | None = '"one"', answer: Answer | None = None) -> Answer:
    """Sends so many bytes of a file, and then breaks off."""

    async def cut(exchange: Exchange) -> None:
        headers = {"content-length": str(len(content)), **({"etag": etag} if etag else {})}
        await exchange.head(200, headers)
        await exchange.write(content[:at])
        exchange.keep = False

    return cut


async def save(client: Any, target: Path, **options: Any) -> Path:
    saved: Path = await client.download_video("v1", provider="wire", to=target, **options)
    return saved


def left_over(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


async def break_off(client: Any, server: Server, target: Path, at: int = 100_000, etag: str | None = '"one"') -> None:
    """A first attempt that fails: nothing under the final name, what came is kept."""
    server.on(CONTENT, breaking(FILM, at, etag))
    with pytest.raises(APIConnectionError):
        await save(client, target)
    assert not target.exists()
    server.seen.clear()


async def test_a_whole_download(client: Any, server: Server, target: Path) -> None:
    server.on(CONTENT, file_answer(FILM))
    told: list[tuple[int, int | None]] = []
    assert await save(client, target, on_bytes=lambda *so_far: told.append(so_far)) == target
    assert target.read_bytes() == FILM
    assert left_over(target) == []
    assert told == sorted(told)
    assert told[-1] == (len(FILM), len(FILM))
    assert "range" not in server.seen[0].headers


async def test_it_is_gone_on_with(client: Any, server: Server, target: Path) -> None:
    await break_off(client, server, target)
    kept = left_over(target)
    assert len(kept) == 2
    server.on(CONTENT, file_answer(FILM))
    told: list[tuple[int, int | None]] = []
    await save(client, target, on_bytes=lambda *so_far: told.append(so_far))
    assert target.read_bytes() == FILM
    assert left_over(target) == []
    [seen] = server.seen
    start = int(seen.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 100_000
    assert seen.headers["if-range"] == '"one"'
    assert told[0][0] > start
    assert told[-1] == (len(FILM), len(FILM))


async def test_again_and_again(client: Any, server: Server, target: Path) -> None:
    """Each try adds something, and what is saved is what the server has."""

    async def ten_thousand_more(exchange: Exchange) -> None:
        start = int(exchange.seen.headers.get("range", "bytes=0-")[6:-1])
        headers = {"content-length": str(len(FILM) - start), "etag": '"one"'}
        if start:
            headers["content-range"] = f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"
        await exchange.head(206 if start else 200, headers)
        await exchange.write(FILM[start : start + 100_000])
        exchange.keep = False

    server.on(CONTENT, ten_thousand_more)
    tries = 0
    while not target.exists():
        tries += 1
        try:
            await save(client, target)
        except APIConnectionError:
            assert tries < 10
    assert target.read_bytes() == FILM
    assert tries >= 3


async def test_a_server_that_gives_less_than_was_asked_for(client: Any, server: Server, target: Path) -> None:
    """It may: what came is right, only not all. It is not the file yet."""
    await break_off(client, server, target)

    async def some(exchange: Exchange) -> None:
        start = int(exchange.seen.headers["range"][6:-1])
        end = min(start + 150_000, len(FILM))
        headers = {"content-range": f"bytes {start}-{end - 1}/{len(FILM)}", "etag": '"one"'}
        await exchange.answer(206, FILM[start:end], headers)

    server.on(CONTENT, some)
    with pytest.raises(APIConnectionError, match="of 300,000 bytes arrived; ask again"):
        await save(client, target)
    assert not target.exists()
    await save(client, target)
    assert target.read_bytes() == FILM


async def test_another_file_in_the_meantime(client: Any, server: Server, target: Path) -> None:
    """If-Range doesn't match: the server sends the whole new one."""
    await break_off(client, server, target)
    server.on(CONTENT, file_answer(OTHER, '"two"'))
    await save(client, target)
    assert target.read_bytes() == OTHER
    assert len(server.seen) == 1


async def test_another_file_and_a_server_that_does_not_know_if_range(client: Any, server: Server, target: Path) -> None:
    """It sends the rest of the new one, but says whose rest it is."""
    await break_off(client, server, target)
    whole = file_answer(OTHER, '"two"')

    async def ignorant(exchange: Exchange) -> None:
        exchange.seen.headers.pop("if-range", None)
        await whole(exchange)

    server.on(CONTENT, ignorant)
    await save(client, target)
    assert target.read_bytes() == OTHER
    assert "range" not in server.seen[-1].headers


async def test_the_wrong_part(client: Any, server: Server, target: Path) -> None:
    await break_off(client, server, target)
    wrong = bytes_answer(FILM[5:], 206, etag='"one"', content_range=f"bytes 5-{len(FILM) - 1}/{len(FILM)}")
    server.on(CONTENT, wrong, file_answer(FILM))
    await save(client, target)
    assert target.read_bytes() == FILM


async def test_a_part_that_nobody_asked_for(client: Any, server: Server, target: Path) -> None:
    server.on(CONTENT, bytes_answer(FILM[:5], 206, content_range=f"bytes 0-4/{len(FILM)}"))
    with pytest.raises(APIConnectionError):
        await save(client, target)
    assert not target.exists()


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
async def test_without_a_strong_tag_it_starts_over(client: Any, server: Server, target: Path, etag: str | None) -> None:
    """Nothing proves that old and new bytes belong together."""
    await break_off(client, server, target, etag=etag)
    server.on(CONTENT, file_answer(FILM, etag))
    await save(client, target)
    assert target.read_bytes() == FILM
    assert "range" not in server.seen[0].headers
    assert left_over(target) == []


async def test_a_server_that_ignores_ranges(client: Any, server: Server, target: Path) -> None:
    await break_off(client, server, target)
    server.on(CONTENT, file_answer(FILM, ranges=False))
    await save(client, target)
    assert target.read_bytes() == FILM


async def test_nothing_lies_beyond(client: Any, server: Server, target: Path) -> None:
    """All had come, but it was not renamed any more: 416, and once more from the start."""
    await break_off(client, server, target)
    [part] = [path for path in target.parent.iterdir() if path.suffix == ".part"]
    part.write_bytes(FILM)
    server.on(CONTENT, file_answer(FILM))
    await save(client, target)
    assert target.read_bytes() == FILM
    assert [seen.headers.get("range") for seen in server.seen] == [f"bytes={len(FILM)}-", None]


async def test_a_total_that_is_not_told(client: Any, server: Server, target: Path) -> None:
    await break_off(client, server, target)

    async def starry(exchange: Exchange) -> None:
        start = int(exchange.seen.headers["range"][6:-1])
        headers = {"content-range": f"bytes {start}-{len(FILM) - 1}/*", "etag": '"one"'}
        await exchange.answer(206, FILM[start:], headers)

    server.on(CONTENT, starry)
    await save(client, target)
    assert target.read_bytes() == FILM


async def test_an_error_leaves_everything_as_it_was(client: Any, server: Server, target: Path) -> None:
    await break_off(client, server, target)
    kept = left_over(target)
    target.write_bytes(b"what was there before")
    server.on(CONTENT, error_answer(404))
    with pytest.raises(NotFoundError):
        await save(client, target)
    server.on(CONTENT, breaking(FILM, 1000))
    with pytest.raises(APIConnectionError):
        await save(client, target)
    assert target.read_bytes() == b"what was there before"
    assert left_over(target) == kept
    server.on(CONTENT, file_answer(FILM))
    await save(client, target)
    assert target.read_bytes() == FILM


async def test_the_target_is_a_directory(client: Any, server: Server, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        await save(client, tmp_path)
    assert server.seen == []


async def test_the_target_s_folder_is_missing(client: Any, server: Server, tmp_path: Path) -> None:
    server.on(CONTENT, file_answer(FILM))
    with pytest.raises(FileNotFoundError):
        await save(client, tmp_path / "missing" / "film.mp4")


async def test_two_downloads_to_one_name_do_not_mix(client: Any, server: Server, target: Path) -> None:
    """The thumbnail of a video is not gone on with by the video."""
    await break_off(client, server, target)
    server.on(CONTENT, file_answer(OTHER))
    await save(client, target, variant="thumbnail")
    assert target.read_bytes() == OTHER
    assert "range" not in server.seen[0].headers
    assert len(left_over(target)) == 2


async def test_an_empty_file(client: Any, server: Server, target: Path) -> None:
    server.on(CONTENT, file_answer(b""))
    await save(client, target)
    assert target.read_bytes() == b""


async def test_reading_without_saving(client: Any, server: Server, mode: Any) -> None:
    server.on(CONTENT, file_answer(FILM))
    download = await client.download_video("v1", provider="wire", range="bytes=10-19")
    info = download.info if mode.blocking else download
    assert (info.size, info.start, info.total, info.etag, info.partial) == (10, 10, len(FILM), '"one"', True)
    assert info.content_type == "video/mp4"
    assert b"".join([piece async for piece in download]) == FILM[10:20]
    async with await client.download_video("v1", provider="wire") as early:
        assert FILM.startswith(await anext(early))
    with pytest.raises(TypeError, match="range"):
        await client.download_video("v1", provider="wire", to="x", range="bytes=0-1")


def test_many_downloads_to_one_place_at_once(server: Server, target: Path) -> None:
    """Each comes out whole, whoever was first; nothing is left over."""
    server.on(CONTENT, file_answer(FILM * 10))
    errors: list[Exception] = []

    def download() -> None:
        try:
            with Client("wire/m", registry=registry(), base_url=server.url, api_key=KEY) as client:
                client.download_video("v1", provider="wire", to=target)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=download) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert target.read_bytes() == FILM * 10
    assert left_over(target) == []
