"""Generating, looking, listing, downloading, deleting."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from callsheet import APIStatusError, BadRequestError, ConflictError, NotFoundError

from .conftest import SMALL, Hooks, frames_of, opened


def test_a_video_is_an_mp4_of_the_wanted_size_length_and_rate(hooks: Hooks) -> None:
    video = hooks.made("generate_video", prompt="Waves at the beach", seconds=2, size=SMALL)
    assert (video.seconds, video.size, video.model, video.progress) == ("2", SMALL, "motion-1", 100)
    assert video.expires_at == pytest.approx(video.completed_at + 24 * 3600, abs=1)
    assert video.warnings is None
    with opened(hooks.bytes(video.id)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.pix_fmt, picture.average_rate) == ("h264", "yuv420p", 24)
        assert (picture.width, picture.height, picture.frames) == (320, 180, 48)
        assert (sound.codec_context.name, float(sound.duration * sound.time_base)) == ("aac", 2.0)
    content = hooks.bytes(video.id)
    assert content.index(b"moov") < content.index(b"mdat"), "a browser must be able to start before it has everything"


def test_states_and_progress_go_forward_only_and_ask_to_be_polled(hooks: Hooks) -> None:
    seen: list[Any] = []
    first = hooks("generate_video", prompt="A forest", seconds=20, size="640x360")
    assert (first.status, first.progress, first.meta.poll_after) == ("queued", 0, 0.2)
    last = hooks.wait(first, seen.append)
    states = [video.status for video in seen]
    assert states == sorted(states, key=["queued", "in_progress"].index)
    numbers = [video.progress for video in seen]
    assert numbers == sorted(numbers)
    assert len({n for n in numbers if 0 < n < 100}) >= 3, "progress is told while frames are encoded"
    assert last.status == "completed"
    assert last.meta.poll_after is None


def test_the_same_prompt_is_the_same_picture_another_prompt_another_one(hooks: Hooks) -> None:
    prompts = ["A forest in fog", "A forest in fog", "A city at night"]
    first, again, other = (
        frames_of(hooks.bytes(hooks.made("generate_video", prompt=prompt, seconds=1, size=SMALL).id))[12]
        for prompt in prompts
    )
    # x264 with two threads may differ by a hair; the pictures that it is given don't
    assert np.abs(first.astype(int) - again).mean() < 1
    assert np.abs(first.astype(int) - other).mean() > 25
    assert np.abs(np.diff(first.astype(int), axis=0)).mean() > 0.2


@pytest.mark.parametrize(
    ("prompt", "size"), [("雨の夜 🐰🎉", "64x64"), ("x" * 32_000, "66x1920"), ("\x00\ud800 a\nb", SMALL)]
)
def test_any_prompt_is_drawn_or_left_out(hooks: Hooks, prompt: str, size: str) -> None:
    if "\ud800" in prompt:  # what no UTF-8 file can hold reaches us as JSON escapes
        prompt = prompt.replace("\ud800", "\ufffd")
    assert hooks.made("generate_video", prompt=prompt, seconds=1, size=size).size == size


def test_without_a_size_it_is_openais_default(hooks: Hooks) -> None:
    video = hooks("generate_video", prompt="A meadow")
    assert (video.size, video.seconds) == ("720x1280", "4")
    hooks.provider.close()


def test_list_pages_in_both_directions(hooks: Hooks) -> None:
    ids = [hooks("generate_video", prompt=f"number {n}", seconds=1, size="64x64").id for n in range(5)]
    for id in ids:
        hooks.wait(hooks("get_video", video_id=id))
    page = hooks("list_videos", limit=2)
    assert [video.id for video in page.data] == ids[:2:-1]
    assert (page.first_id, page.last_id, page.has_more) == (ids[4], ids[3], True)
    rest = hooks("list_videos", limit=10, after=page.last_id)
    assert [video.id for video in rest.data] == ids[2::-1]
    assert not rest.has_more
    assert [video.id for video in hooks("list_videos", order="asc", after=ids[1], limit=2).data] == ids[2:4]
    empty = hooks("list_videos", limit=0)
    assert (empty.data, empty.first_id, empty.has_more) == ([], None, True)
    with pytest.raises(NotFoundError, match="no video 'video_x' to list after"):
        hooks("list_videos", after="video_x")


def test_only_finished_videos_can_be_deleted(hooks: Hooks) -> None:
    video = hooks("generate_video", prompt="A long one", seconds=20, size="1280x720")
    with pytest.raises(ConflictError, match="only completed and failed videos can be deleted"):
        hooks("delete_video", video_id=video.id)
    with pytest.raises(ConflictError, match="it can be downloaded when it is completed"):
        hooks("download_video", video_id=video.id)
    hooks.provider.close()


def test_a_deleted_video_is_gone_with_its_files(hooks: Hooks) -> None:
    video = hooks.made("generate_video", prompt="A short one", seconds=1, size="64x64")
    hooks.bytes(video.id, variant="thumbnail")
    assert hooks("delete_video", video_id=video.id).deleted
    assert list(hooks.root.rglob(f"{video.id}*")) == []
    for name in ("get_video", "delete_video", "download_video"):
        with pytest.raises(NotFoundError, match="there is no video") as caught:
            hooks(name, video_id=video.id)
        assert caught.value.code == "video_not_found"


def test_stills(hooks: Hooks) -> None:
    video = hooks.made("generate_video", prompt="Mountains", seconds=2, size=SMALL)
    download = hooks.opened(video.id, variant="thumbnail")
    assert download.content_type == "image/webp"
    with Image.open(io.BytesIO(hooks.bytes(video.id, variant="thumbnail"))) as image:
        assert (image.format, image.size) == ("WEBP", (320, 180))
    with Image.open(io.BytesIO(hooks.bytes(video.id, variant="spritesheet"))) as image:
        assert (image.format, image.size) == ("JPEG", (5 * 256, 5 * 144))
        assert np.asarray(image)[-60:, -60:].std() > 2, "the last tile is filled"


def test_ranges(hooks: Hooks) -> None:
    video = hooks.made("generate_video", prompt="Mountains", seconds=1, size="64x64")
    whole = hooks.opened(video.id)
    content = hooks.bytes(video.id)
    assert (whole.size, whole.total, whole.start, whole.partial) == (len(content), len(content), 0, False)
    part = hooks.opened(video.id, range="bytes=10-19")
    assert (part.size, part.total, part.start, part.partial, part.etag) == (10, len(content), 10, True, whole.etag)
    assert hooks.bytes(video.id, range="bytes=10-19") == content[10:20]
    assert hooks.bytes(video.id, range="bytes=-7") == content[-7:]
    assert hooks.bytes(video.id, range="bytes=100-", if_range=whole.etag) == content[100:]
    assert hooks.bytes(video.id, range="bytes=100-", if_range='"another"') == content
    with pytest.raises(APIStatusError, match=f"which has {len(content):,} bytes") as caught:
        hooks("download_video", video_id=video.id, range=f"bytes={len(content)}-")
    assert caught.value.status_code == 416


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"seconds": 21}, "seconds", "21 seconds were asked for; a video can have 1 to 20"),
        ({"size": "1281x720"}, "size", "1281x720 can't be rendered: both sides must be even and have 64 to 1920"),
        ({"size": "62x720"}, "size", "62x720"),
        ({"size": "1280x1922"}, "size", "1280x1922"),
        ({"characters": ["a", "b", "c"]}, "characters", "3 characters were given; a video has 2 at most"),
    ],
)
def test_refusals_name_the_value_and_the_limit(hooks: Hooks, fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(BadRequestError, match=words) as caught:
        hooks("generate_video", prompt="x", **fields)
    assert caught.value.param == param
    assert hooks("list_videos").data == []


def test_only_one_model(hooks: Hooks) -> None:
    with pytest.raises(NotFoundError, match="no video model 'sora-2'; it has one: motion-1") as caught:
        hooks("generate_video", prompt="x", model="sora-2")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert hooks("generate_video", prompt="x", model="motion-1", size="64x64", seconds=1).model == "motion-1"
