"""Azure OpenAI: the codec of OpenAI with another address, other credentials and content filters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import SecretStr

from callsheet import (
    IO,
    OPERATIONS,
    ApiKey,
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
from callsheet_azure.entra import EntraToken, default_credential
from callsheet_azure.filters import ContentFilterError, read_filters
from callsheet_azure.settings import AzureSettings
from callsheet_openai import OpenAIProvider

__all__ = ["AzureProvider"]

HAS_LEGACY_PATHS = ("/responses", "/chat/completions")


class AzureProvider(OpenAIProvider):
    """Speaks to an Azure resource; a model's name there is the name of its deployment."""

    Settings: ClassVar[type[ProviderSettings]] = AzureSettings
    settings: AzureSettings
    retired: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("openai.azure.com", "services.ai.azure.com"),
        "all retirement dates that Microsoft published for sora-2 have passed, the last on 2026-11-02",
    )
    notes: ClassVar[Mapping[str, str]] = {
        name: "sora-2's published retirement dates at Azure have passed"
        for name, operation in OPERATIONS.items()
        if operation.route.startswith("/videos")
    }

    def __init__(self, settings: AzureSettings) -> None:
        super().__init__(settings)
        self._entra: EntraToken | None = None
        self._own_credential: Any = None
        self._warned = False

    def close(self) -> None:
        """Close the credential that was made here."""
        if self._own_credential is not None:
            self._own_credential.close()

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """An ephemeral key or an Entra token as bearer, else the account's key."""
        self._mention_version(io)
        if isinstance(request.auth, SecretStr) or not (self.settings.token_provider or self.settings.entra):
            scheme: AuthScheme = Bearer() if self.settings.key_as_bearer else ApiKey("api-key")
            return scheme.headers(self.credential(request, io), isinstance(request.auth, SecretStr))
        if self._entra is None:
            source = self.settings.token_provider
            if source is None:
                source = self._own_credential = await io.run(default_credential)
            self._entra = EntraToken(source, self.settings.scope)
        return Bearer().headers(await self._entra.current(io), ephemeral=True)

    def error(self, reply: Reply) -> CallsheetError:
        """OpenAI's envelope with Azure's own codes; a filtered prompt as ContentFilterError."""
        error = super().error(reply)
        if reply.status == 401 and self._entra is not None:
            self._entra.forget()
        if not isinstance(error, BadRequestError):
            return error
        said = error.body.get("error") if isinstance(error.body, dict) else None
        inner = said.get("innererror") if isinstance(said, dict) else None
        inner = inner if isinstance(inner, dict) else {}
        if error.code != "content_filter" and inner.get("code") != "ResponsibleAIPolicyViolation":
            return error
        filtered = ContentFilterError(error.message)
        filtered.__dict__.update(error.__dict__)
        filtered.filters = read_filters(inner.get("content_filter_result") or inner.get("content_filter_results"))
        return filtered

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
        if self.settings.dated and not self._warned and not io.operation.route.startswith(HAS_LEGACY_PATHS):
            self._warned = True
            warnings.warn(
                f"api_version={self.settings.api_version} is for chat and responses only: {io.operation.name} uses"
                " Azure's v1 API, which has no dated versions",
                stacklevel=2,
            )
