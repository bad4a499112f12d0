"""OpenAI, and every server that speaks its API: set `base_url` and use any model name.

OpenAI's own Videos API is gone since 2026-09-24; compatible servers and resellers serve it still. Implemented so far:
`generate_video` and `get_video`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import ValidationError

from callsheet import (
    IO,
    APIResponseValidationError,
    GenerateVideo,
    GetVideo,
    Provider,
    ProviderSettings,
    Request,
    Upload,
    Video,
    hookimpl,
)

__all__ = ["OpenAIProvider", "OpenAISettings", "video_of"]


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
        """POST /videos: a form when a file goes along, else JSON (characters are JSON only at OpenAI)."""
        document = request.wire()
        if not isinstance(request.input_reference, Upload):
            return video_of((await io.post_json("/videos", document)).json())
        fields: list[tuple[str, Any]] = [("input_reference", document.pop("input_reference"))]
        for name, value in document.items():
            if name == "characters":
                fields += [("characters[][id]", character["id"]) for character in value]
            elif value is not None:
                fields.append((name, str(value)))
        return video_of((await io.post_form("/videos", fields)).json())

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        """GET /videos/{id}. A failed job comes back as a Video with status `failed`."""
        return video_of((await io.get(f"/videos/{path_segment(request.video_id)}")).json())


def video_of(document: Any) -> Video:
    """A video object from the wire; APIResponseValidationError if it is none."""
    try:
        return Video.model_validate(document)
    except ValidationError as error:
        raise APIResponseValidationError(f"the provider's answer is not a video: {error}") from error


def path_segment(id: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(id, safe="")
