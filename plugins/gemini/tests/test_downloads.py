"""Fetching a video: through its operation, from wherever that says, with the key at home only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from core.tests.server import Server, bytes_answer, file_answer, json_answer

from callsheet import APIResponseValidationError, BadRequestError, NotFoundError
from callsheet.testing import FAKE_KEY
from callsheet_gemini.videos import _is_home
from callsheet_gemini.wire import GeminiWire

NAME = "models/veo-3.1-generate-preview/operations/abc"
FILM = bytes(range(256)) * 500


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as running:
        yield running


def at_address(uri: str) -> Any:
    samples = [{"video": {"uri": uri}}]
    return json_answer(
        {"name": NAME, "done": True, "response": {"generateVideoResponse": {"generatedSamples": samples}}}
    )


async def content(film: Any) -> bytes:
    return b"".join([piece async for piece in film])


async def test_at_home_with_the_key(at: Any, server: Server) -> None:
    server.on(f"/{NAME}", at_address(f"{server.url}/files/x:download?alt=media"))
    server.on("/files/x:download", file_answer(FILM))
    film = await at(server.url).download_video(NAME, provider="gemini")
    assert await content(film) == FILM
    assert [seen.target for seen in server.seen] == [f"/{NAME}", "/files/x:download?alt=media"]
    assert [seen.headers["x-goog-api-key"] for seen in server.seen] == [FAKE_KEY] * 2


@pytest.mark.parametrize("redirected", [True, False])
async def test_elsewhere_without_the_key(at: Any, server: Server, other: Server, redirected: bool) -> None:
    far = f"{other.url}/cdn/film?sig=1"
    server.on(f"/{NAME}", at_address(f"{server.url}/files/x" if redirected else far))
    server.on("/files/x", bytes_answer(b"", 302, location=far))
    other.on("/cdn/film", file_answer(FILM))
    client = at(server.url, settings={"headers": {"x-mine": "secret-of-mine"}})
    film = await client.download_video(NAME, range="bytes=5-9", if_range='"one"', provider="gemini")
    await content(film)
    (seen,) = other.seen
    assert (seen.headers["range"], seen.headers["if-range"]) == ("bytes=5-9", '"one"')
    assert FAKE_KEY.encode() not in seen.raw_head
    assert b"secret-of-mine" not in seen.raw_head


async def test_a_part(client: Any, wire: GeminiWire) -> None:
    video = await client.wait(await client.generate_video(prompt="A fox"), timeout=20)
    film = await client.download_video(video, range="bytes=10-19", variant="video")
    assert await content(film) == wire.film_of(wire.book.entries[0].id)[10:20]


@pytest.mark.parametrize(
    "uri",
    [
        "gs://bucket/film.mp4", "file:///etc/passwd", "//host/x", "http://", "http://[", "x", "javascript:1",
        "https://user:pass@example.org/x", "https://host:0/x",
    ],
)  # fmt: skip
async def test_addresses_that_nobody_follows(
    at: Any, server: Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)
    server.on(f"/{NAME}", at_address(uri))
    with pytest.raises(Exception) as refused:
        await at(server.url).download_video(NAME, provider="gemini")
    assert type(refused.value).__module__ == "callsheet.errors"
    if "@" not in uri:
        assert isinstance(refused.value, APIResponseValidationError)
    assert {seen.path for seen in server.seen} == {f"/{NAME}"}


def test_a_vendor_outside_leads_nobody_inside() -> None:
    base = "https://generativelanguage.googleapis.com/v1beta"
    assert _is_home("https://generativelanguage.googleapis.com/v1beta/files/x:download?alt=media", base)
    assert not _is_home("https://storage.googleapis.com/x", base)
    for uri in (
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "http://generativelanguage.googleapis.com/x",
        "https://[::1]/x",
    ):
        with pytest.raises(APIResponseValidationError):
            _is_home(uri, base)


async def test_a_job_that_is_not_ready(client: Any, wire: GeminiWire) -> None:
    wire.polls_until_done = 9
    video = await client.generate_video(prompt="A fox")
    with pytest.raises(NotFoundError) as early:
        await client.download_video(video)
    assert (early.value.code, early.value.param) == ("video_not_ready", "video_id")
    assert video.id in str(early.value)


async def test_stills_there_are_none(client: Any, wire: GeminiWire) -> None:
    for variant in ("thumbnail", "spritesheet"):
        with pytest.raises(BadRequestError) as refused:
            await client.download_video(NAME, variant=variant, provider="gemini")
        assert refused.value.param == "variant"
    assert wire.seen == []


async def test_a_page_is_no_film(at: Any, server: Server) -> None:
    server.on(f"/{NAME}", at_address(f"{server.url}/login"))
    server.on("/login", bytes_answer(b"<html>", content_type="text/html"))
    with pytest.raises(APIResponseValidationError):
        await at(server.url).download_video(NAME, provider="gemini")
