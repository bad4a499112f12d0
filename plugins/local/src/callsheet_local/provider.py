"""The hooks. They check what was asked, bring uploads to disk and leave the rest to the studio, which blocks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from callsheet import IO, Download, Provider, Stream, Upload, hookimpl
from callsheet import models as m
from callsheet_local.files import remove
from callsheet_local.settings import LocalSettings

if TYPE_CHECKING:
    from callsheet_local.index import Index
    from callsheet_local.realtime.service import Realtime
    from callsheet_local.scribe.desk import Desk
    from callsheet_local.studio import Studio

__all__ = ["LocalProvider"]

_PAGE = 20


class LocalProvider(Provider):
    """Makes real videos on this machine, with no key and no network. See the README for what it can and can't do."""

    Settings = LocalSettings
    embedded = True
    price_table: ClassVar[str | None] = "prices.json"
    models: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "motion-1": ("generate_video", "edit", "extend", "remix"),
        "realtime-1": ("mint_realtime_secret", "relay_sdp"),
        "scribe-1": ("responses", "chat_completions"),
    }

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._studio: Studio | None = None
        self._desk: Desk | None = None
        self._realtime: Realtime | None = None
        self._lock = threading.Lock()

    @property
    def stream_usage(self) -> bool:
        """Chat streams tell their usage if they are asked."""
        return True

    def close(self) -> None:
        """End realtime calls, and give unfinished jobs back: whoever looks at one next begins it anew."""
        with self._lock:
            studio, self._studio = self._studio, None
            realtime, self._realtime = self._realtime, None
            self._desk = None
        if realtime is not None:
            realtime.close()
        if studio is not None:
            studio.close()

    def _open(self) -> Studio:
        """The studio, made when first needed: it brings SQLite along."""
        with self._lock:
            if self._studio is None:
                from callsheet_local.studio import Studio

                self._studio = Studio(self._settings)
            return self._studio

    def _open_realtime(self) -> Realtime:
        """The realtime side, made when first needed: it brings numpy, and aiortc with the first offer."""
        with self._lock:
            if self._realtime is None:
                from callsheet_local.realtime.service import Realtime

                self._realtime = Realtime(self._settings)
            return self._realtime

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

    @hookimpl
    async def responses(self, request: m.CreateResponse, io: IO) -> m.Response | Stream:
        from callsheet_local.scribe import hooks

        return await hooks.responses(await io.run(self._scribe), request, io)

    @hookimpl
    async def get_response(self, request: m.GetResponse, io: IO) -> m.Response | Stream:
        from callsheet_local.scribe import hooks

        return await hooks.get_response(await io.run(self._scribe), request, io)

    @hookimpl
    async def delete_response(self, request: m.DeleteResponse, io: IO) -> m.DeletedResponse:
        desk = await io.run(self._scribe)
        await io.run(desk.delete, request.response_id)
        return m.DeletedResponse({"id": request.response_id, "object": "response", "deleted": True})

    @hookimpl
    async def cancel_response(self, request: m.CancelResponse, io: IO) -> m.Response:
        desk = await io.run(self._scribe)
        return m.Response(await io.run(desk.cancel, request.response_id, io.now()))

    @hookimpl
    async def list_input_items(self, request: m.ListInputItems, io: IO) -> m.InputItemList:
        desk = await io.run(self._scribe)
        return m.InputItemList(await io.run(desk.input_items, request))

    @hookimpl
    async def chat_completions(self, request: m.CreateChatCompletion, io: IO) -> m.ChatCompletion | Stream:
        from callsheet_local.scribe import hooks

        return await hooks.chat_completions(request, io, self._settings.tokens_per_second)

    def _scribe(self) -> Desk:
        """The text model's desk, made when first needed. It opens the studio only to keep or to find a response."""
        with self._lock:
            if self._desk is None:
                from callsheet_local.scribe.desk import Desk

                self._desk = Desk(self._open_index, self._settings)
            return self._desk

    def _open_index(self) -> Index:
        studio = self._open()
        studio.open()
        return studio.index

    @hookimpl
    async def mint_realtime_secret(self, request: m.MintRealtimeSecret, io: IO) -> m.RealtimeSecret:
        from callsheet_local.realtime.service import mint

        studio = await io.run(self._open)
        return await io.run(mint, studio, request, io.now())

    @hookimpl
    async def relay_sdp(self, request: m.RelaySDP, io: IO) -> m.RealtimeCall:
        from callsheet_local.realtime.ticket import Ticket

        studio = await io.run(self._open)
        realtime = await io.run(self._open_realtime)
        ticket = Ticket()
        try:
            call = await io.run(realtime.relay, request, ticket, studio, io.now(), io.deadline)
            await io.sleep(0)  # a cancellation that waited for the thread is raised here, while the call can be undone
        except BaseException:  # a cancelled `io.run` goes on in its thread, and nobody gets the call that it makes
            realtime.give_up(ticket)
            raise
        return call

    @hookimpl
    async def hang_up(self, request: m.HangUp, io: IO) -> None:
        realtime = await io.run(self._open_realtime)
        await io.run(realtime.hang_up, request, io.deadline)

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
