"""Videos and characters. Wire: OpenAI's API reference of videos, and what its SDK sends.

A file means a multipart form. Characters and references to images are objects, which only JSON spells without doubt; so
a file that goes along with them goes as a data URL inside the JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

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
    OperationRequest,
    Provider,
    Remix,
    Reply,
    Request,
    Upload,
    Video,
    VideoList,
    hookimpl,
    path_segment,
    whole,
)
from callsheet_openai.documents import receipt
from callsheet_openai.settings import OpenAISettings

__all__ = ["Videos"]

LONGEST_DATA_URL = 20_971_520
"""Characters that OpenAI takes as `image_url`."""
STATUSES = {"pending": "queued", "processing": "in_progress", "running": "in_progress", "succeeded": "completed"}
"""How some servers that are compatible otherwise spell OpenAI's four."""


class Videos(Provider):
    """The ten operations on /videos."""

    settings: OpenAISettings

    @hookimpl
    async def create_character(self, request: CreateCharacter, io: IO) -> Character:
        """POST /videos/characters, always a form."""
        reply = await io.post_form("/videos/characters", _fields(_without_model(request)))
        return Character.model_validate(whole(reply, "id"))

    @hookimpl
    async def get_character(self, request: GetCharacter, io: IO) -> Character:
        """GET /videos/characters/{id}."""
        reply = await io.get(f"/videos/characters/{path_segment(request.character_id)}")
        return Character.model_validate(whole(reply, "id"))

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        """POST /videos."""
        document = request.wire()
        file = document.get("input_reference")
        if isinstance(file, Upload) and request.characters:
            document["input_reference"] = {"image_url": await _data_url(file, io)}
        return await self._start_job("/videos", document, io)

    @hookimpl
    async def edit(self, request: Edit, io: IO) -> Video:
        """POST /videos/edits. Only a film that is uploaded needs a model: the other one has it."""
        document = request.wire() if request.uploads() else _without_model(request)
        return await self._start_job("/videos/edits", document, io)

    @hookimpl
    async def extend(self, request: Extend, io: IO) -> Video:
        """POST /videos/extensions."""
        return await self._start_job("/videos/extensions", _without_model(request), io)

    @hookimpl
    async def remix(self, request: Remix, io: IO) -> Video:
        """POST /videos/{id}/remix."""
        document = _without_model(request)
        return await self._start_job(f"/videos/{path_segment(document.pop('video_id'))}/remix", document, io)

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        """GET /videos/{id}. A failed job comes back as a Video with status `failed`."""
        return _video(await io.get(f"/videos/{path_segment(request.video_id)}"))

    @hookimpl
    async def list_videos(self, request: ListVideos, io: IO) -> VideoList:
        """GET /videos, a page."""
        reply = await io.get("/videos", **_without_model(request))
        page = VideoList.model_validate(whole(reply, "data"))
        for video in page.data:
            video.status = STATUSES.get(video.status, video.status)
        return page

    @hookimpl
    async def delete_video(self, request: DeleteVideo, io: IO) -> DeletedVideo:
        """DELETE /videos/{id}."""
        reply = await io.send(Request("DELETE", f"/videos/{path_segment(request.video_id)}"))
        return DeletedVideo.model_validate(receipt(reply, request.video_id, "video.deleted"))

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        """GET /videos/{id}/content."""
        headers = {"accept": "application/binary", **request.range_headers()}
        path = f"/videos/{path_segment(request.video_id)}/content"
        return await Download.of(await io.stream(Request("GET", path, headers, {"variant": request.variant})))

    async def _start_job(self, path: str, document: Mapping[str, Any], io: IO) -> Video:
        files = any(isinstance(value, Upload) for value in document.values())
        objects = any(isinstance(value, dict | list) for value in document.values())
        if files or (self.settings.multipart and not objects):
            return _video(await io.post_form(path, _fields(document)))
        return _video(await io.post_json(path, document))


def _video(reply: Reply) -> Video:
    video = Video.model_validate(whole(reply, "id"))
    video.status = STATUSES.get(video.status, video.status)
    return video


def _fields(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A form's fields. It can't say null: what is null is left out."""
    return [(name, value) for name, value in document.items() if value is not None]


def _without_model(request: OperationRequest) -> dict[str, Any]:
    """The document of an operation that has no `model` on the wire, though its caller may say one to be routed."""
    return {name: value for name, value in request.wire().items() if name != "model"}


async def _data_url(file: Upload, io: IO) -> str:
    """An image inside an address. It is read whole: OpenAI's limit keeps it small."""
    head = f"data:{file.content_type};base64,"
    content = await file.read(io.run, (LONGEST_DATA_URL - len(head)) // 4 * 3, "input_reference")
    return head + base64.b64encode(content).decode()
