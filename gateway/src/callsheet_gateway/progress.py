"""A job's progress as server-sent events, so that a page need not poll: each a video object, until the job has ended."""

from __future__ import annotations

import time

import anyio
from starlette.requests import Request
from starlette.responses import Response

from callsheet import CallsheetError, Video
from callsheet.jsontext import encode
from callsheet_gateway.errors import envelope_of
from callsheet_gateway.face import Face
from callsheet_gateway.principal import principal_of
from callsheet_gateway.streaming import EventResponse, Frames, frame

__all__ = ["video_events"]

_COMMENT = b": still here\n\n"
_LOOKS = 5
"""How many times in a row the provider may fail to answer before its error ends the stream."""


async def video_events(face: Face, request: Request) -> Response:
    """GET /videos/{video_id}/events: `video.queued`, `video.in_progress`, and at the end `video.completed` or `video.failed`."""
    first = await face.call("get_video", {"video_id": request.path_params["video_id"]}, request)
    return EventResponse(_frames(face, first, request))


async def _frames(face: Face, video: Video, request: Request) -> Frames:
    principal = principal_of(request)
    id, pause, failures = video.id, face.settings.event_pause, 0
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
        await anyio.sleep(video.meta.poll_after or pause)
        pause = min(pause * 1.5, face.settings.event_pause_max)
        try:
            face.door.in_the_name_of(principal.key, principal.owner)  # it may have been withdrawn meanwhile
            video, failures = await face.call("get_video", {"video_id": id}, request), 0
        except CallsheetError as error:
            failures += 1
            if failures >= _LOOKS or not (error.status_code or 500) >= 500:
                yield frame(encode(envelope_of(error)).decode(), "error")
                return
