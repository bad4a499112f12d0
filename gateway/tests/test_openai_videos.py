"""Videos by the official `openai` package: what is downloaded, pages of lists, and what its error classes get."""

from __future__ import annotations

import io

import openai
import pytest
from gateway.tests.films import MODEL, film
from gateway.tests.test_openai_sdk import SMALL, Seen, checked, sync_client
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture
def videos(gateway_with_keys):
    with sync_client(gateway_with_keys, Seen(), strict=False) as client:
        yield client.videos


@pytest.fixture
def done(gateway_with_keys):
    with gateway_with_keys.http() as http:
        return film(http)["id"]


def test_what_can_be_downloaded(videos, done, tmp_path):
    film = videos.download_content(done)
    assert film.response.headers["content-type"] == "video/mp4"
    film.write_to_file(tmp_path / "film.mp4")
    content = (tmp_path / "film.mp4").read_bytes()
    assert content == videos.download_content(done, variant="video").read()
    for variant, kind in (("thumbnail", "WEBP"), ("spritesheet", "JPEG")):
        still = videos.download_content(done, variant=variant)
        assert Image.open(io.BytesIO(still.read())).format == kind
    with videos.with_streaming_response.download_content(done) as answer:
        assert b"".join(answer.iter_bytes(1000)) == content
    part = videos.download_content(done, extra_headers={"range": "bytes=4-7"})
    assert (part.response.status_code, part.read()) == (206, b"ftyp")


def test_a_first_frame(videos):
    Image.new("RGB", (320, 180), (200, 30, 30)).save(picture := io.BytesIO(), "PNG")
    picture.seek(0)
    video = videos.create(prompt="a red room", input_reference=("first.png", picture, "image/png"), **SMALL)
    assert checked(videos.poll(video.id, poll_interval_ms=100)).status == "completed"


def test_lists_go_on_where_a_page_ended(videos, done):
    newest = videos.list(limit=1)
    assert [video.id for video in newest.data] == [done]
    assert [video.id for video in videos.list(limit=100, after=done)] == [video.id for video in videos.list()][1:]
    assert [video.id for video in videos.list(order="asc")][-1] == done


@pytest.mark.parametrize(
    ("call", "kind", "code", "param"),
    [
        (lambda videos, done: videos.retrieve("video_123"), openai.NotFoundError, "not_found", None),
        (lambda videos, done: videos.download_content("video_123"), openai.NotFoundError, "not_found", None),
        (lambda videos, done: videos.get_character(done), openai.NotFoundError, "not_found", None),
        (lambda videos, done: videos.create(prompt="x", model="sora-2"), openai.NotFoundError, "model_not_found", "model"),
        (lambda videos, done: videos.create(prompt="", model=MODEL), openai.BadRequestError, "invalid_value", "prompt"),
        (lambda videos, done: videos.create(prompt="x", size="9x9"), openai.BadRequestError, "invalid_value", "size"),
        (lambda videos, done: videos.remix(done, prompt=""), openai.BadRequestError, "invalid_value", "prompt"),
        (lambda videos, done: videos.edit(video=b"no film", prompt="x"),
         openai.BadRequestError, "video_not_mp4", "video"),
        (lambda videos, done: videos.create_character(name="Luna", video=b"no film"),
         openai.BadRequestError, "clip_not_mp4", "video"),
        (lambda videos, done: videos.download_content(done, variant="poster"),
         openai.BadRequestError, "invalid_value", "variant"),
    ],
)  # fmt: skip
def test_errors_are_the_packages_own(videos, done, call, kind, code, param):
    with pytest.raises(openai.APIStatusError) as caught:
        call(videos, done)
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert error.request_id.startswith("req_")


def test_a_video_that_is_being_made(videos):
    video = videos.create(model=MODEL, prompt="a slow sea", size="640x360", seconds="4")
    for call in (videos.delete, videos.download_content):
        with pytest.raises(openai.ConflictError) as caught:
            call(video.id)
        assert (caught.value.status_code, caught.value.param) == (409, "video_id")
    assert videos.poll(video.id).status == "completed"
    assert videos.delete(video.id).deleted
