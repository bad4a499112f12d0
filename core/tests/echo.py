"""Providers that say back what reached them: no network, no state."""

from callsheet import (
    IO,
    Character,
    CreateCharacter,
    CreateResponse,
    Edit,
    Event,
    GenerateVideo,
    GetVideo,
    ListVideos,
    Provider,
    ProviderSettings,
    Registry,
    Response,
    Stream,
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


def echo_registry():
    found = Registry(points=[], wraps=())
    for name, kind in {"echo": Echo, "other": Other, "needs": NeedsKey}.items():
        found.register(name, kind)
    return found
