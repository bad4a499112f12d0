"""OpenAI, and every server that speaks its API: set `base_url` and use any model name.

OpenAI's own Videos API is gone since 2026-09-24; compatible servers and resellers serve it still. Implemented so far:
`generate_video` and `get_video`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from callsheet import (
    IO,
    GenerateVideo,
    GetVideo,
    Provider,
    ProviderSettings,
    Request,
    Video,
    hookimpl,
    path_segment,
)

__all__ = ["OpenAIProvider", "OpenAISettings"]


class OpenAISettings(ProviderSettings):
    """An account at OpenAI or at a compatible server."""

    env: ClassVar[Mapping[str, str]] = {
        "api_key": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
    }
    required: ClassVar[tuple[str, ...]] = ("api_key",)
    base_url: str | None = "https://api.openai.com/v1"


class OpenAIProvider(Provider):
    """Speaks OpenAI's wire format."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings
    # OpenAI's documents name 429 as a refusal that costs nothing: the request was not looked at.
    rejects_before_accepting: ClassVar[frozenset[int]] = frozenset({429})
    notes: ClassVar[Mapping[str, str]] = {
        "generate_video": "retired at OpenAI itself on 2026-09-24; works with compatible servers (base_url)",
    }

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """Bearer, and the organisation and project that the account names."""
        scope = {"openai-organization": self.settings.organization, "openai-project": self.settings.project}
        chosen = {name: value for name, value in scope.items() if value}
        return {**await super().auth_headers(request, io), **chosen}

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        """POST /videos: a form when a file goes along, in which what is no text is JSON; else JSON."""
        document = request.wire()
        if not request.uploads():
            return Video.model_validate((await io.post_json("/videos", document)).document())
        fields = [(name, value) for name, value in document.items() if value is not None]
        return Video.model_validate((await io.post_form("/videos", fields)).document())

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        """GET /videos/{id}. A failed job comes back as a Video with status `failed`."""
        return Video.model_validate((await io.get(f"/videos/{path_segment(request.video_id)}")).document())
