"""Waiting for jobs: progress, the provider's pace, and the two ways in which it does not end well."""

import pytest

from callsheet import (
    IO,
    APIConnectionError,
    APIResponseValidationError,
    Client,
    GenerateVideo,
    GetVideo,
    Provider,
    Registry,
    Video,
    VideoFailedError,
    WaitTimeoutError,
    hookimpl,
)


class Echo(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="v", status="queued")


@pytest.fixture
def registry():
    return Registry(points=[], wraps=())


def test_waiting(registry):
    class Slow(Echo):
        looks = 0

        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            type(self).looks += 1
            status = {1: "queued", 2: "in_progress"}.get(self.looks, "completed") if self.looks > 0 else "queued"
            return Video(id=request.video_id, status=status, progress=self.looks * 30)

    registry.register("slow", Slow)
    client = Client("slow/m", registry=registry)
    seen = []
    video = client.wait(client.generate_video(prompt="a"), on_progress=lambda v: seen.append(v.status), poll=0.001)
    assert (video.status, seen) == ("completed", ["queued", "queued", "in_progress", "completed"])
    Slow.looks = -1000
    with pytest.raises(WaitTimeoutError, match="is still queued.*wait for the same id again") as caught:
        client.wait(client.generate_video(prompt="a"), timeout=0.02, poll=0.005)
    assert caught.value.video.status == "queued"


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_job_that_will_never_complete_raises(registry, status):
    class Failing(Echo):
        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            error = {"code": "moderation_blocked", "message": "blocked"}
            return Video.model_validate({"id": "v", "status": status, "error": error if status == "failed" else None})

    registry.register("failing", Failing)
    with pytest.raises(VideoFailedError, match="moderation_blocked" if status == "failed" else status) as caught:
        Client("failing/m", registry=registry).generate_video(prompt="a", wait=True)
    assert (caught.value.video.status, caught.value.provider) == (status, "failing")


def test_the_provider_sets_the_pace(registry):
    import time

    class Paced(Echo):
        looks: list[float] = []

        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            return self.paced("queued")

        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            self.looks.append(time.monotonic())
            return self.paced("completed" if len(self.looks) == 3 else "in_progress")

        @staticmethod
        def paced(status: str) -> Video:
            video = Video(id="v", status=status)
            video.meta.poll_after = 0.05
            return video

    registry.register("paced", Paced)
    Client("paced/m", registry=registry).generate_video(prompt="a", wait=True)
    pauses = [later - earlier for earlier, later in zip(Paced.looks, Paced.looks[1:], strict=False)]
    assert all(0.045 <= pause < 1 for pause in pauses)


def test_an_unknown_status_neither_fails_nor_loops(registry):
    class Odd(Echo):
        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            return Video(id="v", status="processing")

    registry.register("odd", Odd)
    with pytest.raises(APIResponseValidationError, match="the status 'processing'.*look at it yourself") as caught:
        Client("odd/m", registry=registry).generate_video(prompt="a", wait=True)
    assert caught.value.video.status == "processing"


def test_trouble_on_the_way_is_outwaited_and_else_names_the_job(registry, monkeypatch):
    class Shaky(Echo):
        looks = 0

        @hookimpl
        async def get_video(self, request: GetVideo, io: IO) -> Video:
            type(self).looks += 1
            if self.looks < 3:
                raise APIConnectionError("the network is down")
            return Video(id="v", status="completed")

    registry.register("shaky", Shaky)
    client = Client("shaky/m", registry=registry)
    video = client.generate_video(prompt="a")
    assert client.wait(video, poll=0.001).status == "completed"
    Shaky.looks = 0
    monkeypatch.setattr("callsheet.waiting.PATIENCE", 0.0)
    with pytest.raises(APIConnectionError) as caught:
        client.wait(video, poll=0.001)
    assert caught.value.video.id == video.id
    assert video.id in "".join(caught.value.__notes__)


def test_the_timeout_of_a_call_that_waits_is_for_all_of_it(registry):
    registry.register("endless", type("Endless", (Echo,), {"get_video": _queued}))
    with pytest.raises(WaitTimeoutError):
        Client("endless/m", registry=registry).generate_video(prompt="a", wait=True, timeout=0.01)


@hookimpl
async def _queued(self, request: GetVideo, io: IO) -> Video:
    return Video(id="v", status="queued")
