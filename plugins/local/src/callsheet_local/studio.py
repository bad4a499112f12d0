"""The provider's inside: the data directory, its index, its workers. Everything here blocks; hooks call it by `io.run`."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from callsheet import APIStatusError, BadRequestError, ConflictError, NotFoundError
from callsheet_local.characters import Character, Characters
from callsheet_local.files import MEGABYTE, Files, place, share
from callsheet_local.index import Index
from callsheet_local.jobs import Job, Jobs
from callsheet_local.settings import LocalSettings
from callsheet_local.turns import Turns
from callsheet_local.workers import Claim, Made, Workers

__all__ = ["Studio", "new_id"]

_CUTTING = Turns(at_once=2, waiting=12)
"""All frames of a clip are held while it is cut: about 100 MB."""
_ORPHAN_SECONDS = 3600.0
"""Files that no row speaks of may belong to a call that is under way: they are let be for so long."""


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"


class Studio:
    """One data directory as one provider instance uses it."""

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self.files = Files(settings.data_dir)
        self.index = Index(self.files)
        self.jobs = Jobs(self.index)
        self.characters = Characters(self.index, self.files)
        self.workers = Workers(
            self.jobs, self.files, self._render, limit=settings.workers, keep_seconds=settings.keep_hours * 3600
        )
        self._opened, self._next_sweep = False, 0.0
        self._opening = threading.Lock()

    def open(self) -> None:
        """Make the folders and sweep, once. ConfigurationError if the data directory can't be used."""
        with self._opening:
            if not self._opened:
                self.files.prepare()
                self.sweep()
                self._opened = True

    def close(self) -> None:
        self.workers.close()
        self.index.close()

    # Videos

    def job(self, id: str) -> Job:
        """A job's row, with a worker called if it wants one. NotFoundError if there is none."""
        self.open()
        job = self.jobs.get(id)
        if job is None:
            raise NotFoundError(f"there is no video {id!r:.60} here", code="video_not_found", param="video_id")
        now = time.time()
        if job.claimable(now):
            self.workers.kick()
        elif job.expired(now):
            self.files.forget_video(id)
        return job

    def page(self, *, newest_first: bool, limit: int, after: str | None) -> tuple[list[Job], bool]:
        """Some jobs, and whether there are more of them."""
        self.open()
        jobs = self.jobs.page(newest_first=newest_first, limit=limit + 1, after=after)
        if jobs is None:
            raise NotFoundError(f"there is no video {after!r:.60} to list after", code="video_not_found", param="after")
        if any(job.claimable(time.time()) for job in jobs):
            self.workers.kick()
        return jobs[:limit], len(jobs) > limit

    def start(self, job: Job) -> Job:
        """Write a new job down and call a worker. Its inputs must be in place already."""
        self.jobs.add(job)
        self.workers.kick()
        return job

    def delete(self, id: str) -> None:
        """Forget a finished video. ConflictError for one that is still being made."""
        job = self.job(id)
        if not self.jobs.remove_finished(id):
            raise ConflictError(
                f"video {id} is {job.status}: only completed and failed videos can be deleted; wait until it is done",
                code="video_not_finished",
                param="video_id",
            )
        self.files.forget_video(id)
        self.files.forget_inputs(id)

    def completed(self, id: str, param: str, what: str) -> Job:
        """A video whose bytes are there. `what` is what they are wanted for."""
        job = self.job(id)
        if not job.finished:
            raise ConflictError(
                f"video {id} is {job.status} ({job.progress} %): it can be {what} when it is completed",
                code="video_not_ready",
                param=param,
                retry_after=1.0,
            )
        if job.status == "failed":
            raise NotFoundError(
                f"video {id} failed ({job.error_code}: {job.error_message}): there is nothing to be {what}",
                code="video_failed",
                param=param,
            )
        if job.expired(time.time()):
            raise NotFoundError(
                f"video {id} expired {_ago(time.time() - (job.expires_at or 0))}: its bytes are gone and can't be {what}."
                f" Videos are kept for {self.settings.keep_hours:g} hours (setting keep_hours); make it anew",
                code="expired",
                param=param,
            )
        if not self.files.video(id).exists():
            raise NotFoundError(
                f"the bytes of video {id} are gone from the data directory and can't be {what}; make it anew",
                code="video_lost",
                param=param,
            )
        return job

    def keep_source(self, source: str, id: str) -> None:
        """Let job `id` have the bytes of another video, also when that is deleted or expires meanwhile."""
        share(self.files.video(source), self.files.input(id, ".mp4"))

    def still(self, id: str, variant: str) -> Path:
        """A video's thumbnail or spritesheet, made now if it was not before."""
        from callsheet_local.film import stills

        path = self.files.video(id, stills.SUFFIX[variant])
        if not path.exists():
            made = self.files.scratch(id, path.suffix)
            try:
                stills.make(variant, self.files.video(id), made)
                place(made, path)
            finally:
                made.unlink(missing_ok=True)
        return path

    # Characters

    def character(self, id: str, param: str = "character_id") -> Character:
        self.open()
        character = self.characters.get(id)
        if character is None:
            raise NotFoundError(f"there is no character {id!r:.60} here", code="character_not_found", param=param)
        return character

    def add_character(self, id: str, name: str, clip: Path) -> Character:
        """Check a clip, cut the character out of it and write it down."""
        from callsheet_local.film.clip import check_clip, refusal
        from callsheet_local.film.cut import cut_out
        from callsheet_local.film.probe import NotReadable

        film = check_clip(clip, self.settings)
        try:
            with _CUTTING.turn("other clips"):
                cut = cut_out(clip, film)
        except NotReadable as error:
            raise refusal(f"the clip can't be used: {error}", f"clip_{error.code}") from error
        made = self.files.scratch(id, ".png")
        try:
            cut.sprite.save(made)
            place(made, self.files.character(id))
        finally:
            made.unlink(missing_ok=True)
        return self.characters.add(id, name, film.width, film.height, cut)

    # Room

    def make_room(self, expected_bytes: int, what: str) -> None:
        """Remove what has expired, and refuse new work when the directory is full all the same."""
        self.open()
        self.sweep()
        used = self.files.used() + self.jobs.expected_bytes()
        allowed = self.settings.quota_mb * MEGABYTE
        if used + expected_bytes > allowed:
            raise APIStatusError(
                f"the data directory is full: {used / MEGABYTE:,.1f} of {self.settings.quota_mb:,.1f} MB are used (videos"
                f" that are being made are counted), and {what} needs about {expected_bytes / MEGABYTE:,.1f} MB. Delete"
                " videos that you don't need, wait for some to expire, or raise the setting quota_mb"
                f" (CALLSHEET_LOCAL_QUOTA_MB). It is {self.files.root}",
                status_code=507,
                code="quota_exceeded",
            )

    def sweep(self) -> None:
        """Remove the bytes of expired videos, and files that nothing refers to any more."""
        now = time.time()
        there = self.files.videos()
        for id in self.jobs.expired(now):
            if id in there:
                self.files.forget_video(id)
        if now >= self._next_sweep:  # orphans come from killed processes only: no need to look for them each time
            self._next_sweep = now + _ORPHAN_SECONDS
            self.files.sweep(self._wanted, older_than=now - _ORPHAN_SECONDS)

    def _wanted(self, folder: str, id: str) -> bool | None:
        """Whether a file is wanted: yes, no, or None for one that no row speaks of."""
        if folder == "characters":
            return True if self.characters.get(id) else None
        job = self.jobs.get(id)
        if job is None:
            return None
        return job.status != "failed" if folder == "videos" else not job.finished

    def _render(self, claim: Claim) -> Made:
        from callsheet_local.film.render import render

        return render(claim, self.characters)


def cast_of(characters: Sequence[Character], prompt: str) -> tuple[list[Character], list[str]]:
    """Who of the given characters appears, and a warning for each that does not: their names must be in the prompt."""
    words = prompt.casefold()
    appearing = [one for one in characters if one.name.casefold() in words]
    warnings = [
        f"character '{one.name}' does not appear: the prompt does not say its name"
        for one in characters
        if one not in appearing
    ]
    return appearing, warnings


def known_characters(studio: Studio, ids: Sequence[str]) -> list[Character]:
    """The characters of a request. Two at most; NotFoundError for one that does not exist."""
    if len(ids) > 2:
        raise BadRequestError(
            f"{len(ids)} characters were given; a video has 2 at most", param="characters", code="too_many_characters"
        )
    found = [studio.character(id, "characters") for id in ids]
    return list({one.id: one for one in found}.values())


def _ago(seconds: float) -> str:
    with suppress(OverflowError):
        if seconds < 90:
            return "just now" if seconds < 5 else f"{seconds:.0f} seconds ago"
        if seconds < 5400:
            return f"{seconds / 60:.0f} minutes ago"
    return f"{seconds / 3600:.0f} hours ago"
