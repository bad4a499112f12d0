"""Azure OpenAI (v1): OpenAI's codec with Azure's address and key. Implemented so far: `generate_video` and `get_video`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import field_validator

from callsheet import ApiKey, AuthScheme, ProviderSettings
from callsheet_openai import OpenAIProvider

__all__ = ["AzureProvider", "AzureSettings"]


class AzureSettings(ProviderSettings):
    """An Azure OpenAI resource. `base_url` may be the resource's root, or end in /openai or /openai/v1."""

    env: ClassVar[Mapping[str, str]] = {"api_key": "AZURE_API_KEY", "base_url": "AZURE_API_BASE"}
    required: ClassVar[tuple[str, ...]] = ("api_key", "base_url")

    @field_validator("base_url")
    @classmethod
    def _v1(cls, value: str | None) -> str | None:
        if not value:
            return value
        root = value.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        return f"{root}/openai/v1"


class AzureProvider(OpenAIProvider):
    """Speaks to an Azure resource; a model's name there is the name of its deployment."""

    Settings: ClassVar[type[ProviderSettings]] = AzureSettings
    auth: ClassVar[AuthScheme] = ApiKey("api-key")
    notes: ClassVar[Mapping[str, str]] = {"generate_video": "sora-2's published retirement dates at Azure have passed"}
