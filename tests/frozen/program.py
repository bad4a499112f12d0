"""What programs do with the frozen plugin, each part in a process of its own: `python program.py NAME`.

The plugin is found by its entry points; its server's address and key come from the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest
import trio

from callsheet import (
    AsyncClient,
    AuthenticationError,
    Client,
    Event,
    InternalServerError,
    MissingCredentials,
    NotFoundError,
    UnprocessableEntityError,
    UnsupportedOperation,
    VideoFailedError,
)
from callsheet.operations import OPERATIONS

MESSAGES = [{"role": "user", "content": "hello there"}]
FILM = bytes(range(256)) * 400
OLD_ID = "video_AQAEaTC09U8XwXZpZGVvX29mX29sZHixFxOor2L3RJxQJA"
"""What callsheet 0.1.0 called the video of `first_small`. Whatever ids look like by now, this one is kept in a database."""


def discovery() -> None:
    found = {info.name: info for info in Client().providers()}
    assert set(found) == {"first", "first_small"}, found
    first, small = found["first"], found["first_small"]
    assert (first.distribution, first.version, first.error) == ("callsheet-first", "0.1.0", None)
    assert set(first.operations) == {
        "create_character", "generate_video", "get_video", "list_videos", "delete_video", "download_video",
        "chat_completions",
    }  # fmt: skip
    assert small.operations == ("generate_video",)
    assert first.notes == {"edit": "vendor cannot"}
    assert first.models == {"film-1": ("generate_video",), "talk-1": ("chat_completions",)}
    assert (first.missing, first.unknown_hooks, first.embedded) == ((), (), False)


def sync_calls() -> None:
    with Client("first/film-1") as client:
        luna = client.create_character(name="Luna", video=("luna.mp4", b"a clip"))
        seen: list[str] = []
        video = client.generate_video(
            prompt="Luna sings", characters=[luna.id], seconds=2, size="640x360", extra_body={"grain": 0.5}
        )
        assert (video.status, video.seconds, video.model) == ("queued", "2", "film-1"), video
        video = client.wait(video, on_progress=lambda now: seen.append(now.status), timeout=20)
        assert video.status == "completed"
        assert "in_progress" in seen
        with client.download_video(video) as pieces:
            assert b"".join(pieces) == FILM
        with client.download_video(video, range="bytes=10-19") as pieces:
            assert b"".join(pieces) == FILM[10:20]
            assert (pieces.info.total, pieces.info.partial) == (len(FILM), True)
        assert [item.id for item in client.list_videos(limit=5).data] == [video.id]
        chat = client.chat_completions(model="first/talk-1", messages=MESSAGES)
        assert chat.text == "You said: hello there"
        with client.chat_completions(model="first/talk-1", messages=MESSAGES, stream=True) as events:
            assert _said(list(events)) == "You said: hello there"
        assert client.delete_video(video_id=video.id).deleted


async def async_calls() -> None:
    async with AsyncClient("first/film-1") as client:
        luna = await client.create_character(name="Luna", video=b"a clip")
        video = await client.generate_video(prompt="Luna sings", characters=[luna], wait=True)
        assert video.status == "completed"
        async with await client.download_video(video) as pieces:
            assert b"".join([piece async for piece in pieces]) == FILM
        chat = await client.chat_completions(model="first/talk-1", messages=MESSAGES)
        assert chat.text == "You said: hello there"
        async with await client.chat_completions(model="first/talk-1", messages=MESSAGES, stream=True) as events:
            assert _said([event async for event in events]) == "You said: hello there"


def on_asyncio() -> None:
    asyncio.run(async_calls())


def on_trio() -> None:
    trio.run(async_calls)


def _said(events: list[Event]) -> str:
    assert events[-1].raw == "[DONE]"
    return "".join(event.data["choices"][0]["delta"]["content"] for event in events[:-1])


def refusals() -> None:
    """What an old plugin does not know is refused by name, whatever has come since."""
    offer = "v=0\r\nm=audio 9 x 0\r\na=fingerprint:x\r\na=ice-ufrag:x\r\na=ice-pwd:x\r\n"
    known: dict[str, Any] = {"prompt": "a", "name": "n", "video": b"x", "sdp": offer, "messages": [], "input": "a"}
    known |= {"video_id": "v", "character_id": "c", "call_id": "r", "response_id": "r"}
    for provider in ("first", "first_small"):
        client = Client(provider=provider)
        offered = next(info for info in client.providers() if info.name == provider).operations
        refused = []
        for name, operation in OPERATIONS.items():
            fields = {k: v for k, v in known.items() if k in operation.request.model_fields and name != "responses"}
            if name in {"edit", "extend"}:
                fields["video"] = "v"
            if name in offered or not hasattr(client, name):
                continue
            if name == "download_video":
                fields["video"] = fields.pop("video_id")
            with pytest.raises(UnsupportedOperation) as caught:
                getattr(client, name)(provider=provider, **fields)
            assert isinstance(caught.value, NotImplementedError)
            assert (caught.value.provider, caught.value.operation) == (provider, name)
            refused.append(name)
        assert set(refused) == set(OPERATIONS) - set(offered), refused
    with pytest.raises(NotImplementedError, match="vendor cannot"):
        Client().edit(video="v", prompt="warmer", provider="first")


def small() -> None:
    client = Client("first_small/m")
    video = client.generate_video(prompt="hello", wait=True)
    assert (video.prompt, video.status) == ("hello", "completed")

    async def again() -> str:
        async with AsyncClient("first_small/m") as other:
            return (await other.generate_video(prompt="again")).id

    assert asyncio.run(again()) == video.id
    with pytest.raises(UnsupportedOperation) as caught:  # the id still leads there, and to no other provider
        Client().edit(video=OLD_ID, prompt="warmer")
    assert caught.value.provider == "first_small"
    with pytest.raises(NotFoundError):
        Client().edit(video=OLD_ID[:-1] + "B", prompt="warmer")


def failures() -> None:
    with Client("first/film-1") as client:
        with pytest.raises(UnprocessableEntityError) as refused:
            client.generate_video(prompt="forbidden")
        error = refused.value
        assert (error.message, error.code, error.request_id) == ("we do not film this", "moderation", "req_77")
        assert error.provider == "first"
        with pytest.raises(InternalServerError, match="it broke") as broken:
            client.generate_video(prompt="broken")
        assert broken.value.should_retry is False  # work may have begun
        assert client.generate_video(prompt="busy").meta.attempts == 2  # its 429 promises that nothing began
        with pytest.raises(VideoFailedError) as failed:
            client.generate_video(prompt="doomed", wait=True)
        assert (failed.value.code, failed.value.video.status) == ("lost", "failed")
        with pytest.raises(NotFoundError) as absent:
            client.get_video(video_id="job 99", provider="first")
        assert absent.value.code == "gone"
    with Client("first/film-1", api_key="a-wrong-key-0123") as client:
        with pytest.raises(AuthenticationError) as unknown:
            client.generate_video(prompt="a")
        assert unknown.value.code == "key"
        assert "a-wrong-key-0123" not in repr(unknown.value)
    del os.environ["FIRST_API_KEY"]
    with pytest.raises(MissingCredentials, match="FIRST_API_KEY"):
        Client("first/film-1").generate_video(prompt="a")


def settings() -> None:
    with Client("first/film-1", settings={"region": "south"}, timeout=5) as client:
        client.generate_video(prompt="south")


def wraps() -> None:
    with Client("first/film-1") as client:
        client.list_videos()
        with client.chat_completions(model="first/talk-1", messages=MESSAGES, stream=True) as events:
            assert len(list(events)) == 5
        with pytest.raises(UnsupportedOperation):  # refused before any wrap is called
            client.edit(video="v", prompt="warmer", provider="first")
    log = sys.modules["callsheet_first.log"]
    assert log.seen[:2] == [("first", "list_videos", "VideoList"), ("first", "chat_completions", "Stream")], log.seen
    assert len(log.seen) == 2 + 5, log.seen


if __name__ == "__main__":
    globals()[sys.argv[1]]()
