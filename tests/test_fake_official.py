"""The fake upstream, used by OpenAI's own Python client: every answer becomes one of its models, sync and async.

The client is lenient when it builds models; each one is therefore validated again, strictly, by its class.
"""

import asyncio
import warnings
from typing import Any

import openai
import pydantic
import pytest
from core.tests.fake_kit import MP4, OFFER
from openai import types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.realtime import ClientSecretCreateResponse
from openai.types.responses import Response, ResponseStreamEvent
from tests.wire_schema import JudgedUpstream

from callsheet.testing import FAKE_KEY, FakeUpstream, Fault

ASK: Any = {"model": "gpt-5.6-sol", "input": [{"role": "user", "content": "Hi"}]}
CHAT: Any = {"model": "gpt-5.6-sol", "messages": [{"role": "user", "content": "Hi"}]}
SESSION: Any = {"type": "realtime", "model": "gpt-realtime-2.1"}
CLIP = ("a.mp4", MP4, "video/mp4")


@pytest.fixture
def fake():
    """A fake whose every exchange fits the schemas, too."""
    made = JudgedUpstream(poll_after=0.01)
    yield made
    assert not made.problems
    assert not made.deviations
    assert made.connections == 0


class Sync:
    """The sync client behind awaits, so that one story serves both."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = openai.OpenAI(api_key=FAKE_KEY, base_url=url, max_retries=0, **options)

    async def __call__(self, call: Any) -> Any:
        return call(self.client)

    async def listed(self, stream: Any) -> list[Any]:
        return list(stream)

    async def close(self) -> None:
        self.client.close()


class Async(Sync):
    def __init__(self, url: str, **options: Any) -> None:
        self.client: Any = openai.AsyncOpenAI(api_key=FAKE_KEY, base_url=url, max_retries=0, **options)

    async def __call__(self, call: Any) -> Any:
        return await call(self.client)

    async def listed(self, stream: Any) -> list[Any]:
        return [item async for item in stream]

    async def close(self) -> None:
        await self.client.close()


@pytest.fixture(params=[Sync, Async])
def tell(request, fake):
    """Run a story with an official client of one kind."""

    def run(story):
        async def whole(url):
            client = request.param(url)
            try:
                await story(client)
            finally:
                await client.close()

        with warnings.catch_warnings(), fake.serve() as url:
            warnings.simplefilter("ignore", DeprecationWarning)  # of its video methods
            asyncio.run(whole(url))

    return run


def fits(kind, value):
    """A model as its class wants it, nothing guessed."""
    pydantic.TypeAdapter(kind).validate_python(value.to_dict(mode="json"), strict=False)
    assert not isinstance(kind, type) or isinstance(value, kind)
    return value


def test_videos(fake, tell):
    async def story(ask):
        begun = fits(types.Video, await ask(lambda c: c.videos.create(prompt="a cat", seconds="8", size="1280x720")))
        done = await ask(lambda c: c.videos.poll(begun.id))
        assert (fits(types.Video, done).status, done.seconds) == ("completed", "8")
        whole = await ask(
            lambda c: c.videos.create_and_poll(prompt="a", input_reference=("a.png", b"\x89", "image/png"))
        )
        assert whole.status == "completed"
        content = await ask(lambda c: c.videos.download_content(done.id, variant="thumbnail"))
        assert content.response.headers["content-type"] == "image/webp"
        again = fits(types.Video, await ask(lambda c: c.videos.remix(done.id, prompt="again")))
        assert again.remixed_from_video_id == done.id
        fits(types.Video, await ask(lambda c: c.videos.edit(video=CLIP, prompt="x")))
        assert (await ask(lambda c: c.videos.extend(video=CLIP, prompt="x", seconds="8"))).seconds == "12"
        page = await ask(lambda c: c.get("/videos?limit=2", cast_to=types.Video))
        assert page.to_dict()["has_more"] is True
        fits(types.VideoDeleteResponse, await ask(lambda c: c.videos.delete(done.id)))
        made = await ask(lambda c: c.videos.create_character(name="Mossy", video=CLIP))
        assert fits(types.VideoCreateCharacterResponse, made).name == "Mossy"
        found = fits(types.VideoGetCharacterResponse, await ask(lambda c: c.videos.get_character(made.id)))
        assert found.id == made.id
        with pytest.raises(openai.NotFoundError) as caught:
            await ask(lambda c: c.videos.retrieve(done.id))
        assert caught.value.code == "not_found"
        assert caught.value.request_id == f"req_{len(fake.seen) - 1:032x}"

    tell(story)
    assert len(fake.book.accepted("video")) == 2


def test_all_pages(fake, tell):
    async def story(ask):
        for number in range(5):
            await ask(lambda c, n=number: c.videos.create(prompt=f"cat {n}"))
        if isinstance(ask, Async):
            found = [video async for video in ask.client.videos.list(limit=2, order="asc")]
        else:
            found = list(ask.client.videos.list(limit=2, order="asc"))
        assert [video.prompt for video in found] == [f"cat {number}" for number in range(5)]

    tell(story)


def test_realtime(fake, tell):
    async def story(ask):
        made = await ask(lambda c: c.realtime.client_secrets.create(session=SESSION, expires_after={"seconds": 60}))
        assert fits(ClientSecretCreateResponse, made).value.startswith("ek_")
        answer = await ask(lambda c: c.realtime.calls.create(sdp=OFFER.decode(), session=SESSION))
        assert answer.content.startswith(b"v=0\r\n")
        id = answer.response.headers["location"].rpartition("/")[2]
        await ask(lambda c: c.realtime.calls.hangup(id))

    tell(story)
    [call] = fake.state.calls.values()
    assert (call.offer, call.session) == (OFFER, SESSION)


def test_responses(fake, tell):
    async def story(ask):
        told = fits(Response, await ask(lambda c: c.responses.create(**ASK, instructions="Be brief.")))
        assert told.output_text.endswith(fake.reply)
        assert fits(Response, await ask(lambda c: c.responses.retrieve(told.id))).id == told.id
        followed = await ask(lambda c: c.responses.retrieve(told.id, stream=True, starting_after=5))
        assert [event.sequence_number for event in await ask.listed(followed)][0] == 6
        items = ask.client.responses.input_items.list(told.id, order="asc")
        listed = [item async for item in items] if isinstance(ask, Async) else list(items)
        assert [item.content[0].text for item in listed] == ["Hi"]
        events = await ask.listed(await ask(lambda c: c.responses.create(**ASK, stream=True)))
        assert events[-1].response.output_text.endswith(fake.reply)
        for event in events:
            if event.type != "response.vendor_weather.updated":
                fits(ResponseStreamEvent, event)
        later = fits(Response, await ask(lambda c: c.responses.create(**ASK, background=True)))
        assert (later.status, later.usage) == ("queued", None)
        assert (await ask(lambda c: c.responses.cancel(later.id))).status == "cancelled"
        await ask(lambda c: c.responses.delete(told.id))

    tell(story)


def test_chat(fake, tell):
    async def story(ask):
        whole = fits(ChatCompletion, await ask(lambda c: c.chat.completions.create(**CHAT)))
        assert whole.choices[0].message.content == fake.reply
        wish: Any = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = await ask.listed(await ask(lambda c: c.chat.completions.create(**CHAT, **wish)))
        assert chunks[-1].usage.total_tokens == 29
        for chunk in chunks:
            fits(ChatCompletionChunk, chunk)

    tell(story)


def test_the_official_client_sends_a_job_twice(fake):
    """What the book is for: after a lost answer it blindly sends the job again, and both are on the bill."""
    fake.fail("POST /videos", Fault.status(500, after_accept=True, headers={"retry-after-ms": "1"}))
    with warnings.catch_warnings(), fake.serve() as url, openai.OpenAI(api_key=FAKE_KEY, base_url=url) as client:
        warnings.simplefilter("ignore", DeprecationWarning)
        client.videos.create(prompt="a cat")
    assert len(fake.book.accepted("video")) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(401), openai.AuthenticationError),
        (Fault.status(429, retry_after=0.001), openai.RateLimitError),
        (Fault.status(503), openai.InternalServerError),
        (Fault.bad_json(), ValueError),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_the_official_client_knows_the_errors(fault, error):
    fake = FakeUpstream()
    fake.fail(None, fault)
    options: Any = {"max_retries": 0, "_strict_response_validation": True}
    with fake.serve() as url, openai.OpenAI(api_key=FAKE_KEY, base_url=url, **options) as client:
        with pytest.raises(error):
            client.responses.create(**ASK)
    assert len(fault.happened) == 1
