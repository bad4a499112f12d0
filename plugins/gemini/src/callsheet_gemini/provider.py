"""The provider: how the key is shown, how errors are read, what there is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from callsheet import IO, ApiKey, AuthScheme, Bearer, CallsheetError, ProviderSettings, Reply, Request
from callsheet_gemini.chat import OPENAI, Chat
from callsheet_gemini.errors import read_error
from callsheet_gemini.settings import GeminiSettings
from callsheet_gemini.videos import Videos

__all__ = ["GeminiProvider"]

RETIRED_AT = "generativelanguage.googleapis.com"
RETIRED = (
    "Google is reported to have retired Veo there on 2026-10-22; set base_url to a server that still speaks this wire, or"
    " use another provider (`callsheet providers --operation generate_video`)"
)
_VEO = "retired at Google itself (reported: 2026-10-22); works with servers that still speak its wire (base_url)"


class GeminiProvider(Videos, Chat):
    """Speaks the Gemini API, to Google or to whom `base_url` names."""

    Settings: ClassVar[type[ProviderSettings]] = GeminiSettings
    auth: ClassVar[AuthScheme] = ApiKey("x-goog-api-key")
    price_table: ClassVar[str | None] = "prices.json"
    genai_prices_id: ClassVar[str | None] = "google"
    # In Veo's own words a request can ask for several videos, other lengths and sizes, and none of the sound.
    repriced_by: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "service_tier": ("auto", "default", "standard"),
        "sampleCount": (1,),
        "durationSeconds": (),
        "resolution": (),
        "generateAudio": (True,),
    }
    # No status promises that no work began: Google documents 429 as a limit that was reached, and not as free of effects.
    notes: ClassVar[Mapping[str, str]] = {
        "create_character": "emulated",
        "get_character": "emulated",
        "generate_video": _VEO,
        "get_video": _VEO,
        "download_video": _VEO,
        "extend": _VEO,
        "edit": "vendor cannot",
        "remix": "vendor cannot",
        "list_videos": "vendor cannot",
        "delete_video": "vendor cannot",
        **dict.fromkeys(
            ("responses", "get_response", "delete_response", "cancel_response", "list_input_items"), "vendor cannot"
        ),
    }
    models: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "veo-3.1-generate-preview": ("generate_video", "extend"),
        "veo-3.1-fast-generate-preview": ("generate_video", "extend"),
        "veo-3.1-lite-generate-preview": ("generate_video",),
        "gemini-3.8-flash": ("chat_completions",),
    }

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """In a header of Google's; at the endpoints that speak OpenAI's wire as a Bearer."""
        if request.url.startswith(OPENAI):
            return Bearer().headers(self.credential(request, io), ephemeral=False)
        return await super().auth_headers(request, io)

    def error(self, reply: Reply) -> CallsheetError:
        """Google's envelope."""
        error = read_error(reply)
        host = urlsplit(self.settings.base_url or "").hostname
        if reply.status == 404 and host == RETIRED_AT and reply.url.endswith(":predictLongRunning"):
            error.message = f"{error.message} ({RETIRED})"
            error.args = (error.message,)
        return error
