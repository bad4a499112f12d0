"""A job's progress as server-sent events, so that a page need not poll: each a video object, until the job has ended."""

from __future__ import annotations

import time

import anyio
from starlette.requests import Request
from starlette.responses import Response

from callsheet import CallsheetError, Video
from callsheet.jsontext import encode
from callsheet_gateway.face import Face, unless_gone
from callsheet_gateway.principal import principal_of
from callsheet_gateway.protocol import gone_in
from callsheet_gateway.streaming import EventResponse, Frames, failure, frame

__all__ = ["video_events"]

_COMMENT = b": still here\n\n"
_LOOKS = 5
"""How many times in a row the provider may fail to answer before its error ends the stream."""


async def video_events(face: Face, request: Request) -> Response:
    """GET /videos/{video_id}/events: `video.queued`, `video.in_progress`, and at the end `video.completed` or `video.failed`."""
    first = await face.call("get_video", {"video_id": request.path_params["video_id"]}, request)
    return EventResponse(_frames(face, first, request))


async def _frames(face: Face, video: Video, request: Request) -> Frames:
    gone, id = gone_in(request.scope), video.id
    pause, failures = face.settings.event_pause, 0
    said, said_at = b"", time.monotonic()
    while True:
        event = frame(encode(face.document(video)).decode(), f"video.{video.status}")
        if event != said:
            yield event
            said, said_at, pause = event, time.monotonic(), face.settings.event_pause
        elif time.monotonic() - said_at >= face.settings.keep_alive:
            yield _COMMENT
            said_at = time.monotonic()
        if video.finished:
            return
        look = _look(face, id, request, video.meta.poll_after or pause)
        pause = min(pause * 1.5, face.settings.event_pause_max)
        try:
            video, failures = await unless_gone(look, gone), 0
        except CallsheetError as error:
            failures += 1
            if gone is not None and gone.left:
                return
            ends = gone is not None and gone.ending
            if ends or failures >= _LOOKS or not (error.status_code or 500) >= 500:
                yield frame(encode(failure(error, request.scope)).decode(), "error")
                return


async def _look(face: Face, id: str, request: Request, pause: float) -> Video:
    """The video after a pause."""
    await anyio.sleep(pause)
    principal = principal_of(request)
    face.door.in_the_name_of(principal.key, principal.owner)  # it may have been withdrawn meanwhile
    video: Video = await face.call("get_video", {"video_id": id}, request, counted=False)
    return video
