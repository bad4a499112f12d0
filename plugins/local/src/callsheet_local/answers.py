"""Rows as the documents of the API."""

from __future__ import annotations

from callsheet import models as m
from callsheet_local.characters import Character
from callsheet_local.jobs import Job

__all__ = ["character_of", "video_of"]

_POLL_SECONDS = 0.2


def video_of(job: Job) -> m.Video:
    """A job as a Video. One that is not done asks to be looked at again soon: looking is cheap here."""
    error = None
    if job.status == "failed":
        error = m.VideoError(code=job.error_code or "", message=job.error_message or "")
    video = m.Video(
        id=job.id,
        model=job.model,
        status=job.status,
        progress=job.progress,
        created_at=int(job.created_at),
        completed_at=None if job.completed_at is None else int(job.completed_at),
        expires_at=None if job.expires_at is None else int(job.expires_at),
        prompt=job.prompt,
        size=f"{job.width}x{job.height}",
        seconds=f"{round(job.seconds, 2):g}",
        remixed_from_video_id=job.remixed_from,
        error=error,
    )
    if job.warnings:  # absent otherwise: it is not one of OpenAI's fields
        video.warnings = list(job.warnings)
    if not job.finished:
        video.meta.poll_after = _POLL_SECONDS
    return video


def character_of(one: Character) -> m.Character:
    return m.Character(id=one.id, name=one.name, created_at=int(one.created_at))
