"""The way of a call: whose account, which model, which ids."""

import pytest
from core.tests.echo import Echo, Events, echo_registry

from callsheet import (
    IO,
    APIStatusError,
    AsyncClient,
    BadRequestError,
    CallsheetError,
    Client,
    ConfigurationError,
    CreateResponse,
    Event,
    GenerateVideo,
    GetVideo,
    NotFoundError,
    RateLimitError,
    Response,
    Stream,
    UnknownProvider,
    Video,
    hookimpl,
)
from callsheet.drive import finish
from callsheet.io import Sent
from callsheet.routing import CallRecord


@pytest.fixture
def registry():
    return echo_registry()


@pytest.fixture
def client(registry):
    with Client(registry=registry) as made:
        yield made


def test_the_embedded_provider_is_the_default(client):
    video = client.generate_video(prompt="a")
    assert (video.meta.provider, video.model, video.meta.attempts) == ("echo", None, 1)


def test_provider_slash_model(client):
    assert client.generate_video(prompt="a", model="other/m/x").model == "m/x"
    assert client.generate_video(prompt="a", model="m", provider="other").meta.provider == "other"
    assert client.generate_video(prompt="a", model="other/m", provider="other").model == "m"
    assert client.generate_video(prompt="a", model="meta/llama", provider="other").model == "meta/llama"
    with pytest.raises(UnknownProvider, match="Did you mean 'other'"):
        client.generate_video(prompt="a", model="othr/m")
    with pytest.raises(ConfigurationError, match="names no model"):
        client.generate_video(prompt="a", model="other/")


def test_the_clients_own_default(registry):
    client = Client("other/m", registry=registry)
    video = client.generate_video(prompt="a")
    assert (video.meta.provider, video.model) == ("other", "m")
    assert client.generate_video(prompt="a", model="n").model == "n"
    assert client.generate_video(prompt="a", model="echo/n").meta.provider == "echo"
    assert Client(provider="other", registry=registry).generate_video(prompt="a", model="org/m").model == "org/m"
    assert client.edit(video=video, prompt="x").model is None  # the default model is for what chooses a model


def test_ids_are_managed_and_the_same_everywhere(client):
    video = client.generate_video(prompt="a")
    seen = client.get_video(video_id=video.id)
    page = client.list_videos(after=video.id)
    assert video.id.startswith("video_")
    assert video.id == seen.id == page.data[0].id == page.data[1].id == page.first_id == page.last_id
    assert seen.remixed_from_video_id.startswith("video_")
    edited = client.edit(video=video, prompt="x")
    assert edited.prompt == "v;1"  # what reached the provider is its own id
    assert client.edit(video={"id": video.id}, prompt="x").id == edited.id


def test_what_a_provider_keeps_is_not_changed(registry):
    kept = Video(id="v", status="completed", remixed_from_video_id="w")
    raw = {"id": "r"}

    class Keeps(Echo):
        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            return kept

        @hookimpl
        async def responses(self, request: CreateResponse, io: IO) -> Response:
            return Response(raw)

    registry.register("keeps", Keeps)
    client = Client("keeps/m", registry=registry)
    ids = {client.get_video(video_id="v", provider="keeps").id for _ in range(3)}
    assert len(ids) == 1
    assert (kept.id, kept.remixed_from_video_id, kept.meta.provider) == ("v", "w", None)
    assert client.responses(input="x").id == client.responses(input="x").id
    assert raw == {"id": "r"}


def test_an_id_goes_to_its_own_account_whatever_the_default(registry):
    video = Client("other/m", registry=registry).generate_video(prompt="a")
    assert Client(registry=registry).edit(video=video, prompt="x").meta.provider == "other"
    assert Client("echo/m", registry=registry).edit(video=video, prompt="x").meta.provider == "other"


def test_a_raw_id_needs_its_provider(client):
    assert client.edit(video="video_xyz123", provider="other", prompt="x").prompt == "video_xyz123"
    with pytest.raises(NotFoundError, match="provider='...'"):
        client.edit(video="video_xyz123", prompt="x")
    video = client.generate_video(prompt="a", model="other/m")
    assert client.edit(video=video.id, provider="other", prompt="x").prompt == "v;1"


def test_a_character_draws_the_generation_to_its_account(client, registry):
    luna = client.create_character(name="Luna", video=b"x", model="other/m")
    video = client.generate_video(prompt="Luna", characters=[luna.id])
    assert video.meta.provider == "other"
    assert "['char_1']" in video.prompt
    assert client.generate_video(prompt="Luna", characters=[{"id": luna.id}], model="other/n").model == "n"
    with pytest.raises(BadRequestError, match="model 'echo/m' is at account echo .* lives at other"):
        client.generate_video(prompt="Luna", characters=[luna.id], model="echo/m")
    rex = client.create_character(name="Rex", video=b"x", model="echo/m")
    with pytest.raises(BadRequestError, match="lives at different accounts: echo .* and other"):
        client.generate_video(prompt="Luna and Rex", characters=[luna.id, rex.id])
    assert Client("other/dflt", registry=registry).generate_video(prompt="Luna", characters=[luna.id]).model == "dflt"


def test_wrong_kind_forged_and_truncated_ids(client):
    luna = client.create_character(name="Luna", video=b"x")
    video = client.generate_video(prompt="a")
    for wrong in (luna.id, video.id[:-1], video.id + "A", video.id.replace("video_", "character_"), "video_", ""):
        with pytest.raises(NotFoundError, match="not issued here"):
            client.get_video(video_id=wrong)
    with pytest.raises(NotFoundError):
        client.generate_video(prompt="x", characters=[video.id])


def test_a_request_can_be_routed_twice(client):
    """The router works on a copy: what a gateway or a second try holds keeps its managed ids."""
    luna = client.create_character(name="Luna", video=b"x")
    request = GenerateVideo(prompt="Luna", characters=[luna.id])
    for _ in range(2):
        video = finish(client.router.call("generate_video", request, client.transport))
        assert "['char_1']" in video.prompt
    assert request.characters[0].id == luna.id


def test_the_request_of_the_caller_is_not_changed(client):
    luna = client.create_character(name="Luna", video=b"x")
    references = [{"id": luna.id}]
    client.generate_video(prompt="Luna", characters=references)
    assert references == [{"id": luna.id}]


def test_a_model_name_with_a_slash_at_the_clients_own_provider(registry):
    assert Client("other/m", registry=registry).generate_video(prompt="a", model="meta-llama/x").model == "meta-llama/x"


def test_response_ids_in_documents_and_streams(client):
    first = client.responses(input="hi")
    assert first.id.startswith("resp_")
    assert (first["big"], first["phase"], list(first)[:3]) == (2**63, None, ["phase", "id", "previous_response_id"])
    second = client.responses(input="and", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    with client.responses(input="hi", stream=True) as stream:
        created, delta = list(stream)
    assert created.data["response"]["id"] == first.id
    assert delta.data == {"id": "r1"}  # not an id of a response: item ids are never touched


def test_taps_see_events_and_the_end():
    seen, ends = [], []
    source = Events(Event("a", "1"), Event("b", "2"))
    stream = Stream(source).tap(seen.append, ends.append).change(lambda e: Event(e.type + "!", e.raw))
    from callsheet import SyncStream

    with SyncStream(stream) as events:
        assert next(events).type == "a!"
    assert ([event.type for event in seen], ends, source.closed) == (["a!"], [None], True)
    assert list(SyncStream(stream)) == []


def test_unknown_keywords_are_type_errors(client):
    with pytest.raises(TypeError, match=r"no keyword 'sise'; .*extra_body"):
        client.generate_video(prompt="x", sise="1x1")
    with pytest.raises(BadRequestError, match="generate_video: seconds: whole seconds") as caught:
        client.generate_video(prompt="x", seconds="abc")
    assert (caught.value.param, caught.value.code, caught.value.status_code) == ("seconds", "invalid_value", 400)


def test_a_provider_that_waits_for_a_loop_is_told_so_in_sync_calls(registry):
    import asyncio

    class Loopy(Echo):
        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            await asyncio.sleep(0)
            return Video(id="v", status="completed")

    registry.register("loopy", Loopy)
    with pytest.raises(RuntimeError, match="all its waiting must go through io"):
        Client(registry=registry).get_video(video_id="v", provider="loopy")


def test_errors_of_hooks_say_which_provider(registry):
    class Angry(Echo):
        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            raise APIStatusError("no", status_code=507)

    registry.register("angry", Angry)
    with pytest.raises(APIStatusError) as caught:
        Client(registry=registry).get_video(video_id="v", provider="angry")
    assert caught.value.provider == "angry"


def test_a_record_tells_where_a_call_went_and_how_often(registry, monkeypatch):
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)

    class Busy(Echo):
        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            io.sent.append(Sent("GET", False, "maybe"))
            if io.meta.attempts < 3:
                raise RateLimitError("busy", status_code=429)
            return Video(id="v", status="queued")

        @hookimpl
        async def responses(self, request: CreateResponse, io: IO) -> Response:
            raise BadRequestError("no", status_code=400)

    registry.register("busy", Busy)
    client = Client(registry=registry)

    def recorded(operation, request):
        record = CallRecord()
        try:
            finish(client.router.call(operation, request, client.transport, record=record))
        except CallsheetError as error:
            return error, record
        return None, record

    error, record = recorded("get_video", GetVideo(video_id="v"))
    assert (type(error), record.account, record.attempts, record.seconds) == (NotFoundError, None, 0, 0.0)
    id = client.generate_video(prompt="a", model="busy/m").id
    error, record = recorded("get_video", GetVideo(video_id=id))
    assert (error, record.provider, record.attempts) == (None, "busy", 3)
    assert record.account == client.accounts.of_provider("busy").id
    assert 0 < record.seconds < 1
    error, record = recorded("responses", CreateResponse(model="busy/m", input="hi"))
    assert (type(error), record.model, record.attempts) == (BadRequestError, "m", 1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_does_the_same(registry, backend):
    import anyio

    async def main():
        async with AsyncClient(registry=registry) as client:
            luna = await client.create_character(name="Luna", video=b"x", model="other/m")
            video = await client.generate_video(
                prompt="Luna", characters=[luna.id], wait=True, on_progress=lambda v: None
            )
            assert video.meta.provider == "other"
            stream = await client.responses(input="hi", stream=True)
            assert [event.type async for event in stream][0] == "response.created"

    anyio.run(main, backend=backend)


def test_a_closed_client_says_so(registry):
    client = Client(registry=registry)
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.generate_video(prompt="a")


def test_errors_speak_of_the_callers_id(registry):
    class Forgetful(Echo):
        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            raise NotFoundError(f"there is no video {request.video_id!r} here")

    registry.register("forgetful", Forgetful)
    client = Client(provider="forgetful", registry=registry)
    known = client.router.ids.encode("video", client.accounts.of_provider("forgetful").tag, "upstreams-own-id")
    with pytest.raises(NotFoundError) as caught:
        client.get_video(video_id=known)
    assert str(caught.value) == caught.value.message == f"there is no video {known!r} here"
    with pytest.raises(NotFoundError, match="'upstreams-own-id'"):  # it is what the caller said
        client.get_video(video_id="upstreams-own-id", provider="forgetful")
