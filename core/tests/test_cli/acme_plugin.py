"""A provider and a command for the tests of the command line. It renders nothing: a video is bytes, a job is a clock.

State lives in the folder ACME_DIR, so that one process can go on with what another began. ACME_RENDER is how many
seconds a job takes, ACME_TRICKLE how many a download takes, ACME_SLOW how many go by before a job is begun.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar

import click
from pydantic import SecretStr

from callsheet import (
    IO,
    Character,
    CreateCharacter,
    DeletedVideo,
    DeleteVideo,
    Download,
    DownloadVideo,
    Edit,
    Extend,
    GenerateVideo,
    GetCharacter,
    GetVideo,
    ListVideos,
    NotFoundError,
    Provider,
    ProviderSettings,
    Remix,
    Video,
    VideoList,
    hookimpl,
)

BYTES = bytes(range(256)) * 4000


class AcmeSettings(ProviderSettings):
    env: ClassVar[Mapping[str, str]] = {"folder": "ACME_DIR", "api_key": "ACME_API_KEY"}
    folder: str = "."
    token: SecretStr | None = None


class Acme(Provider):
    Settings: ClassVar[type[ProviderSettings]] = AcmeSettings
    embedded = True
    notes: ClassVar[Mapping[str, str]] = {"remix": "emulated"}

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        size = 0
        async for chunk in request.video.chunks(io.run):
            size += len(chunk)
        made = Character(id=f"c{len(list(self._folder.iterdir()))}", name=request.name, created_at=1, bytes=size)  # type: ignore[call-arg]  # an unknown field survives
        self._write(made.id, made)
        return made

    @hookimpl
    async def get_character(self, request: GetCharacter, io: IO) -> Character:
        return Character.model_validate(self._read(request.character_id))

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        if slow := os.environ.get("ACME_SLOW"):
            click.echo("asked", err=True)
            await io.sleep(float(slow))
        names = [str(self._read(character.id)["name"]) for character in request.characters or []]
        warnings = [f"the prompt does not say '{name}'" for name in names if name not in request.prompt]
        return self._begin(request.prompt, request.seconds, warnings=warnings, size=request.size, model=request.model)

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return self._look(self._read(request.video_id))

    @hookimpl
    async def list_videos(self, request: ListVideos, io: IO) -> VideoList:
        found = sorted(path.name for path in self._folder.iterdir() if path.name.startswith("v"))
        found = [name for name in found if request.after is None or name > request.after]
        page = found[: request.limit or 20]
        return VideoList(data=[self._look(self._read(name)) for name in page], has_more=len(page) < len(found))

    @hookimpl
    async def delete_video(self, request: DeleteVideo, io: IO) -> DeletedVideo:
        self._read(request.video_id)
        (self._folder / request.video_id).unlink()
        return DeletedVideo(id=request.video_id)

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        self._read(request.video_id)
        start = int(request.range.removeprefix("bytes=").rstrip("-")) if request.range else 0
        pause = float(os.environ.get("ACME_TRICKLE", "0")) / 10

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(start, len(BYTES), len(BYTES) // 10):
                await io.sleep(pause)
                yield BYTES[at : at + len(BYTES) // 10]

        size = len(BYTES) - start
        return Download(chunks(), "video/mp4", size, start, len(BYTES), '"1"', request.range is not None)  # type: ignore[arg-type]  # a generator

    @hookimpl
    async def edit(self, request: Edit, io: IO) -> Video:
        return self._begin(request.prompt, "4")

    @hookimpl
    async def extend(self, request: Extend, io: IO) -> Video:
        return self._begin(request.prompt, request.seconds)

    @hookimpl
    async def remix(self, request: Remix, io: IO) -> Video:
        return self._begin(request.prompt, "4", remixed_from_video_id=request.video_id)

    @property
    def _folder(self) -> Path:
        assert isinstance(self.settings, AcmeSettings)
        return Path(self.settings.folder)

    def _begin(self, prompt: str, seconds: str | None, **fields: object) -> Video:
        id = f"v{len(list(self._folder.iterdir())):03}"
        video = Video(id=id, status="queued", progress=0, prompt=prompt, seconds=seconds or "4", created_at=1)
        video = video.model_copy(update=fields)
        self._write(id, video, began=time.time())
        return self._look(self._read(id))

    def _look(self, state: dict[str, object]) -> Video:
        whole = float(os.environ.get("ACME_RENDER", "0"))
        done = 1.0 if not whole else min(1.0, (time.time() - float(str(state.pop("began")))) / whole)
        state.pop("began", None)
        video = Video.model_validate(state)
        video.status = "completed" if done == 1 else "in_progress" if done > 0.1 else "queued"
        if video.prompt == "fail" and done == 1:
            video = Video.model_validate(
                {**state, "status": "failed", "error": {"code": "sad", "message": "it rained"}}
            )
        if video.prompt == "crash":
            raise ZeroDivisionError("a bug in the plugin")
        video.progress = int(done * 100)
        video.meta.poll_after = 0.05
        return video

    def _write(self, id: str, model: Character | Video, **more: object) -> None:
        (self._folder / id).write_text(json.dumps({**model.wire(), **more}), encoding="utf-8")

    def _read(self, id: str) -> dict[str, object]:
        try:
            state: dict[str, object] = json.loads((self._folder / id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFoundError(f"there is no '{id}'") from None
        return state


class NeedySettings(ProviderSettings):
    env: ClassVar[Mapping[str, str]] = {"api_key": "BARE_API_KEY"}
    required: ClassVar[tuple[str, ...]] = ("api_key",)


class Bare(Provider):
    """Does nothing, and says why."""

    Settings: ClassVar[type[ProviderSettings]] = NeedySettings
    notes: ClassVar[Mapping[str, str]] = {"edit": "vendor cannot"}


@click.command(short_help="Say hello.")
def hello() -> None:
    """A command of another distribution."""
    click.echo("hello from acme")
