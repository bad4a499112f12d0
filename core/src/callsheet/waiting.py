"""Waiting for a video job: look, sleep a little longer each time, look again."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

from callsheet.errors import VideoFailedError, WaitTimeoutError
from callsheet.models.video import Video

__all__ = ["OnProgress", "wait_for_video"]

OnProgress = Callable[[Video], object]
FIRST, LONGEST, GROWTH = 1.0, 15.0, 1.4


async def wait_for_video(
    video: Video,
    look: Callable[[str], Awaitable[Video]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    on_progress: OnProgress | None,
    timeout: float | None,
    poll: float | None,
) -> Video:
    """Look at a job until it ends; see `Client.wait`."""
    started = time.monotonic()
    pause = FIRST
    while True:
        if on_progress is not None:
            told = on_progress(video)
            if inspect.isawaitable(told):
                await told
        if video.status == "completed":
            return video
        if video.finished:
            raise VideoFailedError(video, video.meta.provider)
        hint = video.meta.poll_after
        nap = poll if poll is not None else hint if hint is not None else pause
        if timeout is not None:
            left = started + timeout - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(video, timeout)
            nap = min(nap, left)
        await sleep(nap)
        pause = min(pause * GROWTH, LONGEST)
        video = await look(video.id)
