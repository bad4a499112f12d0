"""`await callsheet.aio.create_character(...)` and so on: methods of one async client for each running event loop.

The client is made at the first call in a loop. `await callsheet.aio.close()` ends it; without that its connections end
with the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from anyio.lowlevel import RunVar

from callsheet import default
from callsheet.async_client import AsyncClient
from callsheet.client_base import shared_registry
from callsheet.default import METHODS

__all__ = ["client", "close"]


class _LoopsClient(AsyncClient):
    """One loop's connections to the providers of the process."""

    def __init__(self) -> None:
        super().__init__()
        # The providers themselves - their threads, their files - are those of the module functions: one set a process.
        self.accounts = self.router.accounts = default.client().accounts

    async def close(self) -> None:
        """Close the loop's connections; the providers end with the process."""
        if (transport := self._transport) is not None:
            await cast("AsyncTransport", transport).aclose()


_client: RunVar[AsyncClient | None] = RunVar("callsheet.aio.client", None)


def client() -> AsyncClient:
    """The running loop's client."""
    if (found := _client.get()) is None:
        _client.set(found := _LoopsClient())
    return found


async def close() -> None:
    """Close the running loop's client, if there is one. The next call makes a new one."""
    found = _client.get()
    _client.set(None)
    if found is not None:
        await found.close()


if TYPE_CHECKING:
    from callsheet.transport import AsyncTransport

    _typed = AsyncClient()
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

    async def _call(name: str, *arguments: Any, **keywords: Any) -> Any:
        return await getattr(client(), name)(*arguments, **keywords)

    def __getattr__(name: str) -> Callable[..., Any]:
        if name == "providers":
            return shared_registry().describe
        if name in METHODS:
            return partial(_call, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
