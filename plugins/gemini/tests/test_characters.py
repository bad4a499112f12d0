"""Characters that are kept here, and what of them Veo is sent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugins.gemini.tests.conftest import BUNNY, MODEL, PNG

from callsheet import BadRequestError, NotFoundError
from callsheet.reference_frames import reference_frames
from callsheet_gemini.wire import GeminiWire


def pictures(wire: GeminiWire) -> list[bytes]:
    [instance] = wire.seen[-1].document["instances"]
    for one in instance["referenceImages"]:
        assert (one["referenceType"], one["image"]["mimeType"]) == ("ASSET", "image/jpeg")
    return [base64.b64decode(one["image"]["bytesBase64Encoded"]) for one in instance["referenceImages"]]


async def test_a_character_from_clip_to_video(client: Any, wire: GeminiWire, tmp_path: Path) -> None:
    luna = await client.create_character(name="Luna", video=BUNNY)
    assert luna.name == "Luna"
    found = await client.get_character(character_id=luna)
    assert (found.id, found.name, found.created_at) == (luna.id, "Luna", luna.created_at)
    assert wire.seen == []  # nothing leaves for it
    video = await client.generate_video(prompt="luna in the snow", characters=[luna], seconds=8)
    assert video.warnings is None
    assert pictures(wire) == [frame.jpeg for frame in reference_frames(BUNNY, 3)]
    [instance] = wire.seen[-1].document["instances"]
    assert instance["prompt"] == "luna in the snow"
    assert len(list((tmp_path / "kept" / "characters").glob("*/char_*"))) == 1


async def test_several_share_three_pictures(client: Any, wire: GeminiWire) -> None:
    cast = [await client.create_character(name=name, video=BUNNY) for name in ("Luna", "Mia", "Tom", "Zoe")]
    own = [frame.jpeg for frame in reference_frames(BUNNY, 3)]
    await client.generate_video(prompt="Luna meets Mia", characters=cast[:2])
    assert pictures(wire) == [own[0], own[2], own[1]]
    await client.generate_video(prompt="Luna, Mia, Tom", characters=cast[:3])
    assert pictures(wire) == [own[1]] * 3
    await client.generate_video(prompt="Luna, Luna", characters=[cast[0], cast[0], cast[0], cast[0]])
    assert pictures(wire) == own
    before = len(wire.seen)
    with pytest.raises(BadRequestError) as refused:
        await client.generate_video(prompt="All", characters=cast)
    assert (refused.value.param, refused.value.code) == ("characters", "too_many_characters")
    assert len(wire.seen) == before


async def test_a_name_that_is_not_said_is_a_warning(client: Any) -> None:
    cast = [await client.create_character(name=name, video=BUNNY) for name in ("Luna", "Mia")]
    video = await client.generate_video(prompt="LUNA alone", characters=cast)
    [warning] = video.warnings
    assert "'Mia'" in warning


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": 4}, "seconds"),
        ({"input_reference": ("a.png", PNG)}, "input_reference"),
        ({"input_reference": "data:image/png;base64,YWJj"}, "input_reference"),
    ],
)
async def test_what_does_not_go_with_characters(
    client: Any, wire: GeminiWire, fields: dict[str, Any], param: str
) -> None:
    luna = await client.create_character(name="Luna", video=BUNNY)
    with pytest.raises(BadRequestError) as refused:
        await client.generate_video(prompt="Luna", characters=[luna], **fields)
    assert refused.value.param == param
    assert wire.seen == []


async def test_what_is_no_clip_makes_no_character(client: Any, wire: GeminiWire, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError) as refused:
        await client.create_character(name="Luna", video=b"no clip")
    assert refused.value.param == "video"
    with pytest.raises(BadRequestError) as unknown:
        await client.create_character(name="Luna", video=BUNNY, extra_body={"voice": "soft"})
    assert unknown.value.param == "voice"
    assert not (tmp_path / "kept").exists()
    assert wire.seen == []


async def test_one_that_is_not_here(client: Any, wire: GeminiWire) -> None:
    for id in ("char_" + "0" * 32, "../../etc", "char_x"):
        with pytest.raises(NotFoundError, match="on this machine") as lost:
            await client.get_character(character_id=id, provider="gemini")
        assert lost.value.param == "character_id"
        with pytest.raises(NotFoundError, match="on this machine") as lost:
            await client.generate_video(prompt="Luna", characters=[id], provider="gemini", model=MODEL)
        assert lost.value.param == "characters"
    assert wire.seen == []


async def test_another_account_does_not_have_it(wire: GeminiWire, at: Callable[..., Any]) -> None:
    one, other = at("https://one.example/v1beta"), at("https://two.example/v1beta")
    luna = await one.create_character(name="Luna", video=BUNNY)
    with pytest.raises(NotFoundError):
        await other.get_character(character_id=luna)


async def test_the_environment_says_where(
    client: Any, at: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSHEET_DATA_DIR", str(tmp_path / "elsewhere"))
    await at("https://one.example/v1beta", settings={}).create_character(name="Luna", video=BUNNY)
    assert len(list((tmp_path / "elsewhere" / "characters").glob("*/char_*/character.json"))) == 1
