"""The module functions `callsheet.create_character(...)` and so on: methods of one client for the process.

It is made at the first call, with no arguments: providers are named by `model` or `provider`, keys come from the
environment, and a call that names nothing goes to the embedded provider.
"""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING, Any

from callsheet.client import Client
from callsheet.operations import OPERATIONS

__all__ = ["METHODS", "client"]

METHODS = (*OPERATIONS, "wait", "providers")

_lock = threading.Lock()
_client: Client | None = None


def client() -> Client:
    """The process's client."""
    global _client
    with _lock:
        if _client is None:
            _client = Client()
            atexit.register(_client.close)
        return _client


if TYPE_CHECKING:
    _typed = Client()
    create_character = _typed.create_character
    get_character = _typed.get_character
    generate_video = _typed.generate_video
    get_video = _typed.get_video
    list_videos = _typed.list_videos
    delete_video = _typed.delete_video
    download_video = _typed.download_video
    edit = _typed.edit
    extend = _typed.extend
    remix = _typed.remix
    wait = _typed.wait
    mint_realtime_secret = _typed.mint_realtime_secret
    relay_sdp = _typed.relay_sdp
    hang_up = _typed.hang_up
    responses = _typed.responses
    get_response = _typed.get_response
    delete_response = _typed.delete_response
    cancel_response = _typed.cancel_response
    list_input_items = _typed.list_input_items
    chat_completions = _typed.chat_completions
    providers = _typed.providers
else:

    def __getattr__(name: str) -> Any:
        if name in METHODS:
            return getattr(client(), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
