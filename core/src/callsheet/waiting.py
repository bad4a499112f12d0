"""Waiting for a video job: look, sleep a little longer each time, look again."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

from callsheet.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    VideoFailedError,
    WaitTimeoutError,
)
from callsheet.models.video import Video

__all__ = ["OnProgress", "wait_for_video"]

OnProgress = Callable[[Video], object]
FIRST, LONGEST, GROWTH = 1.0, 15.0, 1.4
SHORTEST_HINT, LONGEST_HINT = 0.05, 60.0
"""Seconds between which a provider's own wish is obeyed: neither a busy loop nor a nap of days."""
PATIENCE = 60.0
"""Seconds for which a provider that can't be reached is asked again. The job goes on meanwhile."""


async def wait_for_video(
    video: Video,
    look: Callable[[str, float | None], Awaitable[Video]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    on_progress: OnProgress | None,
    timeout: float | None,
    poll: float | None,
) -> Video:
    """Look at a job until it ends; see `Client.wait`. `look` is given the id and the seconds that are left."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause, trouble_since = FIRST, None
    while True:
        if trouble_since is None:
            if on_progress is not None:
                told = on_progress(video)
                if inspect.isawaitable(told):
                    await told
            if _ended(video):
                return video
        nap = poll if poll is not None else _hint(video) or pause
        pause = min(pause * GROWTH, LONGEST)
        await sleep(nap if deadline is None else max(0.0, min(nap, deadline - time.monotonic())))
        left = None if deadline is None else deadline - time.monotonic()
        if timeout is not None and left is not None and left <= 0:
            raise WaitTimeoutError(video, timeout)
        try:
            video, trouble_since = await look(video.id, left), None
        except APIError as error:
            trouble_since = trouble_since or time.monotonic()
            if not _passing(error) or time.monotonic() - trouble_since > PATIENCE:
                error.video = video
                error.add_note(f"The job may go on: wait for it again by its id, {video.id}")
                raise


def _ended(video: Video) -> bool:
    if video.status == "completed":
        return True
    if video.finished:
        raise VideoFailedError(video, video.meta.provider)
    if video.status not in {"queued", "in_progress"}:
        error = APIResponseValidationError(
            f"video {video.id} has the status '{video.status:.40}', which says neither that it goes on nor that it ended;"
            " look at it yourself: get_video(video_id=...)",
            provider=video.meta.provider,
        )
        error.video = video
        raise error
    return False


def _hint(video: Video) -> float | None:
    hint = video.meta.poll_after
    return None if hint is None else min(max(hint, SHORTEST_HINT), LONGEST_HINT)


def _passing(error: APIError) -> bool:
    return isinstance(error, APIConnectionError) or error.status_code == 429 or (error.status_code or 0) >= 500
