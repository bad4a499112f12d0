"""The hooks. They check what was asked, bring uploads to disk and leave the rest to the studio, which blocks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from callsheet import IO, Download, Provider, Upload, hookimpl
from callsheet import models as m
from callsheet_local.files import remove
from callsheet_local.settings import LocalSettings

if TYPE_CHECKING:
    from callsheet_local.studio import Studio

__all__ = ["LocalProvider"]

_NOT_YET = "the local provider does not do this yet"
_PAGE = 20


class LocalProvider(Provider):
    """Makes real videos on this machine, with no key and no network. See the README for what it can and can't do."""

    Settings = LocalSettings
    embedded = True
    models: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "motion-1": ("generate_video", "edit", "extend", "remix"),
        "realtime-1": ("mint_realtime_secret", "relay_sdp"),
        "scribe-1": ("responses", "chat_completions"),
    }
    notes: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "mint_realtime_secret",
            "relay_sdp",
            "hang_up",
            "responses",
            "get_response",
            "delete_response",
            "cancel_response",
            "list_input_items",
            "chat_completions",
        ),
        _NOT_YET,
    )

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._studio: Studio | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop rendering and give unfinished jobs back: whoever looks at one next begins it anew."""
        with self._lock:
            studio, self._studio = self._studio, None
        if studio is not None:
            studio.close()

    def _open(self) -> Studio:
        """The studio, made when first needed: it brings SQLite along."""
        with self._lock:
            if self._studio is None:
                from callsheet_local.studio import Studio

                self._studio = Studio(self._settings)
            return self._studio

    @hookimpl
    async def create_character(self, request: m.CreateCharacter, io: IO) -> m.Character:
        from callsheet_local.answers import character_of
        from callsheet_local.spool import spool
        from callsheet_local.studio import new_id

        studio = await io.run(self._open)
        await io.run(studio.make_room, request.video.size or 0, "the clip")
        id = new_id("char")
        clip = studio.files.scratch(id, ".mp4")
        try:
            most = self._settings.clip_max_mb
            await spool(request.video, clip, io, most_mb=most, param="video", code="clip_too_big")
            return character_of(await io.run(studio.add_character, id, request.name, clip))
        finally:
            remove(clip)

    @hookimpl
    async def get_character(self, request: m.GetCharacter, io: IO) -> m.Character:
        from callsheet_local.answers import character_of

        studio = await io.run(self._open)
        return character_of(await io.run(studio.character, request.character_id))

    @hookimpl
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> m.Video:
        from callsheet_local import orders
        from callsheet_local.spool import spool

        studio = await io.run(self._open)
        order = orders.Generate.of(request, self._settings)
        await io.run(order.look_up, studio)
        picture = None
        try:
            reference = request.input_reference
            if isinstance(reference, Upload):
                picture = studio.files.scratch(order.id, ".image")
                most = self._settings.clip_max_mb
                await spool(reference, picture, io, most_mb=most, param="input_reference", code="image_too_big")
            elif reference is not None:
                picture = studio.files.scratch(order.id, ".image")
                await io.run(orders.write_reference, reference, picture)
            return await io.run(order.start, studio, picture)
        finally:
            if picture is not None:
                remove(picture)

    @hookimpl
    async def get_video(self, request: m.GetVideo, io: IO) -> m.Video:
        from callsheet_local.answers import video_of

        studio = await io.run(self._open)
        return video_of(await io.run(studio.job, request.video_id))

    @hookimpl
    async def list_videos(self, request: m.ListVideos, io: IO) -> m.VideoList:
        from callsheet_local.answers import video_of

        studio = await io.run(self._open)
        limit = _PAGE if request.limit is None else request.limit

        def look() -> m.VideoList:
            jobs, more = studio.page(newest_first=request.order != "asc", limit=limit, after=request.after)
            first, last = (jobs[0].id, jobs[-1].id) if jobs else (None, None)
            return m.VideoList(data=[video_of(job) for job in jobs], first_id=first, last_id=last, has_more=more)

        return await io.run(look)

    @hookimpl
    async def delete_video(self, request: m.DeleteVideo, io: IO) -> m.DeletedVideo:
        studio = await io.run(self._open)
        await io.run(studio.delete, request.video_id)
        return m.DeletedVideo(id=request.video_id)

    @hookimpl
    async def download_video(self, request: m.DownloadVideo, io: IO) -> Download:
        from callsheet_local.serve import open_download

        studio = await io.run(self._open)
        return cast("Download", await io.run(open_download, studio, request, io))

    @hookimpl
    async def edit(self, request: m.Edit, io: IO) -> m.Video:
        from callsheet_local import orders

        studio = await io.run(self._open)
        order = orders.Edit.of(request, self._settings)
        return await self._with_source(order, request.video, studio, io)

    @hookimpl
    async def extend(self, request: m.Extend, io: IO) -> m.Video:
        from callsheet_local import orders

        studio = await io.run(self._open)
        order = orders.Extend.of(request, self._settings)
        return await self._with_source(order, request.video, studio, io)

    @hookimpl
    async def remix(self, request: m.Remix, io: IO) -> m.Video:
        from callsheet_local import orders

        studio = await io.run(self._open)
        return await io.run(orders.remix, studio, request)

    async def _with_source(self, order: Edit | Extend, video: m.VideoRef | Upload, studio: Studio, io: IO) -> m.Video:
        """Start a job on a video that is named by its id, or that is uploaded now."""
        from callsheet_local.spool import spool

        if not isinstance(video, Upload):
            return await io.run(order.start, studio, video.id)
        await io.run(studio.make_room, video.size or 0, "the upload")
        uploaded = studio.files.scratch(order.id, ".mp4")
        try:
            most = self._settings.clip_max_mb
            await spool(video, uploaded, io, most_mb=most, param="video", code="video_too_big")
            return await io.run(order.start, studio, uploaded)
        finally:
            remove(uploaded)


if TYPE_CHECKING:
    from callsheet_local.orders import Edit, Extend
