"""Films over a real connection: parts of them, resumed ones, and those that lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core.tests.server import Server, bytes_answer, file_answer
from plugins.openai.tests.conftest import KEY

CONTENT = "/v1/videos/v1/content"
FILM = bytes(range(256)) * 2000


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as running:
        yield running


async def test_a_part(client: Any, server: Server) -> None:
    server.on(CONTENT, file_answer(FILM))
    film = await client.download_video("v1", range="bytes=10-19", provider="openai")
    assert b"".join([piece async for piece in film]) == FILM[10:20]
    seen = server.seen[0]
    assert (seen.target, seen.headers["range"], "if-range" in seen.headers) == (CONTENT, "bytes=10-19", False)


async def test_a_download_is_gone_on_with(client: Any, server: Server, tmp_path: Path) -> None:
    server.on(CONTENT, file_answer(FILM))
    target = tmp_path / "film.mp4"

    def break_off(done: int, total: int | None) -> None:
        raise KeyError

    for etag in ('"one"', '"two"'):  # the second time, the film there has changed
        server.on(CONTENT, file_answer(FILM, '"one"'))
        with pytest.raises(KeyError):
            await client.download_video("v1", to=target, on_bytes=break_off, provider="openai")
        server.on(CONTENT, file_answer(FILM[::-1] if etag == '"two"' else FILM, etag))
        await client.download_video("v1", to=target, provider="openai")
        headers = server.seen[-1].headers
        assert headers["if-range"] == '"one"'
        assert headers["range"].startswith("bytes=")
        assert target.read_bytes() == (FILM if etag == '"one"' else FILM[::-1])


@pytest.mark.parametrize("variant", ["thumbnail", "spritesheet"])
async def test_a_film_that_lies_elsewhere_is_fetched_without_the_key(
    client: Any, server: Server, other: Server, variant: Any
) -> None:
    server.on(CONTENT, bytes_answer(b"", 302, location=f"{other.url}/cdn/film?sig=1"))
    other.on("/cdn/film", file_answer(FILM))
    film = await client.download_video("v1", variant=variant, provider="openai")
    assert b"".join([piece async for piece in film]) == FILM
    assert server.seen[0].target == f"{CONTENT}?variant={variant}"
    (seen,) = other.seen
    assert "authorization" not in seen.headers
    assert KEY.encode() not in seen.raw_head
