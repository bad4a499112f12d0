"""The whole of it for once: the adapters over HTTP against a real `callsheet serve`, which has real films and real calls."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from core.tests.conftest import Mode
from gateway.tests.serving import CLIP, Gateway, serving
from plugins.local.tests.peer import Peer

from callsheet import BadRequestError, NotFoundError

MOVIE, TALK, CALL = "local/motion-1", "local/scribe-1", "local/realtime-1"
"""What they are called there: to a client, with the name of its provider in front."""
SMALL = "320x180"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("live") / "data") as running:
        yield running


@pytest.fixture
def at() -> str:
    """The provider whose adapter is tried. Azure's tests take this file's, and say another one."""
    return "openai"


@pytest.fixture
def live(mode: Mode, at: str, gateway: Gateway) -> Any:
    """A client as a program has it: with the providers that are installed."""
    return mode.client(None, at, registry=None, api_key="sk-live-0123", base_url=gateway.base_url, timeout=60)


async def bytes_of(live: Any, video: Any, **options: Any) -> bytes:
    return b"".join([chunk async for chunk in await live.download_video(video, **options)])


def seconds_of(content: bytes) -> float:
    """How long a film is that is one, read to its end."""
    opened: Any = av.open(io.BytesIO(content), format="mp4")
    with opened as container:
        frames = len(list(container.decode(video=0)))
        return float(frames / container.streams.video[0].average_rate)


@pytest.mark.parametrize("mode", ["blocking", "asyncio"], indirect=True)
async def test_a_series_with_a_character(live: Any, at: str, tmp_path: Path) -> None:
    bunny = await live.create_character(name="Bunny", video=CLIP, provider=at)
    assert (await live.get_character(character_id=bunny)).name == "Bunny"
    seen: list[str] = []
    scene = await live.generate_video(
        prompt="Bunny strolls at dusk", characters=[bunny], seconds=4, size=SMALL, model=f"{at}/{MOVIE}"
    )
    assert scene.meta.provider == at
    scene = await live.wait(scene, on_progress=lambda video: seen.append(video.status), poll=0.05)
    assert (scene.status, scene.seconds, scene.size, scene.progress) == ("completed", "4", "320x180", 100)
    assert seen[-1] == "completed"
    assert (await live.get_video(video_id=scene.id)).wire() == scene.wire()

    whole = await bytes_of(live, scene)
    assert seconds_of(whole) == pytest.approx(4, abs=0.1)
    longer = await live.extend(video=scene, prompt="Bunny leaps over the moon", seconds=2)
    graded = await live.edit(video=scene.id, prompt="cool blues and purples")
    again = await live.remix(video_id=scene, prompt="Bunny in the rain")
    longer, graded, again = [await live.wait(video, poll=0.05) for video in (longer, graded, again)]
    assert (longer.seconds, graded.seconds, again.seconds) == ("6", "4", "4")
    assert again.remixed_from_video_id == scene.id
    path = await live.download_video(longer, to=tmp_path / "longer.mp4")
    assert seconds_of(path.read_bytes()) == pytest.approx(6, abs=0.1)
    assert seconds_of(await bytes_of(live, graded)) == pytest.approx(4, abs=0.1)

    assert (await bytes_of(live, scene, variant="thumbnail"))[8:12] == b"WEBP"
    assert (await bytes_of(live, scene, variant="spritesheet"))[:3] == b"\xff\xd8\xff"
    assert await bytes_of(live, scene, range="bytes=4-11") == whole[4:12]
    assert await bytes_of(live, scene, range="bytes=-100") == whole[-100:]

    first = await live.list_videos(limit=2)
    rest = await live.list_videos(limit=2, after=first.last_id)
    assert [video.id for video in first.data + rest.data] == [again.id, graded.id, longer.id, scene.id]
    assert first.has_more
    assert first.data[0].wire() == again.wire()
    for video in (scene, longer, graded, again):
        receipt = await live.delete_video(video_id=video)
        assert (receipt.id, receipt.deleted) == (video.id, True)
    with pytest.raises(NotFoundError):
        await live.get_video(video_id=scene)
    assert (await live.list_videos(order="asc")).data == []


async def test_a_download_that_broke_off_is_gone_on_with(live: Any, at: str, tmp_path: Path) -> None:
    video = await live.generate_video(prompt="a quiet lake", seconds=1, size=SMALL, model=f"{at}/{MOVIE}")
    video = await live.wait(video, poll=0.05)
    whole = await bytes_of(live, video)

    class BrokeOffError(Exception):
        pass

    def break_off(done: int, total: int | None) -> None:
        assert total == len(whole)
        raise BrokeOffError

    with pytest.raises(BrokeOffError):
        await live.download_video(video, to=tmp_path / "film.mp4", on_bytes=break_off)
    (part,) = [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    with part.open("r+b") as file:
        file.truncate(1000)
    told: list[int] = []
    path = await live.download_video(
        video, to=tmp_path / "film.mp4", on_bytes=lambda done, total: told.append(total - done)
    )
    assert path.read_bytes() == whole
    assert told[-1] == 0
    assert list(tmp_path.iterdir()) == [path]
    await live.delete_video(video_id=video)


async def test_a_call_with_an_ephemeral_key(live: Any, at: str) -> None:
    secret = await live.mint_realtime_secret(
        model=f"{at}/{CALL}", session={"audio": {"output": {"voice": "sage"}}}, expires_after=60
    )
    assert secret.value.startswith("ek_")
    assert secret.session["audio"]["output"]["voice"] == "sage"
    with Peer() as peer:
        call = await live.relay_sdp(sdp=peer.offer(), ephemeral_key=secret.value)
        peer.accept(call.sdp)
        created = peer.wait("session.created")
        assert (created["session"]["model"], created["session"]["audio"]["output"]["voice"]) == ("realtime-1", "sage")
        await live.hang_up(call_id=call)
        assert peer.closed.wait(10)


async def test_a_call_with_the_accounts_own_key(live: Any, at: str) -> None:
    with Peer() as peer:
        call = await live.relay_sdp(sdp=peer.offer(), model=f"{at}/{CALL}", session={"instructions": "be brief"})
        assert call.sdp.startswith(b"v=0\r\n")
        assert call.meta.provider == at
        peer.accept(call.sdp)
        assert peer.wait("session.created")["session"]["instructions"] == "be brief"
        await live.hang_up(call_id=call.id)
        assert peer.closed.wait(10)
    with pytest.raises(NotFoundError):
        await live.hang_up(call_id=call)


async def test_responses(live: Any, at: str) -> None:
    first = await live.responses(model=f"{at}/{TALK}", input="My favourite colour is teal. What is 6 times 7?")
    assert "42" in first.output_text
    assert [item["phase"] for item in first.output] == ["commentary", "final_answer"]
    second = await live.responses(
        model=f"{at}/{TALK}", input="What is my favourite colour?", previous_response_id=first.id
    )
    assert "teal" in second.output_text
    assert second.previous_response_id == first.id
    assert (await live.get_response(response_id=first.id)).wire() == first.wire()
    page = await live.list_input_items(response_id=second.id, limit=1, order="desc")
    assert (len(page.data), page.data[0]["role"]) == (1, "user")
    assert page.data[0]["content"][0]["text"] == "What is my favourite colour?"
    assert (await live.delete_response(response_id=first.id))["deleted"] is True
    with pytest.raises(NotFoundError) as caught:
        await live.get_response(response_id=first.id)
    assert first.id in str(caught.value)  # the id that the caller knows, not the upstream's


async def test_a_response_is_streamed_and_streamed_again(live: Any, at: str) -> None:
    stream = await live.responses(model=f"{at}/{TALK}", input="What is 17 times 23?", stream=True)
    events = [event async for event in stream]
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))
    assert [event.type for event in events][:2] == ["response.created", "response.in_progress"]
    last = events[-1].data["response"]
    assert (events[-1].type, events[0].data["response"]["id"]) == ("response.completed", last["id"])
    told = "".join(event.data["delta"] for event in events if event.type == "response.output_text.delta")
    assert "391" in told
    kept = await live.get_response(response_id=last["id"])
    assert kept.output_text == told
    again = await live.get_response(response_id=last["id"], stream=True, starting_after=3)
    assert [event.raw for event in [event async for event in again]] == [event.raw for event in events[4:]]


async def test_a_response_in_the_background_is_cancelled(live: Any, at: str) -> None:
    begun = await live.responses(model=f"{at}/{TALK}", input="Count to 100", background=True)
    assert begun.status in {"queued", "in_progress"}
    cancelled = await live.cancel_response(response_id=begun.id)
    assert (cancelled.id, cancelled.status) == (begun.id, "cancelled")


async def test_a_tool_is_called_and_its_items_go_back_as_they_came(live: Any, at: str) -> None:
    items: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
    first = await live.responses(model=f"{at}/{TALK}", input=items, tools=[TOOL], store=False)
    (call,) = [item for item in first.output if item["type"] == "function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Lisbon"})
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny, 21 degrees"}
    second = await live.responses(model=f"{at}/{TALK}", input=[*items, *first.output, result], tools=[TOOL])
    assert "sunny, 21 degrees" in second.output_text
    kept = await live.list_input_items(response_id=second.id, order="asc")
    assert [{**item, "id": ""} for item in kept.data[1:-1]] == [{**item, "id": ""} for item in first.output]


async def test_chat(live: Any, at: str) -> None:
    messages = [{"role": "user", "content": "What is 6 times 7?"}]
    whole = await live.chat_completions(model=f"{at}/{TALK}", messages=messages)
    assert "42" in whole.text
    assert whole.model == "local/scribe-1"
    stream = await live.chat_completions(
        model=f"{at}/{TALK}", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = [event.data async for event in stream]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1]) == whole.text
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole.usage)


async def test_errors(live: Any, at: str) -> None:
    for ask in (
        lambda: live.get_video(video_id="video_123", provider=at),
        lambda: live.get_response(response_id="resp_123", provider=at),
        lambda: live.download_video("video_123", provider=at),
        lambda: live.hang_up(call_id="rtc_123", provider=at),
    ):
        with pytest.raises(NotFoundError, match="_123") as missing:
            await ask()
        assert (missing.value.code, missing.value.status_code) == ("not_found", 404)
        assert (missing.value.request_id or "").startswith("req_")
    with pytest.raises(BadRequestError, match="10x10") as bad:
        await live.generate_video(prompt="x", model=f"{at}/{MOVIE}", size="10x10")
    assert (bad.value.param, bad.value.code, bad.value.provider) == ("size", "invalid_size", at)
    with pytest.raises(BadRequestError) as bad:
        await live.responses(model=f"{at}/{TALK}", input=[{"role": "nobody", "content": "x"}], stream=True)
    assert bad.value.param == "input[0].role"
    with pytest.raises(NotFoundError) as unknown:
        await live.chat_completions(model=f"{at}/gpt-9", messages=[{"role": "user", "content": "x"}])
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")


def test_from_the_command_line(gateway: Gateway, tmp_path: Path) -> None:
    def callsheet(*words: str, **env: str) -> Any:
        command = [str(Path(sys.executable).parent / "callsheet"), *words, "--json"]
        known = {**os.environ, "OPENAI_API_KEY": "sk-live-0123", **env}
        done = subprocess.run(command, env=known, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert "sk-live" not in done.stdout + done.stderr
        return json.loads(done.stdout)

    words = ["video", "generate", "a quiet lake", "--model", f"openai/{MOVIE}", "--seconds", "1", "--size", "320x180"]
    made = callsheet(*words, "--to", "lake.mp4", "--provider", "openai", "--base-url", gateway.base_url)
    assert (made["status"], made["file"]) == ("completed", "lake.mp4")
    assert seconds_of((tmp_path / "lake.mp4").read_bytes()) == pytest.approx(1, abs=0.1)
    assert callsheet("video", "delete", made["id"], OPENAI_BASE_URL=gateway.base_url)["deleted"] is True
