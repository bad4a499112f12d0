"""Editing re-colours and keeps the rest; extending goes on from the last frame without touching what is there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsheet import BadRequestError, ConflictError, NotFoundError

from .conftest import SMALL, Hooks, frames_of, opened, packets_of


@pytest.fixture
def source(hooks: Hooks) -> Any:
    return hooks.made("generate_video", prompt="A meadow in spring", seconds=2, size=SMALL)


def mean_color(content: bytes) -> Any:
    return np.mean([frame.reshape(-1, 3).mean(axis=0) for frame in frames_of(content)[::12]], axis=0)


def saturation(content: bytes) -> float:
    frames = np.stack(frames_of(content)[::12]).astype(int)
    return float((frames.max(axis=-1) - frames.min(axis=-1)).mean())


def test_edits_change_the_colours_and_nothing_else(hooks: Hooks, source: Any) -> None:
    old = hooks.bytes(source.id)
    before, colourful = mean_color(old), saturation(old)
    made = {}
    for prompt in ("Make it warm", "golden hour", "cool blue light", "black and white", "sepia", "darker", "brighter"):
        video = hooks.made("edit", video=source.id, prompt=prompt)
        assert (video.remixed_from_video_id, video.seconds, video.size) == (source.id, "2", SMALL)
        assert video.warnings is None
        new = made[prompt] = hooks.bytes(video.id)
        assert packets_of(new, "audio") == packets_of(old, "audio")
        assert len(frames_of(new)) == len(frames_of(old)) == 48
    red, _, blue = mean_color(made["Make it warm"]) - before
    assert red > blue + 10
    red, _, blue = mean_color(made["golden hour"]) - before
    assert red > blue + 25
    red, _, blue = mean_color(made["cool blue light"]) - before
    assert blue > red + 10
    assert saturation(made["black and white"]) < 6 < colourful
    sepia = mean_color(made["sepia"])
    assert sepia[0] > sepia[1] > sepia[2]
    assert mean_color(made["darker"]).mean() < before.mean() - 20
    assert mean_color(made["brighter"]).mean() > before.mean() + 8


def test_an_edit_that_names_no_colour_is_told_what_was_done(hooks: Hooks, source: Any) -> None:
    video = hooks.made("edit", video=source.id, prompt="Replace the sky by a whale")
    assert "the default was applied, a little warmer and richer" in video.warnings[0]
    red, _, blue = mean_color(hooks.bytes(video.id)) - mean_color(hooks.bytes(source.id))
    assert red > blue + 1


def test_motion_is_kept(hooks: Hooks, source: Any) -> None:
    """Grey, a frame of the edit is like the frame of the source at the same time, and less like an earlier one."""
    edit = hooks.made("edit", video=source.id, prompt="monochrome")
    old, new = ([frame.mean(axis=-1) for frame in frames_of(hooks.bytes(id))] for id in (source.id, edit.id))
    same = np.mean([np.abs(a - b).mean() for a, b in zip(old, new, strict=True)])
    apart = np.mean([np.abs(a - b).mean() for a, b in zip(old[12:], new[:-12], strict=True)])
    assert same < apart


def test_an_uploaded_video_can_be_edited(hooks: Hooks, sounding_clip: Path) -> None:
    video = hooks.made("edit", video=sounding_clip, prompt="black and white")
    content = hooks.bytes(video.id)
    assert (video.remixed_from_video_id, video.seconds, video.size) == (None, "2", "320x180")
    assert packets_of(content, "audio") == packets_of(sounding_clip.read_bytes(), "audio")
    assert len(frames_of(content)) == 50
    assert saturation(content) < 6


def test_extending_copies_the_source_and_goes_on_from_its_last_frame(hooks: Hooks, source: Any) -> None:
    video = hooks.made("extend", video=source.id, prompt="Snow begins to fall", seconds=2)
    assert (video.seconds, video.remixed_from_video_id, video.warnings) == ("4", source.id, None)
    old, new = hooks.bytes(source.id), hooks.bytes(video.id)
    assert packets_of(new, "video")[:48] == packets_of(old, "video")
    frames = frames_of(new)
    assert len(frames) == 96
    first_part = frames_of(old)
    assert all(np.array_equal(a, b) for a, b in zip(first_part, frames, strict=False))
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert steps[47] < 8, "no jump where the parts meet"
    assert np.abs(frames[47].astype(int) - frames[-1]).mean() > 15, "and yet another scene at the end"
    check_times(new, 4.0)


def check_times(content: bytes, seconds: float) -> None:
    """Every packet decodes, times go up, and sound and picture have the same length."""
    with opened(content) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        last: dict[int, int] = {}
        for packet in container.demux(video, audio):
            if packet.dts is None:
                continue
            assert packet.dts > last.get(packet.stream_index, -(10**9))
            last[packet.stream_index] = packet.dts
        assert float(video.duration * video.time_base) == pytest.approx(seconds, abs=0.001)
        assert float(audio.duration * audio.time_base) == pytest.approx(seconds, abs=0.03)
    with opened(content) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([n / 24 for n in range(round(seconds * 24))], abs=1e-4)
    with opened(content) as container:
        sounds = [(frame.time, frame.samples / frame.sample_rate) for frame in container.decode(audio=0)]
        assert all(abs(a + long - b) < 0.022 for (a, long), (b, _) in pairwise(sounds))


def test_extensions_of_extensions_and_of_edits_are_copied_too(hooks: Hooks, source: Any) -> None:
    edit = hooks.made("edit", video=source.id, prompt="warm")
    once = hooks.made("extend", video=edit.id, prompt="A city", seconds=1)
    twice = hooks.made("extend", video=once.id, prompt="The sea", seconds=1)
    assert (once.warnings, twice.warnings, twice.seconds) == (None, None, "4")
    content = hooks.bytes(twice.id)
    assert packets_of(content, "video")[:72] == packets_of(hooks.bytes(once.id), "video")
    check_times(content, 4.0)


def test_what_was_encoded_otherwise_is_encoded_again_and_that_is_said(hooks: Hooks, sounding_clip: Path) -> None:
    video = hooks.made("extend", video=sounding_clip, prompt="A forest", seconds=1)
    assert video.seconds == "3"
    assert "encoded again, because it has 25 frames a second and new ones come at 24" in video.warnings[0]
    content = hooks.bytes(video.id)
    check_times(content, 3.0)
    first, wanted = frames_of(content)[20], frames_of(sounding_clip)[21]
    assert np.abs(first.astype(int) - wanted).mean() < 8


def test_a_character_of_the_source_comes_along_when_it_is_named(roomy: Hooks, small_red_clip: Path) -> None:
    id = roomy("create_character", name="Rolly", video=small_red_clip).id
    source = roomy.made("generate_video", prompt="Rolly in the snow", seconds=1, size=SMALL, characters=[id])
    counts = []
    for prompt in ("Now Rolly is in a forest", "Now a forest"):
        frame = frames_of(roomy.bytes(roomy.made("extend", video=source.id, prompt=prompt, seconds=2).id))[-1].astype(
            int
        )
        counts.append(int(((frame[..., 0] > 150) & (frame[..., 1] < 90) & (frame[..., 2] < 90)).sum()))
    assert counts[0] > 1000 > 50 > counts[1]
    remixed = roomy.made("remix", video_id=source.id, prompt="Rolly in the snow at night")
    assert (remixed.remixed_from_video_id, remixed.seconds, remixed.size) == (source.id, "1", SMALL)
    assert roomy("remix", video_id=source.id, prompt="nobody").warnings


def test_refusals(hooks: Hooks, source: Any) -> None:
    with pytest.raises(BadRequestError, match="21 seconds were asked for; an extension can have 1 to 20"):
        hooks("extend", video=source.id, prompt="x", seconds=21)
    hooks.provider.close()
    tight = Hooks(data_dir=hooks.root, max_total_seconds=20)
    with pytest.raises(
        BadRequestError, match="has 2 seconds; with 19 more it would have 21, and at most 20 are allowed"
    ):
        tight("extend", video=source.id, prompt="x", seconds=19)
    with pytest.raises(NotFoundError, match="there is no video 'video_x'"):
        tight("edit", video="video_x", prompt="x")
    with pytest.raises(BadRequestError, match="the video can't be used: it is not an MP4") as caught:
        tight("edit", video=b"nonsense" * 100, prompt="x")
    assert caught.value.code == "video_not_mp4"
    running = tight("generate_video", prompt="x", seconds=20, size="1280x720")
    for name in ("edit", "extend"):
        with pytest.raises(ConflictError, match="when it is completed"):
            tight(name, video=running.id, prompt="x")
    with pytest.raises(ConflictError, match="when it is completed"):
        tight("remix", video_id=running.id, prompt="x")
    tight.provider.close()
    assert list((hooks.root / "inputs").iterdir()) == []


def test_a_job_keeps_its_source_though_that_is_deleted(hooks: Hooks, source: Any) -> None:
    blocker = hooks("generate_video", prompt="first in the queue", seconds=4, size="640x360")
    edit = hooks("edit", video=source.id, prompt="sepia")
    hooks("delete_video", video_id=source.id)
    assert hooks.wait(edit).status == "completed"
    hooks.wait(blocker)
