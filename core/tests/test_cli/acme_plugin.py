"""A provider and a command for the tests of the command line. It renders nothing: a video is bytes, a job is a clock.

State lives in the folder ACME_DIR, so that one process can go on with what another began. ACME_RENDER is how many
seconds a job takes, ACME_TRICKLE how many a download takes, ACME_SLOW how many go by before a job is begun, ACME_TALK
how many before each word.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import click
from pydantic import SecretStr

from callsheet import (
    IO,
    AuthenticationError,
    CancelResponse,
    Character,
    ChatCompletion,
    CreateCharacter,
    CreateChatCompletion,
    CreateResponse,
    DeletedResponse,
    DeletedVideo,
    DeleteResponse,
    DeleteVideo,
    Download,
    DownloadVideo,
    Edit,
    Event,
    Extend,
    GenerateVideo,
    GetCharacter,
    GetResponse,
    GetVideo,
    HangUp,
    InputItemList,
    ListInputItems,
    ListVideos,
    MintRealtimeSecret,
    NotFoundError,
    Provider,
    ProviderSettings,
    RateLimitError,
    RealtimeCall,
    RealtimeSecret,
    RelaySDP,
    Remix,
    Response,
    Stream,
    Video,
    VideoList,
    hookimpl,
)

BYTES = bytes(range(256)) * 4000


class AcmeSettings(ProviderSettings):
    env: ClassVar[Mapping[str, str]] = {"folder": "ACME_DIR", "api_key": "ACME_API_KEY"}
    folder: str = "."
    token: SecretStr | None = None


class Talking(Provider):
    """Says back what it was asked, word by word, and answers every call in the same way."""

    Settings: ClassVar[type[ProviderSettings]] = AcmeSettings

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        last = request.input[-1].get("content") if isinstance(request.input, list) else request.input
        said = f"{last} (in German)" if request.instructions else str(last)
        if request.previous_response_id:
            said += f", after: {self._read(request.previous_response_id)['asked']}"
        raw: dict[str, Any] = {
            "id": f"r{len(list(self._folder.iterdir()))}",
            "object": "response",
            "created_at": 1,
            "model": request.model or "parrot",
            "previous_response_id": request.previous_response_id,
            "status": "queued" if request.background else "completed",
            "output": [_message("commentary", "Let me think."), _message("final_answer", f"You said: {said}")],
            "usage": {"input_tokens": 3, "output_tokens": 5},
        }
        if last == "fail":
            raw |= {"status": "failed", "error": {"code": "sad", "message": "it rained"}, "output": []}
        if request.max_output_tokens:
            raw |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        if request.tools:
            raw["output"] = [{"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}]
        (self._folder / raw["id"]).write_text(json.dumps({"raw": raw, "asked": last}), encoding="utf-8")
        return Stream(_events(raw, io)) if request.stream else Response(raw)  # type: ignore[arg-type]  # a generator

    @hookimpl
    async def get_response(self, request: GetResponse, io: IO) -> Response | Stream:
        raw: Any = {**self._read(request.response_id)["raw"], "status": "completed"}  # type: ignore[dict-item]  # JSON
        return Stream(_events(raw, io)) if request.stream else Response(raw)  # type: ignore[arg-type]  # a generator

    @hookimpl
    async def cancel_response(self, request: CancelResponse, io: IO) -> Response:
        return Response({**self._read(request.response_id)["raw"], "status": "cancelled"})  # type: ignore[dict-item]  # JSON

    @hookimpl
    async def delete_response(self, request: DeleteResponse, io: IO) -> DeletedResponse:
        self._read(request.response_id)
        (self._folder / request.response_id).unlink()
        return DeletedResponse({"id": request.response_id, "object": "response", "deleted": True})

    @hookimpl
    async def list_input_items(self, request: ListInputItems, io: IO) -> InputItemList:
        text = {"type": "input_text", "text": self._read(request.response_id)["asked"]}
        items = [{"id": f"i{n}", "type": "message", "role": "user", "content": [text]} for n in range(3)]
        items = [item for item in items if item["id"] > (request.after or "")]  # type: ignore[operator]  # text
        page = items[: request.limit or 20]
        return InputItemList({"object": "list", "data": page, "has_more": len(page) < len(items)})

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        last = request.messages[-1]["content"]
        if last == "too much":
            raise RateLimitError("slow down")
        said = f"{request.messages[0]['role']} said {last} as number {len(request.messages)}"
        message = {"role": "assistant", "content": said}
        if not request.stream:
            return ChatCompletion({"id": "chatcmpl-1", "choices": [{"index": 0, "message": message}]})

        async def chunks() -> AsyncIterator[Event]:
            yield Event("message", '{"choices": []}')
            for word in said.split(" "):
                await _pause(io)
                delta = {"content": f"{word} "}
                yield Event("message", json.dumps({"choices": [{"index": 0, "delta": delta}]}))
            if last == "torn":
                yield Event("message", '{"error": {"message": "out of breath"}}')
            yield Event("message", "[DONE]")

        return Stream(chunks())  # type: ignore[arg-type]  # a generator

    @hookimpl
    async def mint_realtime_secret(self, request: MintRealtimeSecret, io: IO) -> RealtimeSecret:
        seconds = request.expires_after.seconds if request.expires_after else 600
        session = {**(request.session or {}), "id": "sess_1", "model": request.model or "singer"}
        return RealtimeSecret(value="ek_acme", expires_at=int(time.time()) + seconds, session=session)

    @hookimpl
    async def relay_sdp(self, request: RelaySDP, io: IO) -> RealtimeCall:
        key = request.ephemeral_key.get_secret_value() if request.ephemeral_key else "ek_acme"
        if key != "ek_acme":
            raise AuthenticationError("the key is not mine")
        id = f"call{len(list(self._folder.iterdir()))}"
        (self._folder / id).write_text(json.dumps(request.session))
        return RealtimeCall(id=id, sdp=request.sdp.replace(b"s=-", b"s=" + id.encode()))

    @hookimpl
    async def hang_up(self, request: HangUp, io: IO) -> None:
        self._read(request.call_id)
        (self._folder / request.call_id).unlink()

    @property
    def _folder(self) -> Path:
        assert isinstance(self.settings, AcmeSettings)
        return Path(self.settings.folder)

    def _read(self, id: str) -> dict[str, object]:
        try:
            state: dict[str, object] = json.loads((self._folder / id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFoundError(f"there is no '{id}'") from None
        return state


def _message(phase: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "phase": phase, "content": [{"type": "output_text", "text": text}]}


async def _pause(io: IO) -> None:
    if seconds := os.environ.get("ACME_TALK"):
        await io.sleep(float(seconds))


async def _events(raw: dict[str, Any], io: IO) -> AsyncIterator[Event]:
    yield Event.of("response.created", {"response": {**raw, "status": "in_progress", "output": []}})
    for index, item in enumerate(raw["output"]):
        yield Event.of("response.output_item.added", {"output_index": index, "item": {**item, "content": []}})
        for part in item.get("content") or []:
            for word in part["text"].split(" "):
                await _pause(io)
                if word == "torn":
                    return
                if word == "wrong":
                    yield Event.of("error", {"error": {"message": "out of breath", "code": "tired"}})
                yield Event.of("response.output_text.delta", {"output_index": index, "delta": f"{word} "})
    yield Event.of(f"response.{raw['status']}", {"response": raw})


class Acme(Talking):
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
