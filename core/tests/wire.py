"""A provider that does nothing but speak through io, as plainly as a provider can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from core.tests.offers import ANSWER

from callsheet import (
    IO,
    Character,
    Download,
    GenerateVideo,
    Provider,
    Registry,
    Request,
    Stream,
    Upload,
    Video,
    hookimpl,
)
from callsheet import models as m
from callsheet.sse import SSEEvents

KEY = "sk-canary-7d1f"


def _simple(name: str, method: str, route: str, result: type[Any] | None) -> Callable[..., Any]:
    """A hook that sends its request as JSON."""

    async def hook(self: Provider, request: m.OperationRequest, io: IO) -> Any:
        if method != "POST":
            reply = await io.send(Request(method, route))
        else:
            reply = await io.post_json(route, {"for": name})
        if result is None:
            return None
        if hasattr(result, "model_validate"):
            return result.model_validate(reply.json())
        return result(reply.document())

    hook.__name__ = name
    return hookimpl(hook)


class Wire(Provider):
    """Every operation over HTTP."""

    ios: ClassVar[list[IO]] = []
    """The io of each attempt, the last one last."""

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        self.ios.append(io)
        document = request.wire()
        if isinstance(file := document.pop("input_reference", None), Upload):
            fields = [("prompt", request.prompt), ("input_reference", file)]
            reply = await io.post_form("/videos", fields)
        else:
            reply = await io.post_json("/videos", document)
        return Video.model_validate(reply.json())

    @hookimpl
    async def create_character(self, request: m.CreateCharacter, io: IO) -> Character:
        self.ios.append(io)
        reply = await io.post_form("/videos/characters", [("name", request.name), ("video", request.video)])
        return Character.model_validate(reply.json())

    @hookimpl
    async def get_video(self, request: m.GetVideo, io: IO) -> Video:
        self.ios.append(io)
        return Video.model_validate((await io.get(f"/videos/{request.video_id}")).json())

    @hookimpl
    async def download_video(self, request: m.DownloadVideo, io: IO) -> Download:
        self.ios.append(io)
        headers = {"range": request.range} if request.range else {}
        if request.if_range:
            headers["if-range"] = request.if_range
        stream = await io.stream(Request("GET", f"/videos/{request.video_id}/content", headers=headers))
        return await Download.of(stream)

    @hookimpl
    async def responses(self, request: m.CreateResponse, io: IO) -> m.Response | Stream:
        self.ios.append(io)
        if request.stream:
            body = m.base.Model.wire(request)
            return Stream(SSEEvents(await io.stream(Request("POST", "/responses", body=_json(body)))))
        return m.Response((await io.post_json("/responses", request.wire())).document())

    get_character = _simple("get_character", "GET", "/characters", m.Character)
    list_videos = _simple("list_videos", "GET", "/videos", m.VideoList)
    delete_video = _simple("delete_video", "DELETE", "/video", m.DeletedVideo)
    edit = _simple("edit", "POST", "/edits", m.Video)
    extend = _simple("extend", "POST", "/extensions", m.Video)
    remix = _simple("remix", "POST", "/remix", m.Video)
    mint_realtime_secret = _simple("mint_realtime_secret", "POST", "/secrets", m.RealtimeSecret)

    @hookimpl
    async def relay_sdp(self, request: m.RelaySDP, io: IO) -> m.RealtimeCall:
        await io.send(Request("POST", "/calls"))
        return m.RealtimeCall(id="rtc_1", sdp=ANSWER)

    hang_up = _simple("hang_up", "POST", "/hangup", None)
    get_response = _simple("get_response", "GET", "/response", m.Response)
    delete_response = _simple("delete_response", "DELETE", "/response", m.DeletedResponse)
    cancel_response = _simple("cancel_response", "POST", "/cancel", m.Response)
    list_input_items = _simple("list_input_items", "GET", "/items", m.InputItemList)
    chat_completions = _simple("chat_completions", "POST", "/chat", m.ChatCompletion)


def _json(document: object) -> Any:
    from callsheet import Body

    return Body.json(document)


class PoliteWire(Wire):
    """A vendor that promises: 429 and 503 mean that no work began."""

    rejects_before_accepting = frozenset({429, 503})


def registry() -> Registry:
    made = Registry(points=[], wraps=())
    made.register("wire", Wire)
    made.register("polite", PoliteWire)
    return made
