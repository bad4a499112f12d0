"""What is read from texts: ranges, colours, themes, captions, data URLs. Whatever comes in, nothing falls over."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet import APIStatusError, BadRequestError
from callsheet_local.film.caption import caption, drawable
from callsheet_local.film.land import outline
from callsheet_local.film.reference import decode_data_url
from callsheet_local.film.theme import theme_of
from callsheet_local.ranges import resolve
from callsheet_local.tones import tones_of

texts = st.text(max_size=80)


@given(st.one_of(texts, st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True)), st.integers(0, 3000))
def test_a_range_is_inside_the_file_or_ignored_or_refused(text: str, size: int) -> None:
    found = None
    with suppress(APIStatusError):  # 416
        found = resolve(text, size)
    if found is not None:
        start, stop = found
        assert 0 <= start < stop <= size


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_a_range_gives_what_a_slice_gives(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    if first < size and first <= last:
        found = resolve(f"bytes={first}-{last}", size)
        assert found is not None
        assert content[slice(*found)] == content[first : last + 1]
    if last:
        found = resolve(f"bytes=-{last}", size)
        assert found is not None
        assert content[slice(*found)] == content[-last:]


def test_no_range_is_the_whole_file() -> None:
    assert [resolve(text, 10) for text in (None, "", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1")] == [
        None
    ] * 6


@given(texts)
def test_any_prompt_has_tones_and_a_theme(prompt: str) -> None:
    tones, matched = tones_of(prompt)
    assert tones
    assert isinstance(matched, bool)
    assert theme_of(prompt) == theme_of(prompt)


@pytest.mark.parametrize(
    ("prompt", "filters", "matched"),
    [
        ("Make it WARM", ["colortemperature", "hue"], True),
        ("warm golden hour", ["colortemperature", "curves", "hue", "hue"], True),
        ("Shift to black-and-white, high contrast", ["curves", "hue"], True),
        ("darker and cooler", ["curves", "colortemperature", "curves"], True),
        ("not too dark, less saturated", ["hue"], True),
        ("de-saturated", ["hue"], True),
        ("a whale in a harbour", ["colortemperature", "hue"], False),
        ("the bluebird's warmth, coldly", ["colortemperature", "hue", "colortemperature"], True),
    ],
)
def test_words_become_filters(prompt: str, filters: list[str], matched: bool) -> None:
    tones, found = tones_of(prompt)
    assert found is matched
    if prompt != "the bluebird's warmth, coldly":
        assert [tone.filter for tone in tones] == filters


@pytest.mark.parametrize(
    ("prompt", "name", "particles"),
    [
        ("A fox in the forest at night", "forest", "fireflies"),
        ("Neon city in the rain", "city", "rain"),
        ("An astronaut in deep space", "space", "sparks"),
        ("Winter mountains", "mountains", "snow"),
        ("Sunset over the ocean", "sea", "gulls"),
    ],
)
def test_words_become_themes(prompt: str, name: str, particles: str) -> None:
    assert (theme_of(prompt).name, theme_of(prompt).particles) == (name, particles)
    assert theme_of(prompt) != theme_of(prompt + "!")


@settings(max_examples=40, deadline=None)
@given(texts, st.sampled_from([(64, 64), (320, 180), (90, 400)]))
def test_any_text_is_a_caption_or_none(text: str, size: tuple[int, int]) -> None:
    made = caption(text, *size)
    if made is not None:
        assert made[0].mask.width == size[0]
        assert 0 <= made[1] < size[1]


def test_what_has_no_glyph_is_left_out() -> None:
    assert drawable("Luna \U0001f430 läuft, 猫と it\u2019s!") == "Luna lauft, it\u2019s!"
    assert caption("猫と犬", 320, 180) is None
    long = caption("word " * 400, 320, 180)
    assert long is not None
    assert long[1] > 100, "two lines at most"


@pytest.mark.parametrize("shape", ["hills", "ridge", "peaks", "dunes", "mesa", "pines", "towers", "street", "meadow"])
def test_outlines_stay_in_the_picture(shape: str) -> None:
    line = outline(shape, 700, 360, np.random.default_rng(1))
    assert line.dtype == np.float32
    assert 0 <= line.min() <= line.max() < 0.6


@given(st.text(max_size=60).map("data:image/png;base64,".__add__) | texts)
def test_a_data_url_is_bytes_or_refused(url: str) -> None:
    with suppress(BadRequestError):
        assert isinstance(decode_data_url(url), bytes)
