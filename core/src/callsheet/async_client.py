"""The async client: `Client`'s methods, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, Unpack, cast, overload

from callsheet import models as m
from callsheet.async_client_text import AsyncTextMethods
from callsheet.body import Source
from callsheet.client_base import BaseClient, FilePath, VideoId, part_key, target_path, video_id_of
from callsheet.download import OnBytes, save
from callsheet.io import Transport
from callsheet.options import CallOptions
from callsheet.stream import Download
from callsheet.waiting import OnProgress, wait_for_video

__all__ = ["AsyncClient"]

Characters = Iterable[str | m.Character | Mapping[str, str]]
Image = Source | m.ImageRef | Mapping[str, str]
VideoSource = VideoId | Source | Mapping[str, str]


class AsyncClient(AsyncTextMethods, BaseClient):
    """Calls providers from async code, on asyncio or trio: `Client`'s methods, arguments and errors, awaited.

    See `Client` for the parameters and for what each method takes and raises. A client belongs to the event loop in
    which it is first used. Files that block are read in worker threads; async iterators of bytes are accepted, too.
    """

    @property
    def transport(self) -> Transport:
        """The way to the wire; made, and the HTTP library imported, when first needed."""
        if self._transport is None:
            from callsheet.transport import AsyncTransport

            self._transport = AsyncTransport()
        return self._transport

    async def create_character(self, *, name: str, video: Source, **options: Unpack[CallOptions]) -> m.Character:
        """Make a reusable character from a short clip."""
        return cast("m.Character", await self._call("create_character", options, name=name, video=video))

    async def get_character(self, *, character_id: str | m.Character, **options: Unpack[CallOptions]) -> m.Character:
        """Look a character up by its id. NotFoundError if there is none."""
        return cast("m.Character", await self._call("get_character", options, character_id=character_id))

    async def generate_video(
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
        """Start a video job, and with `wait=True` stay until it is completed."""
        fields = {"seconds": seconds, "size": size, "input_reference": input_reference, "characters": characters}
        video = cast("m.Video", await self._call("generate_video", options, prompt=prompt, **fields))
        return await self.wait(video, on_progress=on_progress, timeout=options.get("timeout")) if wait else video

    async def get_video(self, *, video_id: VideoId, **options: Unpack[CallOptions]) -> m.Video:
        """Look at a video job. A job that failed is returned with status `failed`, not raised."""
        return cast("m.Video", await self._call("get_video", options, video_id=video_id))

    async def list_videos(
        self,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        **options: Unpack[CallOptions],
    ) -> m.VideoList:
        """List videos, `limit` (0-100) at a time; `after` is the last id of the page before."""
        return cast("m.VideoList", await self._call("list_videos", options, limit=limit, order=order, after=after))

    async def delete_video(self, *, video_id: VideoId, **options: Unpack[CallOptions]) -> m.DeletedVideo:
        """Delete a video that is completed or failed."""
        return cast("m.DeletedVideo", await self._call("delete_video", options, video_id=video_id))

    @overload
    async def download_video(
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
    async def download_video(
        self,
        video: VideoId,
        *,
        to: None = None,
        variant: m.Variant | None = None,
        range: str | None = None,
        on_bytes: None = None,
        **options: Unpack[CallOptions],
    ) -> Download: ...
    async def download_video(
        self,
        video: VideoId,
        *,
        to: FilePath | None = None,
        variant: m.Variant | None = None,
        range: str | None = None,
        on_bytes: OnBytes | None = None,
        **options: Unpack[CallOptions],
    ) -> Path | Download:
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
            return await fetch(range, None)
        if range is not None:
            raise TypeError("range goes with reading the bytes, not with to=: a file is always downloaded whole")
        return await save(fetch, target_path(to), part_key(id, variant), self.transport.run, on_bytes)

    async def edit(self, *, video: VideoSource, prompt: str, **options: Unpack[CallOptions]) -> m.Video:
        """Start a job that changes a video by words. `video` is an id, a Video, or (where allowed) a Path, bytes or file."""
        return cast("m.Video", await self._call("edit", options, video=video, prompt=prompt))

    async def extend(
        self, *, video: VideoSource, prompt: str, seconds: int | str | None = None, **options: Unpack[CallOptions]
    ) -> m.Video:
        """Start a job that continues a video by `seconds`. The result holds old and new; its `seconds` is their total."""
        return cast("m.Video", await self._call("extend", options, video=video, prompt=prompt, seconds=seconds))

    async def remix(self, *, video_id: VideoId, prompt: str, **options: Unpack[CallOptions]) -> m.Video:
        """Start a job that makes a video anew with another prompt (the older form of `edit`)."""
        return cast("m.Video", await self._call("remix", options, video_id=video_id, prompt=prompt))

    async def wait(
        self,
        video: VideoId,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        poll: float | None = None,
        provider: str | None = None,
    ) -> m.Video:
        """Wait until a video is completed."""

        async def look(id: str, left: float | None) -> m.Video:
            options = {"provider": provider, "timeout": left}
            return cast("m.Video", await self._routed("get_video", options, {"video_id": id}))

        first = video if isinstance(video, m.Video) else await look(video, timeout)
        return await wait_for_video(
            first, look, self.transport.sleep, on_progress=on_progress, timeout=timeout, poll=poll
        )

    async def mint_realtime_secret(
        self,
        *,
        session: Mapping[str, Any] | None = None,
        expires_after: int | Mapping[str, Any] | None = None,
        safety_identifier: str | None = None,
        **options: Unpack[CallOptions],
    ) -> m.RealtimeSecret:
        """Make an ephemeral key for a browser. `expires_after` is in seconds, 10 to 7200; `session` as the provider wants it."""
        fields = {"session": session, "expires_after": expires_after, "safety_identifier": safety_identifier}
        return cast("m.RealtimeSecret", await self._call("mint_realtime_secret", options, **fields))

    async def relay_sdp(
        self,
        *,
        sdp: bytes | str,
        session: Mapping[str, Any] | None = None,
        ephemeral_key: str | None = None,
        webrtcfilter: bool | None = None,
        **options: Unpack[CallOptions],
    ) -> m.RealtimeCall:
        """Bring an SDP offer to the provider: returns the call's id and the SDP answer, byte for byte."""
        fields = {"sdp": sdp, "session": session, "ephemeral_key": ephemeral_key, "webrtcfilter": webrtcfilter}
        return cast("m.RealtimeCall", await self._call("relay_sdp", options, **fields))

    async def hang_up(self, *, call_id: str | m.RealtimeCall, **options: Unpack[CallOptions]) -> None:
        """End a realtime call."""
        await self._call("hang_up", options, call_id=call_id)

    async def close(self) -> None:
        """End what the providers started, and close the connections. Jobs at a provider go on."""
        import anyio

        with anyio.CancelScope(shield=True):  # a cancelled program must end its providers' threads, too
            try:
                await self.transport.run(self.accounts.close)
            finally:
                if (close := getattr(self._transport, "aclose", None)) is not None:
                    await close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, operation: str, options: Mapping[str, Any], **fields: Any) -> Any:
        return await self._routed(operation, options, fields)

    async def _routed(self, operation: str, options: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
        return await self._route(operation, self.transport, fields, options, sync=False)
