"""The official `openai` package against the gateway: every operation, sync and async, checked by the package's own models.

The gateway asks for keys, and the client has a virtual one.
`_strict_response_validation` makes the package refuse answers that its models do not allow; it reads them leniently else.
It knows four sizes of videos only: for small ones, which are quick, `checked` does the same.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, contextmanager

import httpx2
import openai
import pytest
from attrs import evolve
from core.tests.offers import OFFER
from gateway.tests.films import MODEL
from gateway.tests.serving import CLIP
from openai.types import Video
from plugins.local.tests.peer import Peer

from callsheet.operations import OPERATIONS

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")

SMALL = {"model": MODEL, "size": "320x180", "seconds": "1"}
TALK = "local/scribe-1"
REALTIME = {"type": "realtime", "model": "local/realtime-1"}


class Seen:
    """Which operations a client's requests have reached, by their routes."""

    def __init__(self):
        self.operations = set()

    def __call__(self, request):
        path = request.url.path.removeprefix("/v1")
        for operation in sorted(OPERATIONS.values(), key=lambda operation: "{" in operation.route):
            pattern = re.sub(r"\{\w+\}", "[^/]+", operation.route)
            if request.method == operation.method and re.fullmatch(pattern, path):
                self.operations.add(operation.name)
                return

    async def later(self, request):
        self(request)


class AnySize(Video):
    size: str  # type: ignore[assignment]  # the package allows four


def checked(video):
    return AnySize.model_validate(video.to_dict(), strict=True)


@contextmanager
def sync_client(gateway, seen, strict):
    http = httpx2.Client(trust_env=False, event_hooks={"request": [seen]})
    with openai.OpenAI(
        base_url=gateway.base_url,
        api_key=gateway.key or "sk-anything",
        http_client=http,
        max_retries=0,
        _strict_response_validation=strict,
    ) as client:
        yield client


@asynccontextmanager
async def async_client(gateway, seen, strict):
    http = httpx2.AsyncClient(trust_env=False, event_hooks={"request": [seen.later]})
    async with openai.AsyncOpenAI(
        base_url=gateway.base_url,
        api_key=gateway.key or "sk-anything",
        http_client=http,
        max_retries=0,
        _strict_response_validation=strict,
    ) as client:
        yield client


def test_every_operation(gateway_with_keys):
    seen = Seen()
    with (
        sync_client(gateway_with_keys, seen, strict=True) as strict,
        sync_client(gateway_with_keys, seen, strict=False) as lenient,
    ):
        videos_of(strict, lenient)
        talk_with(strict)
    assert seen.operations == set(OPERATIONS)


def videos_of(strict, lenient):
    with CLIP.open("rb") as clip:
        character = strict.videos.create_character(name="Luna", video=clip)
    assert strict.videos.get_character(character.id).to_dict() == character.to_dict()
    video = strict.videos.create_and_poll(model=MODEL, prompt="a meadow", size="1280x720", seconds="4")
    assert (video.status, video.seconds, video.error) == ("completed", "4", None)
    assert strict.videos.retrieve(video.id) == video
    assert strict.videos.download_content(video.id).read()[4:8] == b"ftyp"
    assert strict.videos.delete(video.id).deleted

    videos = lenient.videos
    characters = {"characters": [{"id": character.id}]}
    small = videos.create(prompt="Luna by the sea", extra_body=characters, **SMALL)
    assert checked(small).status == "queued"
    small = videos.poll(small.id, poll_interval_ms=100)
    content = videos.download_content(small.id).read()
    remix = videos.remix(small.id, prompt="a stormy sea")
    edit = videos.edit(video=("film.mp4", content, "video/mp4"), prompt="golden hour")
    longer = videos.extend(video=("film.mp4", content, "video/mp4"), prompt="It rains.", seconds="4")
    # The id form: `videos.edit(video={"id": ...})` fails inside the package, before anything is sent.
    by_id = {"video": {"id": small.id}, "prompt": "black and white"}
    edit_by_id = lenient.post("/videos/edits", body=by_id, cast_to=Video)
    longer_by_id = lenient.post("/videos/extensions", body={**by_id, "seconds": "4"}, cast_to=Video)
    made = [remix, edit, longer, edit_by_id, longer_by_id]
    assert [checked(one).remixed_from_video_id for one in made] == [small.id, None, None, small.id, small.id]
    assert [one.seconds for one in made] == ["1", "1", "5", "1", "5"]
    for one in made:
        assert checked(videos.poll(one.id, poll_interval_ms=100)).status == "completed"
    listed = [checked(one).id for one in videos.list(limit=2)]  # page after page
    assert len(listed) == len(set(listed))
    assert {small.id, *(one.id for one in made)} <= set(listed)


def talk_with(client):
    secret = client.realtime.client_secrets.create(
        session=REALTIME, expires_after={"anchor": "created_at", "seconds": 60}
    )
    assert secret.value.startswith("ek_")
    with Peer(audio=None) as peer:
        answer = client.realtime.calls.create(sdp=peer.offer().decode(), session=REALTIME)
        peer.accept(answer.content)
        assert peer.wait("session.created")["session"]["type"] == "realtime"
        client.realtime.calls.hangup(answer.response.headers["location"].rpartition("/")[2])
        assert peer.closed.wait(10)

    first = client.responses.create(model=TALK, input="What is 6 times 7?")
    assert "42" in first.output_text
    assert client.responses.retrieve(first.id) == first
    assert [item.role for item in client.responses.input_items.list(first.id)] == ["user"]
    slow = client.responses.create(model=TALK, input="Count to 5000", background=True)
    assert client.responses.cancel(slow.id).status == "cancelled"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    asked = [{"role": "user", "content": "What is 6 times 7?"}]
    chat = client.chat.completions.create(model=TALK, messages=asked)
    assert "42" in chat.choices[0].message.content
    assert TALK in [model.id for model in client.models.list()]
    assert client.models.retrieve(TALK).id == TALK


def test_every_operation_async(gateway_with_keys):
    async def everything():
        seen = Seen()
        async with (
            async_client(gateway_with_keys, seen, True) as strict,
            async_client(gateway_with_keys, seen, False) as lenient,
        ):
            await videos_of_async(strict, lenient)
            await talk_with_async(strict)
        assert seen.operations == set(OPERATIONS)

    asyncio.run(everything())


async def videos_of_async(strict, lenient):
    character = await strict.videos.create_character(name="Luna", video=CLIP)
    assert (await strict.videos.get_character(character.id)).to_dict() == character.to_dict()
    videos = lenient.videos
    video = await videos.create_and_poll(prompt="a quiet lake", poll_interval_ms=100, **SMALL)
    assert checked(video).status == "completed", video.error
    assert await videos.retrieve(video.id) == video
    content = (await videos.download_content(video.id)).read()
    assert content[4:8] == b"ftyp"
    remix = await videos.remix(video.id, prompt="a stormy sea")
    edit = await videos.edit(video=content, prompt="golden hour")
    longer = await videos.extend(video=content, prompt="It rains.", seconds="4")
    by_id = {"video": {"id": video.id}, "prompt": "black and white"}
    edit_by_id = await lenient.post("/videos/edits", body=by_id, cast_to=Video)
    for made in (remix, edit, longer, edit_by_id):
        assert checked(await videos.poll(made.id, poll_interval_ms=100)).status == "completed"
    listed = [one.id async for one in videos.list(limit=2)]
    assert {video.id, remix.id, edit.id, longer.id, edit_by_id.id} <= set(listed)
    assert (await videos.delete(video.id)).deleted


async def talk_with_async(client):
    secret = await client.realtime.client_secrets.create(session=REALTIME)
    assert secret.value.startswith("ek_")
    with Peer(audio=None) as peer:
        offer = await asyncio.to_thread(peer.offer)
        answer = await client.realtime.calls.create(sdp=offer.decode(), session=REALTIME)
        await asyncio.to_thread(peer.accept, answer.content)
        await client.realtime.calls.hangup(answer.response.headers["location"].rpartition("/")[2])
        assert await asyncio.to_thread(peer.closed.wait, 10)

    first = await client.responses.create(model=TALK, input="What is 6 times 7?")
    assert "42" in first.output_text
    assert await client.responses.retrieve(first.id) == first
    assert [item.role async for item in client.responses.input_items.list(first.id)] == ["user"]
    slow = await client.responses.create(model=TALK, input="Count to 5000", background=True)
    assert (await client.responses.cancel(slow.id)).status == "cancelled"
    await client.responses.delete(first.id)
    asked = [{"role": "user", "content": "What is 6 times 7?"}]
    chat = await client.chat.completions.create(model=TALK, messages=asked)
    assert "42" in chat.choices[0].message.content
    assert TALK in [model.id async for model in client.models.list()]


def test_without_keys_any_will_do(gateway):
    with sync_client(gateway, Seen(), strict=True) as client:
        talk_with(client)


def calls_of(client, model, session):
    """What names a model, whose answers are awaited or not."""
    asked = [{"role": "user", "content": "Hello"}]
    yield lambda: client.videos.create(model=model, prompt="A fox")
    yield lambda: client.responses.create(model=model, input="Hello")
    yield lambda: client.responses.create(model=model, input="Hello", stream=True)
    yield lambda: client.chat.completions.create(model=model, messages=asked)
    yield lambda: client.realtime.client_secrets.create(session={**session, "model": model})
    yield lambda: client.realtime.calls.create(sdp=OFFER.decode(), session={**session, "model": model})


@pytest.mark.parametrize(
    ("key", "kind", "status", "code"),
    [
        ("sk-cs-wrong", openai.AuthenticationError, 401, "invalid_api_key"),
        ("for other models", openai.PermissionDeniedError, 403, "model_not_allowed"),
    ],
)
def test_a_key_that_is_not_good(gateway_with_keys, key, kind, status, code):
    if status == 403:
        key = gateway_with_keys.new_key(name="other", models=[MODEL])
    shown = evolve(gateway_with_keys, key=key)

    def check(caught):
        assert type(caught.value) is kind
        assert (caught.value.status_code, caught.value.code) == (status, code)

    async def later():
        async with async_client(shown, Seen(), True) as client:
            for call in calls_of(client, TALK, {"type": "realtime"}):
                with pytest.raises(openai.APIStatusError) as caught:
                    await call()
                check(caught)

    with sync_client(shown, Seen(), True) as client:
        for call in calls_of(client, TALK, {"type": "realtime"}):
            with pytest.raises(openai.APIStatusError) as caught:
                call()
            check(caught)
        if status == 401:
            for call in (client.models.list, client.videos.list, lambda: client.videos.retrieve("video_1")):
                with pytest.raises(openai.AuthenticationError):
                    call()
    asyncio.run(later())
