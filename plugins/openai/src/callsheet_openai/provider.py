"""The provider: who is asked, how errors are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from callsheet import (
    IO,
    OPERATIONS,
    APIStatusError,
    CallsheetError,
    ProviderSettings,
    Reply,
    Request,
    envelope_error,
)
from callsheet import headers as hints
from callsheet.envelope import NO_USE_IN_RETRYING
from callsheet_openai.realtime import Realtime
from callsheet_openai.settings import OpenAISettings
from callsheet_openai.text import Text
from callsheet_openai.videos import Videos

__all__ = ["OpenAIProvider"]

VIDEO_OPERATIONS = tuple(name for name, operation in OPERATIONS.items() if operation.route.startswith("/videos"))
IT_IS_GONE = {400, 403, 404, 410}
"""What a server may answer where it serves something no longer; the rest passes, or has other reasons."""

LOOKED_AT = {"moderation_blocked", "content_filter", "content_policy_violation"}
"""Codes of who has read what was asked for, and so still serves it."""
LOOKED_FOR = {"not_found", "video_not_found"}
"""Codes of who has looked for the video or character that the address names."""


class OpenAIProvider(Videos, Realtime, Text):
    """Speaks OpenAI's wire format, to OpenAI or to whom `base_url` names. Any model's name will do."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings
    # OpenAI's documents name 429 as a refusal that costs nothing: the request was not looked at.
    rejects_before_accepting: ClassVar[frozenset[int]] = frozenset({429})
    price_table: ClassVar[str | None] = "prices.json"
    genai_prices_id: ClassVar[str | None] = "openai"
    repriced_by: ClassVar[Mapping[str, tuple[object, ...]]] = {"service_tier": ("auto", "default")}
    retired: ClassVar[Mapping[str, str]] = {
        "api.openai.com": "OpenAI shut its Videos API down on 2026-09-24; set base_url to a server that still serves it, or"
        " use another provider (`callsheet providers --operation generate_video`)",
    }
    """Hosts that no longer serve /videos, and what to say of that."""
    notes: ClassVar[Mapping[str, str]] = dict.fromkeys(
        VIDEO_OPERATIONS, "retired at OpenAI itself on 2026-09-24; works with compatible servers (base_url)"
    )

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """Bearer, and the organisation and project that the account names."""
        scope = {"openai-organization": self.settings.organization, "openai-project": self.settings.project}
        chosen = {name: value for name, value in scope.items() if value}
        return {**await super().auth_headers(request, io), **chosen}

    def refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """429 always; 503 when the server says that the same request may be sent again."""
        return super().refused(status, headers) or (status == 503 and hints.should_retry(headers) is True)

    def error(self, reply: Reply) -> CallsheetError:
        """OpenAI's envelope. A used-up quota does not come back by asking again."""
        error = envelope_error(reply)
        if {error.code, _type_of(error.body)} & NO_USE_IN_RETRYING:
            error.should_retry = False
        gone = reply.url.startswith("/videos") and reply.status in IT_IS_GONE
        looked_for = reply.url != "/videos" and error.code in LOOKED_FOR
        if gone and not looked_for and not self.looked_at(error):
            self._explain_retirement(error)
        return error

    def looked_at(self, error: APIStatusError) -> bool:
        """Whether an error tells that somebody read the request: then it is not retirement that it is about."""
        about = None if error.param == "model" else error.param
        return bool(about) or bool({error.code, _type_of(error.body)} & LOOKED_AT)

    def _explain_retirement(self, error: APIStatusError) -> None:
        host = urlsplit(self.settings.base_url or "").hostname or ""
        for name, explanation in self.retired.items():
            if host == name or host.endswith(f".{name}"):
                error.message = f"{error.message} ({explanation})"
                error.args = (error.message,)


def _type_of(body: object) -> str | None:
    """An error's `type`, where some servers put what belongs into `code`."""
    said = body.get("error") if isinstance(body, dict) else None
    kind = said.get("type") if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else None
