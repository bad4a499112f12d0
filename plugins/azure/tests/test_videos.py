"""Videos: forms where Azure documents forms, JSON where only JSON says it; and that sora-2 is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from core.tests.conftest import Mode
from plugins.azure.tests.conftest import ROOT, azure_client, registry
from plugins.openai.tests.calls import Canned

from callsheet import APIStatusError, BadRequestError, NotFoundError
from callsheet.testing import Fault, Seen
from callsheet_azure.wire import AzureWire

CLIP = ("clip.mp4", b"\0\0\0\x18ftypmp42" + bytes(20))
IMAGE = ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(20))
RETIRED = r"\(all retirement dates that Microsoft published for sora-2 have passed, the last on 2026-11-02\)"


def fields(seen: Seen) -> dict[str, Any]:
    """A form's fields: texts, and files as what they are called and their type."""
    assert seen.content_type == "multipart/form-data"
    return {
        part.name: part.text if part.filename is None else (part.filename, part.content_type)
        for part in seen.form or []
    }


async def finished(client: Any) -> Any:
    return await client.wait(await client.generate_video(model="film-1", prompt="A fox"), poll=0.001)


async def test_a_video_is_asked_for_by_a_form(client: Any, fake: AzureWire) -> None:
    video = await client.generate_video(model="film-1", prompt="A fox", seconds=8, size="1280x720")
    assert fields(fake.seen[0]) == {"model": "film-1", "prompt": "A fox", "seconds": "8", "size": "1280x720"}
    assert (video.status, video.model, video.meta.request_id) == ("queued", "film-1", f"apim-{0:032x}")
    assert video.prompt is None


async def test_a_film_from_end_to_end(client: Any, fake: AzureWire) -> None:
    video = await finished(client)
    assert (video.status, video.expires_at - video.created_at) == ("completed", 24 * 3600)
    async with await client.download_video(video) as download:
        assert sum([len(piece) async for piece in download]) == fake.video_bytes
    assert [item.id for item in (await client.list_videos()).data] == [video.id]
    await client.delete_video(video_id=video.id)
    assert [entry.kind for entry in fake.book.entries] == ["video"]


async def test_a_file_goes_in_the_form(client: Any, fake: AzureWire) -> None:
    await client.generate_video(model="film-1", prompt="A fox", input_reference=IMAGE)
    assert fields(fake.seen[0]) == {"model": "film-1", "prompt": "A fox", "input_reference": ("a.png", "image/png")}


async def test_a_form_without_files_is_a_setting(mode: Mode, fake: AzureWire) -> None:
    await azure_client(mode, fake, multipart=False).generate_video(model="film-1", prompt="A fox")
    assert fake.seen[0].document == {"model": "film-1", "prompt": "A fox"}


async def test_a_remix_is_asked_for_by_a_form(client: Any, fake: AzureWire) -> None:
    video = await finished(client)
    remix = await client.remix(video_id=video.id, prompt="In the rain")
    assert fields(fake.seen[-1]) == {"prompt": "In the rain"}
    assert remix.remixed_from_video_id == video.id


async def test_characters_and_references_are_said_in_json(client: Any, fake: AzureWire) -> None:
    mossy = await client.create_character(name="Mossy", video=CLIP)
    assert fields(fake.seen[-1]) == {"name": "Mossy", "video": ("clip.mp4", "video/mp4")}
    await client.generate_video(model="film-1", prompt="Mossy runs", characters=[mossy])
    own = fake.seen[-1].document["characters"]
    assert len(own) == 1
    await client.generate_video(
        model="film-1", prompt="Mossy runs", input_reference={"image_url": "https://x.example/a.png"}
    )
    assert fake.seen[-1].document["input_reference"] == {"image_url": "https://x.example/a.png"}
    await client.generate_video(model="film-1", prompt="Mossy runs", characters=[mossy], input_reference=IMAGE)
    assert fake.seen[-1].document["input_reference"]["image_url"].startswith("data:image/png;base64,")
    assert fake.seen[-1].document["characters"] == own


async def test_a_film_that_is_there_is_edited_by_its_id_in_json(client: Any, fake: AzureWire) -> None:
    video = await finished(client)
    own = fake.book.entries[0].id
    await client.edit(video=video, prompt="Teal")
    assert fake.seen[-1].document == {"video": {"id": own}, "prompt": "Teal"}
    await client.extend(video=video.id, prompt="On", seconds=4)
    assert fake.seen[-1].document == {"video": {"id": own}, "prompt": "On", "seconds": "4"}


async def test_a_film_of_ones_own_is_edited_by_a_form(client: Any, fake: AzureWire) -> None:
    await client.edit(video=CLIP, prompt="Teal", model="film-1", provider="azure")
    assert fields(fake.seen[-1]) == {"model": "film-1", "prompt": "Teal", "video": ("clip.mp4", "video/mp4")}
    assert fake.book.entries[-1].model == "film-1"


async def test_a_failed_job_says_why(client: Any, fake: AzureWire) -> None:
    fake.fail_job("moderation_blocked", "Your request was blocked by our moderation system.")
    with pytest.raises(Exception, match="moderation_blocked: Your request was blocked"):
        await finished(client)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("host", ["res-1.openai.azure.com", "res-1.services.ai.azure.com"])
async def test_errors_tell_that_sora_is_retired(host: str, status: int, mode: Mode, fake: AzureWire) -> None:
    client = azure_client(mode, fake, base_url=f"https://{host}")
    fake.fail("POST /videos", Fault.status(status, message="No."))
    with pytest.raises(APIStatusError, match=rf"^No\. {RETIRED}$") as caught:
        await client.generate_video(model="sora-2", prompt="A fox")
    assert (caught.value.message, caught.value.args[0]) == (str(caught.value), str(caught.value))
    assert "No. (" not in str(caught.value.body)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("res-1.openai.azure.com", 401),
        ("res-1.openai.azure.com", 429),
        ("gateway.example", 404),
        ("openai.azure.com.example", 404),
        ("notopenai.azure.com", 404),
    ],
)
async def test_of_whom_that_is_not_told(host: str, status: int, mode: Mode, fake: AzureWire) -> None:
    client = azure_client(mode, fake, base_url=f"https://{host}")
    fake.fail("GET /videos", Fault.status(status, headers={"x-should-retry": "false"}))
    with pytest.raises(APIStatusError) as caught:
        await client.list_videos()
    assert "sora" not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        {"code": "moderation_blocked"},
        {"code": "content_filter"},
        {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
        {"code": "invalid_value", "param": "seconds"},
    ],
)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_who_looked_at_a_request_still_serves_it(said: Any, mode: Mode) -> None:
    canned = Canned(400, {"error": {"message": "No.", **said}})
    client = mode.client(None, "azure", registry=registry(), base_url=ROOT, transport=canned)
    with pytest.raises(BadRequestError, match=r"^No\.$"):
        await client.generate_video(model="film-1", prompt="A fox")
    canned.document = {"error": {"message": "No.", "code": "400", "param": "model"}}
    with pytest.raises(BadRequestError, match=RETIRED):
        await client.generate_video(model="film-1", prompt="A fox")


async def test_other_operations_do_not_speak_of_sora(client: Any, fake: AzureWire) -> None:
    fake.deployments = {"gpt"}
    with pytest.raises(NotFoundError, match=r"wait a moment and try again\.$") as caught:
        await client.chat_completions(model="nope", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "DeploymentNotFound"
    with pytest.raises(NotFoundError, match=RETIRED) as caught:
        await client.generate_video(model="sora-2", prompt="A fox")
    assert caught.value.code == "DeploymentNotFound"


def test_the_list_of_providers_says_so() -> None:
    from callsheet_azure import AzureProvider

    assert len(AzureProvider.notes) == 10
    assert json.dumps(dict(AzureProvider.notes)).count("the published dates of sora-2 have passed") == 10
