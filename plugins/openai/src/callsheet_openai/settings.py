"""What an account at OpenAI, or at a server that speaks its API, is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from callsheet import ProviderSettings

__all__ = ["OpenAISettings"]


class OpenAISettings(ProviderSettings):
    """An account at OpenAI or at a compatible server: give its address as `base_url`, /v1 included."""

    env: ClassVar[Mapping[str, str]] = {
        "api_key": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
    }
    required: ClassVar[tuple[str, ...]] = ("api_key",)

    base_url: str | None = "https://api.openai.com/v1"
    multipart: bool = False
    """Whether videos are asked for by multipart forms even where no file goes along, as OpenAI's own SDK does."""
    stream_usage: bool | None = None
    """Whether the server takes `stream_options.include_usage`, so that a gateway may ask for it; None: if it is OpenAI."""

    @property
    def tells_usage(self) -> bool:
        """Whether it does."""
        if self.stream_usage is not None:
            return self.stream_usage
        return urlsplit(self.base_url or "").hostname == "api.openai.com"
