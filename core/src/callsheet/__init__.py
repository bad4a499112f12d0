"""Callsheet: keep your `/v1/videos` code, change the provider.

    import callsheet

    video = callsheet.generate_video(prompt="A fox in the snow", wait=True)   # the embedded provider: no key, no network
    callsheet.download_video(video, to="fox.mp4")

`Client` and `AsyncClient` do the same with settings of your own; `callsheet.aio` has the functions for async code.
A provider is a class derived from `Provider`: see `callsheet.spec`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from callsheet.account import ProviderSettings
from callsheet.auth import ApiKey, AuthScheme, Bearer
from callsheet.body import Body, Upload
from callsheet.envelope import envelope_error, error_in_answer, reply_error, whole
from callsheet.errors import *  # noqa: F403  the whole tree is public
from callsheet.event_stream import open_stream
from callsheet.io import IO, ByteStream, Reply, Request, Transport, path_segment
from callsheet.models import *  # noqa: F403  and all models are
from callsheet.operations import OPERATIONS
from callsheet.registry import Call, ProviderInfo, Registry, Wrap
from callsheet.spec import Provider, hookimpl
from callsheet.sse import SSEEvents
from callsheet.stream import Download, Event, Stream

if TYPE_CHECKING:
    from callsheet import aio, webhooks
    from callsheet.async_client import AsyncClient
    from callsheet.client import Client, SyncDownload, SyncStream
    from callsheet.default import (
        cancel_response,
        chat_completions,
        create_character,
        delete_response,
        delete_video,
        download_video,
        edit,
        extend,
        generate_video,
        get_character,
        get_response,
        get_video,
        hang_up,
        list_input_items,
        list_videos,
        mint_realtime_secret,
        providers,
        relay_sdp,
        remix,
        responses,
        wait,
    )
    from callsheet.pricing import Price, Usage
    from callsheet.transport import AsyncTransport, BlockingTransport

__version__ = "0.1.0"

_LATER = {
    "aio": "callsheet.aio",
    "AsyncClient": "callsheet.async_client",
    "AsyncTransport": "callsheet.transport",
    "BlockingTransport": "callsheet.transport",
    "Client": "callsheet.client",
    "Price": "callsheet.pricing",
    "SyncDownload": "callsheet.client",
    "SyncStream": "callsheet.client",
    "Usage": "callsheet.pricing",
    "webhooks": "callsheet.webhooks",
}
"""Imported when first used, so that `import callsheet` stays quick and loads no HTTP client."""

_FUNCTIONS = (*OPERATIONS, "wait", "providers")

__all__ = [
    "IO",
    "OPERATIONS",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "ApiKey",
    "AsyncClient",
    "AsyncTransport",
    "AuthScheme",
    "AuthenticationError",
    "BadRequestError",
    "Bearer",
    "BlockingTransport",
    "Body",
    "ByteStream",
    "Call",
    "CallsheetError",
    "CancelResponse",
    "Character",
    "CharacterRef",
    "ChatCompletion",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "CreateCharacter",
    "CreateChatCompletion",
    "CreateResponse",
    "DeleteResponse",
    "DeleteVideo",
    "DeletedResponse",
    "DeletedVideo",
    "Document",
    "Download",
    "DownloadVideo",
    "Edit",
    "Event",
    "ExpiresAfter",
    "Extend",
    "GenerateVideo",
    "GetCharacter",
    "GetResponse",
    "GetVideo",
    "HangUp",
    "ImageRef",
    "InputItemList",
    "InternalServerError",
    "ListInputItems",
    "ListVideos",
    "Meta",
    "MintRealtimeSecret",
    "MissingCredentials",
    "Model",
    "NotFoundError",
    "OperationRequest",
    "PermissionDeniedError",
    "PluginError",
    "Price",
    "Provider",
    "ProviderConflict",
    "ProviderInfo",
    "ProviderLoadError",
    "ProviderSettings",
    "RateLimitError",
    "RealtimeCall",
    "RealtimeSecret",
    "Registry",
    "RelaySDP",
    "Remix",
    "Reply",
    "Request",
    "Response",
    "Result",
    "SSEEvents",
    "Stream",
    "SyncDownload",
    "SyncStream",
    "Transport",
    "UnknownProvider",
    "UnprocessableEntityError",
    "UnsupportedOperation",
    "Upload",
    "Usage",
    "Variant",
    "Video",
    "VideoError",
    "VideoFailedError",
    "VideoList",
    "VideoRef",
    "WaitTimeoutError",
    "WebhookVerificationError",
    "Wrap",
    "aio",
    "cancel_response",
    "chat_completions",
    "create_character",
    "delete_response",
    "delete_video",
    "download_video",
    "edit",
    "envelope_error",
    "error_in_answer",
    "extend",
    "generate_video",
    "get_character",
    "get_response",
    "get_video",
    "hang_up",
    "hookimpl",
    "list_input_items",
    "list_videos",
    "mint_realtime_secret",
    "open_stream",
    "path_segment",
    "providers",
    "relay_sdp",
    "remix",
    "reply_error",
    "responses",
    "status_error",
    "wait",
    "webhooks",
    "whole",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("callsheet.default"), name)
    if name in _LATER:
        module = importlib.import_module(_LATER[name])
        return module if _LATER[name].rpartition(".")[2] == name else getattr(module, name)
    raise AttributeError(f"module 'callsheet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
