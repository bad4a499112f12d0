"""The sync client: one method per operation, under the operation's own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, Unpack, cast, overload

from callsheet import models as m
from callsheet.body import Source
from callsheet.client_base import BaseClient, FilePath, VideoId, part_key, target_path, video_id_of
from callsheet.client_text import TextMethods
from callsheet.download import OnBytes, save
from callsheet.drive import finish
from callsheet.io import Transport
from callsheet.options import CallOptions
from callsheet.pieces import SyncDownload, SyncStream
from callsheet.stream import Download, Stream
from callsheet.waiting import OnProgress, wait_for_video

__all__ = ["Client", "SyncDownload", "SyncStream"]

Characters = Iterable[str | m.Character | Mapping[str, str]]
Image = Source | m.ImageRef | Mapping[str, str]
VideoSource = VideoId | Source | Mapping[str, str]


class Client(TextMethods, BaseClient):
    """Calls providers from sync code: in scripts, threads, notebooks, and inside a running event loop.

    Parameters:
        model: what to use where a call names none, such as "provider/model": its first part is the provider.
        provider: the same without a model: a provider's name, or the id of an account in `config`.
        api_key, base_url, settings: for that provider; what is left out comes from its environment variables.
        config: several accounts: {"accounts": [{"provider": "acme", "id": "east", "api_key": ..., ...}, ...]}.
        timeout: seconds for a whole call, retries included (for a stream: until it begins); default: the account's, 600.
        transport: another way to the wire, such as `BlockingTransport(client)` with an httpx client of your own.
        registry: other providers than those of this process.

    With none of them, the only configured account is used, else the embedded provider, which needs no key.

    Every operation takes keywords only, among them those of `CallOptions`: `model` or `provider` say where the call
    goes - an id that a call returned needs neither -, `timeout` for how many seconds it may last, and `extra_body` holds
    fields that the provider understands and Callsheet does not know. Errors are those of `callsheet.errors`:
    BadRequestError for input that is wrong, UnsupportedOperation (a NotImplementedError) where the provider does not do
    the operation, APIError and its kinds for what providers say.
    """

    _blocking: ClassVar[bool] = True

    @property
    def transport(self) -> Transport:
        """The way to the wire; made, and the HTTP library imported, when first needed."""
        with self._lock:  # many threads may come first
            if self._transport is None:
                from callsheet.transport import BlockingTransport

                self._transport = BlockingTransport()
            return self._transport

    def create_character(self, *, name: str, video: Source, **options: Unpack[CallOptions]) -> m.Character:
        """Make a reusable character from a short clip.

        `name` (1-80 characters) is what prompts must say; `video` a path, bytes, a file open in binary mode or an
        iterable of bytes - 2 to 4 seconds of MP4 at most providers. Returns the character; it can't be changed later.
        """
        return cast("m.Character", self._call("create_character", options, name=name, video=video))

    def get_character(self, *, character_id: str | m.Character, **options: Unpack[CallOptions]) -> m.Character:
        """Look a character up by its id. NotFoundError if there is none."""
        return cast("m.Character", self._call("get_character", options, character_id=character_id))

    def generate_video(
        self,
        *,
        prompt: str,
        seconds: int | str | None = None,
        size: str | None = None,
        input_reference: Image | None = None,
        characters: Characters | None = None,
        wait: bool = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[CallOptions],
    ) -> m.Video:
        """Start a video job, and with `wait=True` stay until it is completed.

        `prompt` has 1 to 32,000 characters and says the name of each character; `seconds` and `size` ("1280x720") as
        the provider allows them; `input_reference` is the first frame: a file, {"image_url": ...} or {"file_id": ...};
        `characters` are ids, or [{"id": ...}]. Returns the job; see `wait` for `on_progress` and what waiting raises.
        """
        fields = {"seconds": seconds, "size": size, "input_reference": input_reference, "characters": characters}
        video = cast("m.Video", self._call("generate_video", options, prompt=prompt, **fields))
        return self.wait(video, on_progress=on_progress, timeout=options.get("timeout")) if wait else video

    def get_video(self, *, video_id: VideoId, **options: Unpack[CallOptions]) -> m.Video:
        """Look at a video job. A job that failed is returned with status `failed`, not raised."""
        return cast("m.Video", self._call("get_video", options, video_id=video_id))

    def list_videos(
        self,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        **options: Unpack[CallOptions],
    ) -> m.VideoList:
        """List videos, `limit` (0-100) at a time; `after` is the last id of the page before."""
        return cast("m.VideoList", self._call("list_videos", options, limit=limit, order=order, after=after))

    def delete_video(self, *, video_id: VideoId, **options: Unpack[CallOptions]) -> m.DeletedVideo:
        """Delete a video that is completed or failed."""
        return cast("m.DeletedVideo", self._call("delete_video", options, video_id=video_id))

    @overload
    def download_video(
        self,
        video: VideoId,
        *,
        to: FilePath,
        variant: m.Variant | None = None,
        range: None = None,
        on_bytes: OnBytes | None = None,
        **options: Unpack[CallOptions],
    ) -> Path: ...
    @overload
    def download_video(
        self,
        video: VideoId,
        *,
        to: None = None,
        variant: m.Variant | None = None,
        range: str | None = None,
        on_bytes: None = None,
        **options: Unpack[CallOptions],
    ) -> SyncDownload: ...
    def download_video(
        self,
        video: VideoId,
        *,
        to: FilePath | None = None,
        variant: m.Variant | None = None,
        range: str | None = None,
        on_bytes: OnBytes | None = None,
        **options: Unpack[CallOptions],
    ) -> Path | SyncDownload:
        """Download a video, its "thumbnail" or its "spritesheet".

        With `to`, write that file and return its path: it appears when it is whole, and a download that broke off is
        gone on with by calling again. `on_bytes(done, total)` is called as bytes come. Without `to`, return the bytes
        as an iterator and context manager; `range` is then an HTTP range such as "bytes=0-99".
        """
        id = video_id_of(video)

        async def fetch(asked: str | None, if_range: str | None) -> Download:
            fields = {"video_id": id, "variant": variant, "range": asked, "if_range": if_range}
            return cast("Download", await self._routed("download_video", options, fields))

        if to is None:
            return SyncDownload(finish(fetch(range, None)))
        if range is not None:
            raise TypeError("range goes with reading the bytes, not with to=: a file is always downloaded whole")
        return finish(save(fetch, target_path(to), part_key(id, variant), self.transport.run, on_bytes))

    def edit(self, *, video: VideoSource, prompt: str, **options: Unpack[CallOptions]) -> m.Video:
        """Start a job that changes a video by words. `video` is an id, a Video, or (where allowed) a Path, bytes or file."""
        return cast("m.Video", self._call("edit", options, video=video, prompt=prompt))

    def extend(
        self, *, video: VideoSource, prompt: str, seconds: int | str | None = None, **options: Unpack[CallOptions]
    ) -> m.Video:
        """Start a job that continues a video by `seconds`. The result holds old and new; its `seconds` is their total."""
        return cast("m.Video", self._call("extend", options, video=video, prompt=prompt, seconds=seconds))

    def remix(self, *, video_id: VideoId, prompt: str, **options: Unpack[CallOptions]) -> m.Video:
        """Start a job that makes a video anew with another prompt (the older form of `edit`)."""
        return cast("m.Video", self._call("remix", options, video_id=video_id, prompt=prompt))

    def wait(
        self,
        video: VideoId,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        poll: float | None = None,
        provider: str | None = None,
    ) -> m.Video:
        """Wait until a video is completed.

        `on_progress(video)` is called at each look; `timeout` is in seconds (None: no end); `poll` is the pause between
        looks in seconds, by default what the provider asks for, else 1 second growing to 15. Raises VideoFailedError
        when the job failed, WaitTimeoutError when time is up (the job goes on: wait for the same id again).
        """

        async def look(id: str, left: float | None) -> m.Video:
            options = {"provider": provider, "timeout": left}
            return cast("m.Video", await self._routed("get_video", options, {"video_id": id}))

        first = video if isinstance(video, m.Video) else finish(look(video, timeout))
        return finish(
            wait_for_video(first, look, self.transport.sleep, on_progress=on_progress, timeout=timeout, poll=poll)
        )

    def mint_realtime_secret(
        self,
        *,
        session: Mapping[str, Any] | None = None,
        expires_after: int | Mapping[str, Any] | None = None,
        safety_identifier: str | None = None,
        **options: Unpack[CallOptions],
    ) -> m.RealtimeSecret:
        """Make an ephemeral key for a browser. `expires_after` is in seconds, 10 to 7200; `session` as the provider wants it."""
        fields = {"session": session, "expires_after": expires_after, "safety_identifier": safety_identifier}
        return cast("m.RealtimeSecret", self._call("mint_realtime_secret", options, **fields))

    def relay_sdp(
        self,
        *,
        sdp: bytes | str,
        session: Mapping[str, Any] | None = None,
        ephemeral_key: str | None = None,
        webrtcfilter: bool | None = None,
        **options: Unpack[CallOptions],
    ) -> m.RealtimeCall:
        """Bring an SDP offer to the provider: returns the call's id and the SDP answer, byte for byte.

        With `ephemeral_key` the call is made in its name, else in the account's, and `session` says what it shall be.
        """
        fields = {"sdp": sdp, "session": session, "ephemeral_key": ephemeral_key, "webrtcfilter": webrtcfilter}
        return cast("m.RealtimeCall", self._call("relay_sdp", options, **fields))

    def hang_up(self, *, call_id: str | m.RealtimeCall, **options: Unpack[CallOptions]) -> None:
        """End a realtime call."""
        self._call("hang_up", options, call_id=call_id)

    def close(self) -> None:
        """End what the providers started, and close the connections. Jobs at a provider go on."""
        try:
            self.accounts.close()
        finally:
            if (close := getattr(self._transport, "close", None)) is not None:
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, operation: str, options: Mapping[str, Any], **fields: Any) -> Any:
        result = finish(self._routed(operation, options, fields))
        return SyncStream(result) if isinstance(result, Stream) else result

    async def _routed(self, operation: str, options: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
        return await self._route(operation, self.transport, fields, options, sync=True)
