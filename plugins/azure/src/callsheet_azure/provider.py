"""Azure OpenAI: the codec of OpenAI with another address, other credentials and content filters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

from pydantic import SecretStr

from callsheet import (
    IO,
    OPERATIONS,
    APIError,
    ApiKey,
    APIStatusError,
    AuthScheme,
    BadRequestError,
    Bearer,
    CallsheetError,
    CreateChatCompletion,
    ProviderSettings,
    RelaySDP,
    Reply,
    Request,
    path_segment,
)
from callsheet_azure.entra import EntraToken
from callsheet_azure.filters import filter_error
from callsheet_azure.settings import AzureSettings
from callsheet_openai import OpenAIProvider

__all__ = ["AzureProvider"]

HAS_VERSIONS = ("/responses", "/chat/completions")


class AzureProvider(OpenAIProvider):
    """Speaks to an Azure resource; a model's name there is the name of its deployment."""

    Settings: ClassVar[type[ProviderSettings]] = AzureSettings
    settings: AzureSettings
    price_table: ClassVar[str | None] = "prices.json"
    genai_prices_id: ClassVar[str | None] = "azure"
    retired: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("openai.azure.com", "services.ai.azure.com"),
        "all retirement dates that Microsoft published for sora-2 have passed, the last on 2026-11-02",
    )
    notes: ClassVar[Mapping[str, str]] = {
        name: "retired at Azure: the published dates of sora-2 have passed; works where a deployment still serves it"
        for name, operation in OPERATIONS.items()
        if operation.route.startswith("/videos")
    }

    def __init__(self, settings: AzureSettings) -> None:
        super().__init__(settings)
        asks = settings.token_provider is not None or settings.entra
        self._entra = EntraToken(settings.token_provider, settings.scope) if asks else None
        self._warned = False

    def close(self) -> None:
        """Close the credential that was made here."""
        if self._entra is not None:
            self._entra.close()

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """An ephemeral key or an Entra token as bearer, else the account's key."""
        self._mention_version(io)
        ephemeral = isinstance(request.auth, SecretStr)
        if self._entra is not None and not ephemeral:
            return Bearer().headers(await self._entra.current(io), ephemeral)
        scheme: AuthScheme = Bearer() if self.settings.key_as_bearer else ApiKey("api-key")
        return scheme.headers(self.credential(request, io), ephemeral)

    def error(self, reply: Reply) -> CallsheetError:
        """OpenAI's envelope with Azure's own codes; a filtered prompt as ContentFilterError."""
        error = super().error(reply)
        if reply.status == 401 and self._entra is not None:
            self._entra.forget()
        return filter_error(error) if isinstance(error, BadRequestError) else error

    def error_in_answer(self, said: object, body: object) -> APIError:
        """An error among events; an answer that was filtered as ContentFilterError."""
        return filter_error(super().error_in_answer(said, body))

    def looked_at(self, error: APIStatusError) -> bool:
        """As at OpenAI, and where Azure's filters say so in their own way."""
        return super().looked_at(error) or filter_error(error) is not error

    def call_query(self, request: RelaySDP) -> dict[str, object]:
        """`webrtcfilter=on` lets only a few kinds of events reach the browser."""
        return {"webrtcfilter": "on"} if request.webrtcfilter else {}

    def responses_url(self, rest: str) -> str:
        """Below /openai/v1, or with a dated version below /openai."""
        path = super().responses_url(rest)
        return self._legacy(path) if self.settings.dated else self._versioned(path)

    def chat_url(self, request: CreateChatCompletion) -> str:
        """Below /openai/v1, or with a dated version below /openai, where the deployment is in the path."""
        path = super().chat_url(request)
        if not self.settings.dated:
            return self._versioned(path)
        if not request.model:
            raise BadRequestError("the legacy API needs the deployment's name as model", param="model")
        return self._legacy(f"/deployments/{path_segment(request.model)}{path}")

    def _legacy(self, path: str) -> str:
        return (self.settings.base_url or "").removesuffix("/v1") + self._versioned(path)

    def _versioned(self, path: str) -> str:
        version = self.settings.api_version
        return path if version in {None, "v1"} else f"{path}?{urlencode({'api-version': version})}"

    def _mention_version(self, io: IO) -> None:
        version = self.settings.api_version
        if version not in {None, "v1"} and not self._warned and not io.operation.route.startswith(HAS_VERSIONS):
            self._warned = True
            warnings.warn(
                f"api_version={version} is for chat and responses only: {io.operation.name} uses Azure's v1 API without it",
                stacklevel=2,
            )
