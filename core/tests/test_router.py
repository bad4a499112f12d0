"""The way of a call: whose account, which model, which ids."""

import pytest

from callsheet import (
    IO,
    APIStatusError,
    AsyncClient,
    BadRequestError,
    Character,
    Client,
    ConfigurationError,
    CreateCharacter,
    CreateResponse,
    Edit,
    Event,
    GenerateVideo,
    GetVideo,
    ListVideos,
    MissingCredentials,
    NotFoundError,
    Provider,
    ProviderSettings,
    Registry,
    Response,
    Stream,
    UnknownProvider,
    Video,
    VideoList,
    hookimpl,
)


class Events:
    def __init__(self, *events):
        self.events, self.closed = list(events), False

    async def __anext__(self):
        if not self.events:
            raise StopAsyncIteration
        return self.events.pop(0)

    async def aclose(self):
        self.closed = True


class Echo(Provider):
    """Says back what reached it."""

    embedded = True

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        return Character(id="char_1", name=request.name)

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        ids = [ref.id for ref in request.characters or []]
        return Video(id="v;1", status="queued", model=request.model, prompt=f"{request.prompt}|{ids}|{io.account.id}")

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return Video(id=request.video_id, status="completed", remixed_from_video_id="older", error=None)

    @hookimpl
    async def list_videos(self, request: ListVideos, io: IO) -> VideoList:
        videos = [Video(id="v;1", status="completed"), Video(id=request.after or "v;2", status="completed")]
        return VideoList(data=videos, first_id="v;1", last_id=videos[-1].id)

    @hookimpl
    async def edit(self, request: Edit, io: IO) -> Video:
        return Video(id="edited", status="queued", prompt=request.video.id, model=request.model)  # type: ignore[union-attr]

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        raw = {
            "phase": None,
            "id": "r1",
            "previous_response_id": request.previous_response_id,
            "big": 2**63,
            "object": "response",
        }
        if request.stream:
            return Stream(
                Events(
                    Event.of("response.created", {"response": raw}), Event("response.output_text.delta", '{"id":"r1"}')
                )
            )
        return Response(raw)


class Other(Echo):
    embedded = False


class NeedsKey(Provider):
    class Settings(ProviderSettings):
        env = {"api_key": "NEEDS_KEY"}
        base_url: str | None = "http://127.0.0.1:9"

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return Video.model_validate((await io.get(f"/videos/{request.video_id}")).json())


@pytest.fixture
def registry():
    found = Registry(points=[], wraps=())
    for name, kind in {"echo": Echo, "other": Other, "needs": NeedsKey}.items():
        found.register(name, kind)
    return found


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


def test_the_request_of_the_caller_is_not_changed(client):
    luna = client.create_character(name="Luna", video=b"x")
    references = [{"id": luna.id}]
    client.generate_video(prompt="Luna", characters=references)
    assert references == [{"id": luna.id}]


def test_accounts_from_config(registry):
    config = {
        "accounts": [
            {"provider": "other", "id": "east", "base_url": "http://east.example"},
            {"provider": "other", "id": "west", "base_url": "http://west.example"},
        ]
    }
    client = Client(config=config, registry=registry)
    assert client.generate_video(prompt="a", provider="west").prompt.endswith("|west")
    assert client.generate_video(prompt="a", model="east/m").prompt.endswith("|east")
    video = client.generate_video(prompt="a", model="west/m")
    assert client.edit(video=video, prompt="x").meta.account == "west"
    with pytest.raises(ConfigurationError, match="several accounts .* provider='east', provider='west'"):
        client.generate_video(prompt="a", model="other/m")
    with pytest.raises(ConfigurationError, match="say which account"):
        client.generate_video(prompt="a")
    assert (
        Client(config={"accounts": config["accounts"][:1]}, registry=registry).generate_video(prompt="a").meta.account
        == "east"
    )
    with pytest.raises(ConfigurationError, match="give each an id of its own"):
        Client(config={"accounts": [config["accounts"][0]] * 2}, registry=registry)
    for wrong in ({"acounts": []}, {"accounts": {}}, {"accounts": [{"id": "x"}]}):
        with pytest.raises(ConfigurationError, match=r"provider"):
            Client(config=wrong, registry=registry)
    with pytest.raises(NotFoundError, match="an account that this client does not have"):
        Client(registry=registry).edit(video=video, prompt="x")


def test_account_ids_do_not_depend_on_the_secret(registry):
    ids = {
        Client("other/m", api_key=key, registry=registry).generate_video(prompt="a").meta.account
        for key in ("a", "b", None)
    }
    assert len(ids) == 1
    elsewhere = (
        Client("other/m", base_url="http://x.example", registry=registry).generate_video(prompt="a").meta.account
    )
    assert elsewhere not in ids


def test_settings_that_nobody_knows(registry):
    with pytest.raises(
        ConfigurationError, match="settings for provider 'other': colour: Extra inputs .* Known settings: api_key"
    ):
        Client("other/m", settings={"colour": 1}, registry=registry)
    with pytest.raises(ConfigurationError, match="say for which provider"):
        Client(api_key="k", registry=registry)


def test_a_missing_key_is_named_when_a_call_is_made(client, monkeypatch):
    with pytest.raises(MissingCredentials, match="set the environment variable NEEDS_KEY") as caught:
        client.get_video(video_id="x", provider="needs")
    assert (caught.value.provider, caught.value.status_code) == ("needs", 401)


def test_no_embedded_provider_and_two():
    found = Registry(points=[], wraps=())
    with pytest.raises(ConfigurationError, match="pip install callsheet-NAME"):
        Client(registry=found).generate_video(prompt="a")
    found.register("one", Echo)
    found.register("two", Echo)
    with pytest.raises(ConfigurationError, match="say which provider.*one, two"):
        Client(registry=found).generate_video(prompt="a")


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
