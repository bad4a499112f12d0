"""A provider with a wire of its own, written in the manner of "Write a provider" against callsheet 0.1.0."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from callsheet import (
    IO,
    ApiKey,
    AuthScheme,
    Body,
    CallsheetError,
    Character,
    ChatCompletion,
    CreateCharacter,
    CreateChatCompletion,
    DeletedVideo,
    DeleteVideo,
    Download,
    DownloadVideo,
    GenerateVideo,
    GetVideo,
    ListVideos,
    Provider,
    ProviderSettings,
    Reply,
    Request,
    SSEEvents,
    Stream,
    Video,
    VideoError,
    VideoList,
    envelope_error,
    hookimpl,
    path_segment,
    status_error,
)

__all__ = ["First", "FirstSettings"]

STATES = {"waiting": "queued", "running": "in_progress", "done": "completed"}


class FirstSettings(ProviderSettings):
    """What an account is configured with: a key, and the region in which the work is done."""

    env: ClassVar[Mapping[str, str]] = {
        "api_key": "FIRST_API_KEY",
        "base_url": "FIRST_BASE_URL",
        "region": "FIRST_REGION",
    }
    required: ClassVar[tuple[str, ...]] = ("api_key",)
    base_url: str | None = "https://api.first.example/v1"
    region: str = "north"


class First(Provider):
    """Jobs that are waiting, running and done; a cast of characters; talk."""

    Settings: ClassVar[type[ProviderSettings]] = FirstSettings
    notes: ClassVar[Mapping[str, str]] = {"edit": "vendor cannot"}
    models: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "film-1": ("generate_video",),
        "talk-1": ("chat_completions",),
    }
    auth: ClassVar[AuthScheme] = ApiKey("x-first-key")
    rejects_before_accepting: ClassVar[frozenset[int]] = frozenset({429})

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.region = settings.region if isinstance(settings, FirstSettings) else "north"

    def error(self, reply: Reply) -> CallsheetError:
        try:
            problem = reply.document()["problem"]
        except (CallsheetError, KeyError):
            return envelope_error(reply)
        return status_error(
            reply.status, problem["says"], code=problem["kind"], body=problem, request_id=reply.request_id
        )

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        reply = await io.post_form("/cast", [("called", request.name), ("clip", request.video)])
        member = reply.document()
        while member["state"] == "cutting":
            await io.sleep(0.01)
            member = (await io.get(f"/cast/{path_segment(member['who'])}")).document()
        return Character(id=member["who"], name=request.name, created_at=int(io.now()))

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        document = {
            "text": request.prompt,
            "length": int(request.seconds or 4),
            "size": request.size or "1280x720",
            "film": request.model,
            "cast": [character.id for character in request.characters or []],
            "region": self.region,
            **(request.model_extra or {}),
        }
        fingerprint = await io.run(lambda: hashlib.sha256(request.prompt.encode()).hexdigest())
        reply = await io.send(
            Request("POST", "/jobs", headers={"x-first-fingerprint": fingerprint}, body=Body.json(document))
        )
        return self.video(reply.document())

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return self.video((await io.get(f"/jobs/{path_segment(request.video_id)}")).document())

    @hookimpl
    async def list_videos(self, request: ListVideos, io: IO) -> VideoList:
        reply = await io.get("/jobs", limit=request.limit, after=request.after)
        return VideoList(data=[self.video(job) for job in reply.document()["jobs"]])

    @hookimpl
    async def delete_video(self, request: DeleteVideo, io: IO) -> DeletedVideo:
        await io.send(Request("DELETE", f"/jobs/{path_segment(request.video_id)}"))
        return DeletedVideo(id=request.video_id)

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        headers = {"range": request.range} if request.range else {}
        url = f"/jobs/{path_segment(request.video_id)}/file"
        return await Download.of(await io.stream(Request("GET", url, headers=headers)))

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        ask = Request("POST", "/talk", body=Body.json(request.wire()))
        if request.stream:
            return Stream(SSEEvents(await io.stream(ask)))
        return ChatCompletion((await io.send(ask)).document())

    @staticmethod
    def video(job: dict[str, Any]) -> Video:
        failed = job["state"] not in STATES
        video = Video(
            id=job["job"],
            status="failed" if failed else STATES[job["state"]],
            progress=job.get("percent"),
            model=job.get("film"),
            seconds=job.get("length"),
            error=VideoError(code=job["state"], message=job.get("why")) if failed else None,
        )
        video.meta.poll_after = 0.01
        return video
