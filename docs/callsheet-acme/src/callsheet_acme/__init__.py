"""Acme, a vendor of videos and chat that does not exist: what a provider looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import callsheet as cs

__all__ = ["Acme", "AcmeSettings"]

STATES = {"waiting": "queued", "running": "in_progress", "done": "completed", "broken": "failed"}
SHAPES = {"1280x720": "wide", "720x1280": "tall"}


class AcmeSettings(cs.ProviderSettings):
    env: ClassVar[Mapping[str, str]] = {"api_key": "ACME_API_KEY", "base_url": "ACME_BASE_URL"}
    required: ClassVar[tuple[str, ...]] = ("api_key",)
    base_url: str | None = "https://api.acme.example/v1"


class Acme(cs.Provider):
    Settings = AcmeSettings
    auth = cs.ApiKey("x-acme-key")
    notes: ClassVar[Mapping[str, str]] = {"edit": "vendor cannot", "extend": "not yet"}

    @cs.hookimpl
    async def generate_video(self, request: cs.GenerateVideo, io: cs.IO) -> cs.Video:
        request.only("prompt", "seconds", "size")
        order = {"text": request.prompt, **request.options}
        if request.model:
            order["model"] = request.model
        if request.seconds:
            order["length"] = int(request.seconds)
        if shape := request.choice("size", SHAPES):
            order["shape"] = shape
        return self._video(await io.post_json("/jobs", order))

    @cs.hookimpl
    async def get_video(self, request: cs.GetVideo, io: cs.IO) -> cs.Video:
        return self._video(await io.get(f"/jobs/{cs.path_segment(request.video_id)}"))

    @cs.hookimpl
    async def download_video(self, request: cs.DownloadVideo, io: cs.IO) -> cs.Download:
        request.only("video_id", "range", "if_range")
        path = f"/jobs/{cs.path_segment(request.video_id)}/film"
        return await cs.Download.of(await io.stream(cs.Request("GET", path, request.range_headers())))

    @cs.hookimpl
    async def chat_completions(self, request: cs.CreateChatCompletion, io: cs.IO) -> cs.ChatCompletion | cs.Stream:
        asked = cs.Request("POST", "/chat/completions", body=cs.Body.json(request.wire()))
        if request.stream:
            return await cs.open_stream(asked, io, "chat")
        return cs.ChatCompletion(cs.whole(await io.send(asked), "choices"))

    @staticmethod
    def _video(reply: cs.Reply) -> cs.Video:
        job = reply.document()
        status = STATES.get(job["state"], job["state"])
        error = cs.VideoError(code="job_failed", message=job.get("why")) if status == "failed" else None
        return cs.Video(id=job["job"], status=status, error=error)
