"""Videos by the fake's wire: what is asked, what comes back, what is refused before anything leaves."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core.tests.server import Server, json_answer
from plugins.gemini.tests.conftest import BUNNY, MODEL, PNG

from callsheet import (
    APIResponseValidationError,
    APIStatusError,
    BadRequestError,
    NotFoundError,
    UnsupportedOperation,
    VideoFailedError,
)
from callsheet.testing import Fault
from callsheet_gemini.veo import SIZES
from callsheet_gemini.wire import GeminiWire

START = "POST /models/{model}:predictLongRunning"
NAME = "models/veo-3.1-generate-preview/operations/abc"
PATH = f"/{NAME}"


def sent(wire: GeminiWire) -> tuple[dict[str, Any], dict[str, Any]]:
    """The instance and the parameters of the only start."""
    [seen] = [seen for seen in wire.seen if seen.route == START]
    [instance] = seen.document["instances"]
    return instance, seen.document.get("parameters", {})


async def test_a_video_from_start_to_end(client: Any, wire: GeminiWire, tmp_path: Path) -> None:
    video = await client.generate_video(prompt="A fox in the snow")
    assert (video.status, video.model, video.prompt) == ("in_progress", "veo-3.1-generate-preview", "A fox in the snow")
    assert (video.seconds, video.size, video.progress, video.warnings) == (None, None, None, None)
    assert sent(wire) == ({"prompt": "A fox in the snow"}, {})
    assert "parameters" not in wire.seen[0].document
    assert wire.seen[0].headers["x-goog-api-key"] == "sk-fake-0123456789"
    assert "authorization" not in wire.seen[0].headers

    done = await client.wait(video, timeout=20)
    assert (done.id, done.status, done.model, done.error) == (video.id, "completed", video.model, None)
    await client.download_video(done, to=tmp_path / "fox.mp4")
    [entry] = wire.book.accepted()
    assert (tmp_path / "fox.mp4").read_bytes() == wire.film_of(entry.id)
    assert (entry.kind, entry.model) == ("video", "veo-3.1-generate-preview")


@pytest.mark.parametrize("size", SIZES)
async def test_sizes(client: Any, wire: GeminiWire, size: str) -> None:
    video = await client.generate_video(prompt="A fox", size=size, seconds=8)
    ratio, resolution = SIZES[size]
    assert sent(wire)[1] == {"aspectRatio": ratio, "resolution": resolution, "durationSeconds": 8}
    assert (video.size, video.seconds) == (size, "8")
    width, height = map(int, size.split("x"))
    a, b = map(int, ratio.split(":"))
    assert width * b == height * a
    assert resolution in {f"{min(width, height)}p", "4k"}


@pytest.mark.parametrize("seconds", [4, 6, 8, "04"])
async def test_seconds(client: Any, wire: GeminiWire, seconds: Any) -> None:
    await client.generate_video(prompt="A fox", seconds=seconds, size="1280x720")
    assert sent(wire)[1]["durationSeconds"] == int(seconds)


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"size": "640x480"}, "size", "1280x720"),
        ({"size": "720x720"}, "size", "1920x1080"),
        ({"seconds": 5}, "seconds", "4, 6 or 8"),
        ({"seconds": 12}, "seconds", "4, 6 or 8"),
        ({"seconds": 4, "size": "1920x1080"}, "seconds", "1080p"),
        ({"seconds": 6, "size": "2160x3840"}, "seconds", "4k"),
        ({"input_reference": "https://example.org/a.png"}, "input_reference", "fetches no"),
        ({"input_reference": {"file_id": "file_1"}}, "input_reference", "file_id"),
        ({"input_reference": "data:image/png;base64,####"}, "input_reference", "base64"),
        ({"input_reference": "data:image/png;base64,"}, "input_reference", "no bytes"),
        ({"input_reference": "data:image/png,abc"}, "input_reference", "base64"),
        ({"input_reference": "data:text/plain;base64,YWJj"}, "input_reference", "text/plain"),
        ({"input_reference": ("a.txt", b"hello")}, "input_reference", "text/plain"),
        ({"input_reference": b""}, "input_reference", "empty"),
        ({"input_reference": bytes(15_000_001)}, "input_reference", "15,000,000"),
        ({"extra_body": {"parameters": [1]}}, "parameters", "object"),
        ({"extra_body": {"instances": {}}}, "instances", "list of one"),
        ({"extra_body": {"instances": [{}, {}]}}, "instances", "list of one"),
        ({"characters": ["a", "b", "c", "d"]}, "characters", "3"),
    ],
)
async def test_what_is_refused_before_anything_leaves(
    client: Any, wire: GeminiWire, fields: dict[str, Any], param: str, word: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        await client.generate_video(prompt="A fox", provider="gemini", **{"model": MODEL, **fields})
    assert refused.value.param == param
    assert word in str(refused.value)
    assert wire.seen == []


async def test_a_model_is_needed(at: Callable[..., Any], wire: GeminiWire) -> None:
    client = at("http://127.0.0.1:9/v1beta")
    with pytest.raises(BadRequestError) as refused:
        await client.generate_video(prompt="A fox", model="gemini/models/")
    assert refused.value.param == "model"


async def test_other_models_are_asked_for_whatever_is_wanted(client: Any, server: Server, at: Any) -> None:
    """What Veo 3 can't do, another one may."""
    server.on("/v1beta/models/veo-9:predictLongRunning", json_answer({"name": "models/veo-9/operations/x"}))
    await at(f"{server.url}/v1beta").generate_video(
        prompt="A fox", model="gemini/models/veo-9", seconds=5, size="1920x1080"
    )
    assert server.seen[0].json()["parameters"]["durationSeconds"] == 5


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (("fox.png", PNG), "image/png"),
        (("fox", PNG), "image/png"),
        (("fox.png", b"\xff\xd8\xff jpeg"), "image/jpeg"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), "image/png"),
        ("data:IMAGE/PNG;x=1;BASE64," + base64.encodebytes(PNG).decode(), "image/png"),
    ],
)
async def test_a_first_frame(client: Any, wire: GeminiWire, given: Any, kind: str) -> None:
    await client.generate_video(prompt="A fox", input_reference=given)
    image = sent(wire)[0]["image"]
    assert (image["mimeType"], set(image)) == (kind, {"mimeType", "bytesBase64Encoded"})
    if not isinstance(given, str):
        assert base64.b64decode(image["bytesBase64Encoded"]) == (given if isinstance(given, bytes) else given[1])


async def test_what_only_veo_knows(client: Any, wire: GeminiWire) -> None:
    frame = {"bytesBase64Encoded": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    extra = {
        "negativePrompt": "rain",
        "x_new": {"kept": [1, 2**70]},
        "parameters": {"personGeneration": "allow_adult", "aspectRatio": "9:16"},
        "instances": [{"lastFrame": frame, "x_also": 1}],
    }
    await client.generate_video(prompt="A fox", size="1280x720", extra_body=extra)
    instance, parameters = sent(wire)
    assert instance == {"prompt": "A fox", "lastFrame": frame, "x_also": 1}
    assert parameters == {
        "aspectRatio": "9:16",  # in Veo's own words: that counts
        "resolution": "720p",
        "personGeneration": "allow_adult",
        "negativePrompt": "rain",
        "x_new": {"kept": [1, 2**70]},
    }


async def test_a_video_is_extended(client: Any, wire: GeminiWire) -> None:
    video = await client.wait(await client.generate_video(prompt="A fox"), timeout=20)
    longer = await client.extend(video=video, prompt="It runs", seconds=7, extra_body={"x_more": 1})
    assert (longer.status, longer.prompt, longer.seconds) == ("in_progress", "It runs", None)
    assert longer.id != video.id
    start = [seen for seen in wire.seen if seen.route == START][-1]
    [instance] = start.document["instances"]
    assert instance["prompt"] == "It runs"
    assert set(instance["video"]) == {"uri"}
    assert start.document["parameters"] == {"x_more": 1}
    assert [entry.kind for entry in wire.book.accepted()] == ["video", "extend"]
    assert (await client.wait(longer, timeout=20)).status == "completed"


async def test_an_extension_by_another_model(client: Any, wire: GeminiWire) -> None:
    video = await client.wait(await client.generate_video(prompt="A fox"), timeout=20)
    longer = await client.extend(video=video, prompt="It runs", model="gemini/veo-3.1-fast-generate-preview")
    assert longer.model == "veo-3.1-fast-generate-preview"


async def test_what_can_t_be_extended(client: Any, wire: GeminiWire) -> None:
    wire.polls_until_done = 9
    video = await client.generate_video(prompt="A fox")
    before = len(wire.book.entries)
    for fields, param, code in (
        ({"video": video, "seconds": 8}, "seconds", "invalid_value"),
        ({"video": BUNNY}, "video", "file_not_supported"),
        ({"video": video}, "video", "video_not_ready"),
    ):
        with pytest.raises(BadRequestError) as refused:
            await client.extend(prompt="It runs", **fields, **({"model": MODEL} if fields["video"] is BUNNY else {}))
        assert (refused.value.param, refused.value.code) == (param, code)
    wire.fail_job()
    failed = await client.generate_video(prompt="A fox")
    while not (failed := await client.get_video(video_id=failed)).finished:
        pass
    with pytest.raises(BadRequestError) as refused:
        await client.extend(prompt="It runs", video=failed)
    assert (refused.value.param, refused.value.code) == ("video", "video_failed")
    with pytest.raises(NotFoundError) as lost:
        await client.extend(prompt="It runs", video="video_1", provider="gemini")
    assert lost.value.param == "video"
    assert len(wire.book.entries) == before + 1


@pytest.mark.parametrize(
    ("failure", "wanted"),
    [
        (("moderation_blocked", "A person was shown."), ("moderation_blocked", "A person was shown.")),
        (("INVALID_ARGUMENT", "Too long."), ("INVALID_ARGUMENT", "Too long.")),
        (("whatever", "It broke."), ("INTERNAL", "It broke.")),
    ],
)
async def test_jobs_that_fail(client: Any, wire: GeminiWire, failure: tuple[str, str], wanted: tuple[str, str]) -> None:
    wire.fail_job(*failure)
    video = await client.generate_video(prompt="A fox")
    with pytest.raises(VideoFailedError) as failed:
        await client.wait(video, timeout=20)
    error = failed.value.video.error
    assert error is not None
    assert (error.code, error.message) == wanted
    with pytest.raises(NotFoundError) as lost:
        await client.download_video(video)
    assert lost.value.code == "video_failed"


async def test_what_veo_does_not_do(client: Any) -> None:
    for call, fields in {
        "edit": {"video": NAME, "prompt": "x"},
        "remix": {"video_id": NAME, "prompt": "x"},
        "delete_video": {"video_id": NAME},
        "list_videos": {},
    }.items():
        with pytest.raises(UnsupportedOperation, match="vendor cannot"):
            await getattr(client, call)(provider="gemini", **fields)


def over(result: dict[str, Any]) -> dict[str, Any]:
    """An operation that is done, with this result."""
    return {"name": NAME, "done": True, "response": {"generateVideoResponse": result}}


def failed(**error: Any) -> dict[str, Any]:
    return {"name": NAME, "done": True, "error": error}


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"name": NAME}, ("in_progress", None, None)),
        ({"name": NAME, "done": False, "metadata": {"x": 1}}, ("in_progress", None, None)),
        ({"done": False}, ("in_progress", None, None)),
        ({"name": NAME, "done": None}, ("in_progress", None, None)),
        ({"name": NAME, "done": True}, ("failed", "no_video", None)),
        ({"name": NAME, "done": True, "response": {}}, ("failed", "no_video", None)),
        (over({"generatedSamples": []}), ("failed", "no_video", None)),
        (
            over({"raiMediaFilteredCount": 1}),
            ("failed", "moderation_blocked", "the vendor's filters held the video back"),
        ),
        (over({"raiMediaFilteredReasons": ["A.", 1, "B."]}), ("failed", "moderation_blocked", "A. B.")),
        (failed(code=3, message="No."), ("failed", "INVALID_ARGUMENT", "No.")),
        (failed(code=99, message="No."), ("failed", "99", "No.")),
        (failed(code=True, status="ABORTED"), ("failed", "ABORTED", None)),
        ({"name": NAME, "error": {"code": 13, "message": "No."}}, ("failed", "INTERNAL", "No.")),
        (over({"generatedSamples": [{"video": {"uri": "https://a.example/x"}}, 7]}), ("completed", None, None)),
    ],
)
async def test_what_operations_say(
    at: Any, server: Server, document: dict[str, Any], wanted: tuple[str | None, ...]
) -> None:
    server.on(PATH, json_answer(document))
    video = await at(server.url).get_video(video_id=NAME, provider="gemini")
    code = video.error.code if video.error else None
    assert (video.status, code, video.model) == (*wanted[:2], "veo-3.1-generate-preview")
    if wanted[2]:
        assert video.error.message == wanted[2]


SAMPLES = ("response", "generateVideoResponse", "generatedSamples")


def inside(path: tuple[str, ...], value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return {"name": NAME, "done": True, **value}  # type: ignore[dict-item]


ODD = [
    [], "x", 7, None, {}, {"id": "x"}, {"name": NAME, "done": "true"}, {"name": NAME, "done": 1},
    {"name": 7}, {"name": "x"}, {"name": NAME, "error": "broken", "done": True}, {"name": NAME, "error": [1], "done": True},
    inside(SAMPLES[:1], [1]), inside(SAMPLES[:2], "x"), inside(SAMPLES, {"a": 1}), inside(SAMPLES, [1]), inside(SAMPLES, "x"),
    inside(SAMPLES, [{}]), inside(SAMPLES, [{"video": 1}]), inside(SAMPLES, [{"video": {}}]),
    inside(SAMPLES, [{"video": {"uri": 1}}]), inside(SAMPLES, [{"video": {"uri": ""}}]),
]  # fmt: skip


@pytest.mark.parametrize("document", ODD)
async def test_odd_operations(at: Any, server: Server, document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)
    server.on(PATH, json_answer(document))
    client = at(server.url)
    with pytest.raises(APIResponseValidationError):
        await client.get_video(video_id=NAME, provider="gemini")
    with pytest.raises(APIResponseValidationError):
        await client.download_video(NAME, provider="gemini")


@pytest.mark.parametrize(
    "document",
    [
        [], {}, {"name": None}, {"name": 7}, {"name": ""}, {"name": "abc"}, {"name": "models/veo/operations/"},
        {"name": "models/../operations/x"}, {"name": {"a": 1}}, {"done": True}, {"name": NAME, "done": "no"},
    ],
)  # fmt: skip
async def test_a_start_that_is_answered_oddly_is_not_made_again(at: Any, server: Server, document: Any) -> None:
    server.on("/models/veo-3.1-generate-preview:predictLongRunning", json_answer(document))
    with pytest.raises(APIResponseValidationError) as odd:
        await at(server.url).generate_video(prompt="A fox")
    assert odd.value.should_retry is False
    assert len(server.seen) == 1


async def test_a_start_is_never_sent_twice(client: Any, wire: GeminiWire) -> None:
    for fault, counts in (
        (Fault.status(500, after_accept=True), 1),
        (Fault.status(503), 0),
        (Fault.status(429), 0),
    ):
        before, begun = len(wire.seen), len(wire.book.entries)
        wire.fail(START, fault)
        with pytest.raises(APIStatusError) as failed:
            await client.generate_video(prompt="A fox")
        assert failed.value.should_retry is False  # also of 429: Google promises nothing
        assert (len(wire.seen) - before, len(wire.book.entries) - begun) == (1, counts)
