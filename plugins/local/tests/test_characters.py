"""Characters: cut out of a clip, seen in later videos whose prompt says their name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import callsheet_local
from callsheet import BadRequestError, NotFoundError
from callsheet_local.film.cut import cut_out
from callsheet_local.film.probe import probe
from callsheet_local.film.sprite import Sprite

from .conftest import SMALL, Hooks, frames_of, make_clip

BUNNY = Path(callsheet_local.__file__).parent / "media" / "bunny-720p-3s.mp4"


def solid(sprite: Sprite) -> Any:
    """The colours of a sprite's first frame where it surely covers."""
    array = np.asarray(sprite.images()[0])
    return array[array[..., 3] > 240][:, :3].astype(int)


def redness(frame: Any) -> int:
    """How many pixels are as red as the red clip's disc."""
    red, green, blue = (frame[..., i].astype(int) for i in range(3))
    return int(((red > 150) & (green < 90) & (blue < 90)).sum())


def test_the_cut_is_the_moving_thing_and_differs_between_clips(red_clip: Path, blue_clip: Path) -> None:
    red, blue = cut_out(red_clip, probe(red_clip)), cut_out(blue_clip, probe(blue_clip))
    assert (red.how, blue.how) == ("moving", "moving")
    assert np.abs(np.median(solid(red.sprite), axis=0) - (220, 40, 40)).max() < 25
    assert np.abs(np.median(solid(blue.sprite), axis=0) - (30, 60, 230)).max() < 25
    disc, pillar = red.sprite.width / red.sprite.height, blue.sprite.width / blue.sprite.height
    assert 0.85 < disc < 1.2, "a disc is as wide as high, though it moves across half the clip"
    assert 0.25 < pillar < 0.5
    edge = np.asarray(red.sprite.images()[0])[..., 3]
    assert ((edge > 20) & (edge < 235)).sum() > 50, "the edge is soft"


def test_the_bunny_is_grey_stands_upright_and_leaves_the_meadow_behind() -> None:
    cut = cut_out(BUNNY, probe(BUNNY))
    assert (cut.how, cut.sprite.count) == ("moving", 9)
    colors = np.concatenate([np.asarray(image).reshape(-1, 4) for image in cut.sprite.images()])
    colors = colors[colors[:, 3] > 240][:, :3].astype(int)
    grey = (colors.max(axis=1) - colors.min(axis=1)) < 60
    green = (colors[:, 1] > colors[:, 0] + 15) & (colors[:, 1] > colors[:, 2] + 15)
    assert grey.mean() > 0.9
    assert green.mean() < 0.05
    motion = [np.asarray(image).astype(int) for image in cut.sprite.images()]
    assert np.abs(motion[0] - motion[-1]).mean() > 5, "it moves"


def test_where_nothing_moves_an_oval_is_cut(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "still.mp4", still=True)
    cut = cut_out(clip, probe(clip))
    alpha = np.asarray(cut.sprite.images()[0])[..., 3]
    assert cut.how == "oval"
    assert alpha[0, 0] == 0
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255


def test_who_is_named_appears_and_who_is_not_does_not(roomy: Hooks, small_red_clip: Path) -> None:
    character = roomy("create_character", name="Rolly", video=small_red_clip)
    assert roomy("get_character", character_id=character.id) == character
    seen = {}
    for prompt, given in [
        ("ROLLY crosses the snow", [character.id]),
        ("Somebody crosses the snow", [character.id]),
        ("Rolly crosses the snow", []),
    ]:
        video = roomy.made("generate_video", prompt=prompt, seconds=1, size=SMALL, characters=given)
        seen[prompt] = (redness(frames_of(roomy.bytes(video.id))[12]), video.warnings)
    assert seen["ROLLY crosses the snow"][0] > 1500
    assert seen["ROLLY crosses the snow"][1] is None
    assert seen["Somebody crosses the snow"][0] < 30
    [warning] = seen["Somebody crosses the snow"][1]
    assert "character 'Rolly'" in warning
    assert "the prompt does not say its name" in warning
    assert seen["Rolly crosses the snow"][0] < 30
    assert seen["Rolly crosses the snow"][1] is None


def test_two_characters_appear_side_by_side(roomy: Hooks, small_red_clip: Path, small_blue_clip: Path) -> None:
    ids = [
        roomy("create_character", name=n, video=c).id for n, c in (("Red", small_red_clip), ("Blue", small_blue_clip))
    ]
    video = roomy.made("generate_video", prompt="Red meets Blue in the snow", seconds=1, size=SMALL, characters=ids)
    frame = frames_of(roomy.bytes(video.id))[12].astype(int)
    red = np.argwhere((frame[..., 0] > 150) & (frame[..., 1] < 90))[:, 1].mean()
    blue = np.argwhere((frame[..., 2] > 170) & (frame[..., 0] < 90) & (frame[..., 1] < 110))[:, 1].mean()
    assert red + 60 < blue


def test_a_clip_of_another_shape_is_a_warning(roomy: Hooks, small_red_clip: Path) -> None:
    character = roomy("create_character", name="Rolly", video=small_red_clip)
    video = roomy("generate_video", prompt="Rolly", seconds=1, size="180x320", characters=[character.id])
    assert "is 320x180, the video 180x320: their shapes differ" in video.warnings[0]
    assert roomy("generate_video", prompt="Rolly", seconds=1, characters=[character.id]).size == "1280x720"


def test_unknown_ids_are_refused_before_anything_starts(roomy: Hooks) -> None:
    with pytest.raises(NotFoundError, match="there is no character 'char_nobody'") as caught:
        roomy("generate_video", prompt="x", characters=["char_nobody"])
    assert (caught.value.param, caught.value.code) == ("characters", "character_not_found")
    with pytest.raises(NotFoundError, match="there is no character"):
        roomy("get_character", character_id="char_nobody")
    assert roomy("list_videos").data == []
    with pytest.raises(BadRequestError, match="a video has 2 at most"):
        roomy("generate_video", prompt="x", characters=["a", "b", "c"])


def test_characters_outlive_everything(tmp_path: Path, small_red_clip: Path) -> None:
    """Neither a sweep nor a full disk nor another provider instance changes or removes one."""
    first = Hooks(data_dir=tmp_path, keep_hours=0, clip_min_side=100)
    id = first("create_character", name="Rolly", video=small_red_clip).id
    picture = tmp_path / "characters" / f"{id}.png"
    before = hashlib.sha256(picture.read_bytes()).hexdigest()
    first.made("generate_video", prompt="Rolly", seconds=1, size=SMALL, characters=[id])
    first.provider.close()
    second = Hooks(data_dir=tmp_path, keep_hours=0, quota_mb=0.001)
    with pytest.raises(Exception, match="full"):
        second("generate_video", prompt="Rolly", seconds=1, size=SMALL, characters=[id])
    assert second("get_character", character_id=id).name == "Rolly"
    assert hashlib.sha256(picture.read_bytes()).hexdigest() == before
    with Image.open(picture) as image:
        assert image.mode == "RGBA"
    second.provider.close()
