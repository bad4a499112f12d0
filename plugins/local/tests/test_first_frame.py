"""input_reference: the video begins with exactly this picture."""

from __future__ import annotations

import base64
import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from callsheet import BadRequestError

from .conftest import SMALL, Hooks, frames_of


def picture(size: tuple[int, int] = (320, 180), kind: str = "PNG") -> bytes:
    """Smooth colours, and a shape to recognise."""
    y, x = np.mgrid[: size[1], : size[0]]
    array = np.stack([x * 255 // size[0], y * 255 // size[1], 255 - x * 255 // size[0]], axis=-1).astype(np.uint8)
    array[20:60, 30:90] = (250, 220, 10)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def psnr(a: Any, b: Any) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_first_frame_is_the_picture_and_then_it_moves_on(hooks: Hooks, kind: str) -> None:
    content = picture(kind=kind)
    video = hooks.made("generate_video", prompt="Night sky", seconds=2, size=SMALL, input_reference=content)
    frames = frames_of(hooks.bytes(video.id))
    with Image.open(io.BytesIO(content)) as image:
        wanted = np.asarray(image.convert("RGB"))
    assert psnr(frames[0], wanted) > 33
    assert psnr(frames[3], wanted) > psnr(frames[12], wanted) > psnr(frames[30], wanted)
    assert psnr(frames[40], wanted) < 15, "at the end the scene is there"
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert max(steps) < 16, "no hard cut"


def test_a_data_url_and_the_pictures_own_size(hooks: Hooks) -> None:
    url = "data:image/png;base64," + base64.b64encode(picture((200, 100))).decode()
    video = hooks.made("generate_video", prompt="x", seconds=1, input_reference={"image_url": url})
    assert video.size == "200x100"
    assert hooks.left("inputs") == []


@pytest.mark.parametrize(
    ("reference", "words", "code"),
    [
        (picture((300, 180)), "input_reference is 300x180, but the video is 320x180", "size_mismatch"),
        (b"", "is empty: 0 bytes", "image_empty"),
        (b"not a picture", "is no JPEG, PNG or WebP", "image_unreadable"),
        (picture(kind="GIF"), "is no JPEG, PNG or WebP", "image_unreadable"),
        (picture()[:300], "input_reference can't be read", "image_unreadable"),
        ({"image_url": "https://example.com/a.png"}, "has no network", "no_network"),
        ({"file_id": "file_1"}, "knows no file_id", "no_network"),
        ({"image_url": "data:image/png;base64,???"}, "no valid base64", "bad_data_url"),
        ({"image_url": "data:image/png,abc"}, "without base64", "bad_data_url"),
    ],
)
def test_refused(hooks: Hooks, reference: Any, words: str, code: str) -> None:
    with pytest.raises(BadRequestError, match=words) as caught:
        hooks("generate_video", prompt="x", size=SMALL, input_reference=reference)
    assert (caught.value.param, caught.value.code) == ("input_reference", code)
    assert hooks("list_videos").data == []
    assert list((hooks.root / "inputs").iterdir()) == list((hooks.root / "work").iterdir()) == []


def test_a_picture_that_unpacks_to_far_more_than_it_weighs_is_refused_unread(hooks: Hooks) -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with pytest.raises(BadRequestError, match="too big a picture|too many") as caught:
        hooks("generate_video", prompt="x", size=SMALL, input_reference=buffer.getvalue())
    assert caught.value.code == "image_too_big"
