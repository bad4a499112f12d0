"""What an Azure OpenAI resource is configured with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator

from callsheet_azure.entra import is_async
from callsheet_openai import OpenAISettings

__all__ = ["AzureSettings"]

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|v1|preview")


class AzureSettings(OpenAISettings):
    """An Azure OpenAI resource, reached by a key or by Entra ID.

    `base_url` may be the resource's root, or end in /openai or /openai/v1.
    """

    env: ClassVar[Mapping[str, str]] = {
        "api_key": "AZURE_API_KEY",
        "base_url": "AZURE_API_BASE",
        "api_version": "AZURE_API_VERSION",
    }
    required: ClassVar[tuple[str, ...]] = ("api_key", "base_url")

    base_url: str | None = None
    multipart: bool = True
    """Azure documents forms only, for creating and remixing videos."""
    key_as_bearer: bool = False
    """Whether the key is shown as `Authorization: Bearer` instead of `api-key`."""
    api_version: str | None = None
    """A date ("2024-10-21") selects the legacy paths of chat and responses; "preview" is told to them. Others have none."""
    token_provider: Any = Field(default=None, repr=False)
    """A function, plain or async, that returns an Entra token, or a credential of `azure-identity`. The key is not used."""
    entra: bool = False
    """Whether to ask `azure-identity` for its DefaultAzureCredential: pip install "callsheet-azure[entra]"."""
    scope: str = "https://cognitiveservices.azure.com/.default"
    """What Entra tokens are asked for; newer documents of Foundry say https://ai.azure.com/.default."""

    @field_validator("base_url")
    @classmethod
    def _v1(cls, value: str | None) -> str | None:
        if not value:
            return value
        address = urlsplit(value)
        segments = [segment for segment in address.path.split("/") if segment]
        for ending in (["openai", "v1"], ["openai"]):
            if [segment.lower() for segment in segments[-len(ending) :]] == ending:
                del segments[-len(ending) :]
                break
        another_api = bool(segments) and segments[-1].lower() in {"v1", "models"}
        if address.query or address.fragment or another_api or "openai" in map(str.lower, segments):
            raise ValueError(
                "the resource's address is wanted, such as https://NAME.openai.azure.com, not that of a deployment, whose"
                " name is the model; the version is api_version"
            )
        return urlunsplit((address.scheme, address.netloc, "/".join(["", *segments, "openai", "v1"]), "", ""))

    @field_validator("api_version")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value and not _VERSION.fullmatch(value):
            raise ValueError("a date is wanted, such as 2024-10-21 or 2025-04-01-preview, or v1 or preview")
        return value or None

    @field_validator("token_provider")
    @classmethod
    def _can_be_asked(cls, value: Any) -> Any:
        if value is not None and not callable(value) and not callable(getattr(value, "get_token", None)):
            raise ValueError("a function that returns a token, or a credential with get_token(), is wanted")
        return value

    @property
    def needs_loop(self) -> bool:
        """Whether the token provider is async."""
        return self.token_provider is not None and is_async(self.token_provider)

    @property
    def tells_usage(self) -> bool:
        """Versions of the legacy API before September 2024 refuse to be asked."""
        return not self.dated if self.stream_usage is None else self.stream_usage

    @property
    def dated(self) -> bool:
        """Whether `api_version` names a version of the legacy API."""
        return self.api_version is not None and self.api_version[0].isdigit()
