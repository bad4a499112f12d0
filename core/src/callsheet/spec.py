"""The contract. A provider is a class derived from `Provider`; each operation that it offers is one hook.

    from callsheet import IO, GenerateVideo, Provider, Video, hookimpl

    class Acme(Provider):
        @hookimpl
        async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
            reply = await io.post_json("/videos", request.wire())
            return Video.model_validate(reply.json())

Not implementing a hook is how a provider says that it does not offer the operation: callers get UnsupportedOperation,
which is a NotImplementedError. Every hook has the same two arguments, forever; what an operation needs grows in its
request model. A hook waits through `io` and nothing else, so that it runs in sync and in async programs alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pluggy import HookimplMarker, HookspecMarker
from pydantic import SecretStr

from callsheet import models as m
from callsheet.account import ProviderSettings
from callsheet.auth import AuthScheme, Bearer
from callsheet.envelope import envelope_error
from callsheet.errors import CallsheetError, MissingCredentials
from callsheet.io import IO, Reply, Request
from callsheet.stream import Download, Stream

__all__ = ["HOOKS", "Provider", "hookimpl", "hookspec"]

hookspec = HookspecMarker("callsheet")
hookimpl = HookimplMarker("callsheet")


class Provider:
    """Base of every provider, and the list of what a provider may offer.

    Class attributes: `Settings` is what an account is configured with; `embedded` says that the provider works with no
    key and no network; `notes` says of operations why they are missing or how they are done ("vendor cannot", "retired
    2026-09-24", "emulated") and is read by reports only; `models` names models and the operations that each is for: it
    fills lists and suggestions, and is never a limit; `auth` is how the key is shown, Bearer() or ApiKey("x-api-key"), or
    None for a vendor without keys;
    `rejects_before_accepting` holds the error statuses by which the vendor promises that no paid work began, so that the
    request may be sent again (see also `refused`).

    What the vendor's models cost: `price_table` names a JSON file beside the provider's module, a row for each model (see
    docs/prices.md); it is read when a price is first asked for. `genai_prices_id` is the vendor's name in the package
    genai-prices, which is asked for what the table lacks; None: it is not asked. Both count for the class that says them
    and for none that derives from it: that one may speak to somebody else, who has other prices. `repriced_by` names the
    fields of requests, also those that only this vendor knows, by which it charges something else, each with the values that
    leave the price as it is: `{"service_tier": ("auto", "default")}`. With another value a call's price is not known.
    """

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings
    embedded: ClassVar[bool] = False
    notes: ClassVar[Mapping[str, str]] = {}
    models: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    auth: ClassVar[AuthScheme | None] = Bearer()
    rejects_before_accepting: ClassVar[frozenset[int]] = frozenset()
    price_table: ClassVar[str | None] = None
    genai_prices_id: ClassVar[str | None] = None
    repriced_by: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    def __init__(self, settings: ProviderSettings) -> None:
        """Keep the settings. No I/O happens here, and no key is needed yet."""
        self.settings = settings

    def close(self) -> None:
        """End what the provider started: threads, connections, processes."""

    @property
    def stream_usage(self) -> bool:
        """Whether chat streams may be asked for their usage (`stream_options.include_usage`) though the caller has not.

        A gateway that keeps accounts does so, and does not pass on what comes of it.
        """
        return False

    async def auth_headers(self, request: Request, io: IO) -> Mapping[str, str]:
        """The headers that carry the credential: as `auth` says, with the key that the request names.

        Raises MissingCredentials when the account has no key.
        """
        if self.auth is None:
            return {}
        return self.auth.headers(self.credential(request, io), isinstance(request.auth, SecretStr))

    def credential(self, request: Request, io: IO) -> str:
        """The key that a request names: an ephemeral one, or the account's. Raises MissingCredentials."""
        if isinstance(request.auth, SecretStr):
            return request.auth.get_secret_value()
        if key := io.account.settings.api_key:
            return key.get_secret_value()
        variable = io.account.settings.env.get("api_key")
        raise MissingCredentials(
            f"provider '{io.account.provider}' has no API key: "
            + (f"set the environment variable {variable}, or " if variable else "")
            + "pass api_key=... to the client",
            provider=io.account.provider,
        )

    def refused(self, status: int, headers: Mapping[str, str]) -> bool:  # noqa: ARG002  for those whose word is a header
        """Whether the vendor promises by an error answer that no paid work began. Header names are lower case."""
        return status in self.rejects_before_accepting

    def error(self, reply: Reply) -> CallsheetError:
        """Turn an error answer into the exception to raise. The default reads OpenAI's envelope, leniently."""
        return envelope_error(reply)

    @hookspec(firstresult=True)
    async def create_character(self, request: m.CreateCharacter, io: IO) -> m.Character:
        """Make a reusable character from a short clip. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def get_character(self, request: m.GetCharacter, io: IO) -> m.Character:
        """Look a character up. NotFoundError if there is none. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> m.Video:
        """Start a video job and return at once; callers poll `get_video`. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def get_video(self, request: m.GetVideo, io: IO) -> m.Video:
        """Look at a video job. A failed job is a Video with status `failed`, not an exception. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def list_videos(self, request: m.ListVideos, io: IO) -> m.VideoList:
        """List video jobs, a page at a time. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def delete_video(self, request: m.DeleteVideo, io: IO) -> m.DeletedVideo:
        """Delete a finished video. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def download_video(self, request: m.DownloadVideo, io: IO) -> Download:
        """Open a video's bytes, its thumbnail or its spritesheet. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def edit(self, request: m.Edit, io: IO) -> m.Video:
        """Start a job that changes a video by words. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def extend(self, request: m.Extend, io: IO) -> m.Video:
        """Start a job that continues a video; the result holds both, and `seconds` their total. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def remix(self, request: m.Remix, io: IO) -> m.Video:
        """Start a job that makes a video anew with another prompt. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def mint_realtime_secret(self, request: m.MintRealtimeSecret, io: IO) -> m.RealtimeSecret:
        """Make an ephemeral key for a browser. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def relay_sdp(self, request: m.RelaySDP, io: IO) -> m.RealtimeCall:
        """Bring an SDP offer to the provider and its answer back, byte for byte. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def hang_up(self, request: m.HangUp, io: IO) -> None:
        """End a realtime call. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def responses(self, request: m.CreateResponse, io: IO) -> m.Response | Stream:
        """Answer by the Responses API: a Response, or a Stream of its events if `request.stream`. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def get_response(self, request: m.GetResponse, io: IO) -> m.Response | Stream:
        """Fetch a stored response, or follow its events if `request.stream`. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def delete_response(self, request: m.DeleteResponse, io: IO) -> m.DeletedResponse:
        """Delete a stored response. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def cancel_response(self, request: m.CancelResponse, io: IO) -> m.Response:
        """Cancel a response that runs in the background. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def list_input_items(self, request: m.ListInputItems, io: IO) -> m.InputItemList:
        """List what a stored response was asked. New in 0.1."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    async def chat_completions(self, request: m.CreateChatCompletion, io: IO) -> m.ChatCompletion | Stream:
        """Continue a conversation: a ChatCompletion, or a Stream of chunks if `request.stream`. New in 0.1."""
        raise NotImplementedError


HOOKS: tuple[str, ...] = tuple(name for name, member in vars(Provider).items() if hasattr(member, "callsheet_spec"))
"""The names of all operations, in the contract's order."""
