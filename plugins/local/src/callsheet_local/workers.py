"""The threads that render, a bounded number for each provider instance, and the heartbeat that keeps their leases.

Threads are started when there is work and end when there has been none for a while. They are daemons: a program may
end while they work. What they were doing is given back at `close`, which also runs when the interpreter ends; after a
kill -9 the lease runs out. Either way the job is begun anew by whoever looks at it next.
"""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen

from callsheet import CallsheetError
from callsheet_local.files import Files, place
from callsheet_local.jobs import Job, Jobs

__all__ = ["Claim", "JobFailed", "Made", "Stopped", "Workers"]

_IDLE_SECONDS = 5.0
_HEARTBEAT_SECONDS = 1.0
_PROGRESS_SECONDS = 0.1
_CLOSE_SECONDS = 5.0


class Stopped(Exception):
    """The work is to end now: the provider is closed, or the lease is lost."""


class JobFailed(Exception):
    """The job can't be done. The code and the words are shown to whoever asks for the video."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Made:
    """What a job made: a file in work/, how long it lasts, and what to tell its owner besides."""

    path: Path
    seconds: float
    warnings: tuple[str, ...] = ()


@define(eq=False)
class Claim:
    """One worker's hold on one job, as the rendering code sees it."""

    job: Job
    owner: str
    jobs: Jobs
    files: Files
    progress: int = 0
    stop: threading.Event = field(factory=threading.Event)
    _told: int = 0
    _told_at: float = field(factory=time.monotonic)
    _made: list[Path] = field(factory=list)

    def advance(self, done: int, wanted: int) -> None:
        """Tell how many of the wanted frames are encoded. Raises Stopped when the work is to end."""
        self.check()
        self.progress = min(99, done * 100 // max(1, wanted))  # 100 is for the finished file
        if self.progress != self._told and time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self.renew()

    def check(self) -> None:
        """Raise Stopped when the work is to end."""
        if self.stop.is_set():
            raise Stopped

    def renew(self) -> None:
        """Keep the lease. Sets `stop` when it is lost."""
        self._told, self._told_at = self.progress, time.monotonic()
        if not self.jobs.renew(self.job.id, self.owner, self.progress):
            self.stop.set()

    def scratch(self, suffix: str = ".mp4") -> Path:
        """A name for a half-made file, which is removed when the claim ends."""
        path = self.files.scratch(self.job.id, suffix)
        self._made.append(path)
        return path

    def clean(self) -> None:
        for path in self._made:
            with suppress(OSError):
                path.unlink(missing_ok=True)


class Workers:
    """Renders jobs by `render(claim)` in at most `limit` threads."""

    def __init__(
        self, jobs: Jobs, files: Files, render: Callable[[Claim], Made], *, limit: int, keep_seconds: float
    ) -> None:
        self._jobs, self._files, self._render = jobs, files, render
        self._limit, self._keep_seconds = limit, keep_seconds
        self._changed = threading.Condition()
        self._kicks = 0
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._closed = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._claims: dict[str, Claim] = {}
        self._idle = 0
        self._heart: threading.Thread | None = None

    def kick(self) -> None:
        """Say that there may be something to do."""
        if self._pid != os.getpid():  # a forked child has none of its parent's threads
            self._changed = threading.Condition()
            self._reset()
        with self._changed:
            if self._closed.is_set():
                return
            self._kicks += 1
            if self._idle:
                self._changed.notify()
            elif len(self._threads) < self._limit:
                thread = threading.Thread(target=self._work, name="callsheet-local-render", daemon=True)
                self._threads.add(thread)
                thread.start()

    def close(self) -> None:
        """Stop rendering and give the jobs back. Returns when that is done, or after five seconds."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
            threads = [*self._threads, *([self._heart] if self._heart else [])]
            claims = list(self._claims.values())
        for claim in claims:
            claim.stop.set()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for claim in list(self._claims.values()):  # a thread that is deep in a library: it will find its lease gone
            with suppress(CallsheetError):
                self._jobs.release(claim.job.id, claim.owner)

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            owner = f"{os.getpid()}.{secrets.token_hex(6)}"
            kicks = self._kicks
            try:
                job = None if self._closed.is_set() else self._jobs.claim(owner)
            except CallsheetError:  # the data directory is gone: whoever asks for a video next is told
                job, kicks = None, -1
            if job is not None:
                self._do(job, owner)
                continue
            with self._changed:
                self._idle += 1
                if kicks == self._kicks and not self._closed.is_set():
                    self._changed.wait(_IDLE_SECONDS)
                self._idle -= 1
                if kicks in {self._kicks, -1} or self._closed.is_set():
                    self._threads.discard(me)
                    return

    def _do(self, job: Job, owner: str) -> None:
        claim = Claim(job, owner, self._jobs, self._files)
        with self._changed:
            self._claims[owner] = claim
            if self._closed.is_set():
                claim.stop.set()
            if self._heart is None:
                self._heart = threading.Thread(target=self._beat, name="callsheet-local-heartbeat", daemon=True)
                self._heart.start()
        try:
            self._files.forget_scratch(job.id)
            with suppress(CallsheetError):  # the index can't be written: the lease runs out, another worker takes over
                self._outcome(claim)
        finally:
            claim.clean()
            with self._changed:
                del self._claims[owner]

    def _outcome(self, claim: Claim) -> None:
        job, owner = claim.job, claim.owner
        try:
            claim.check()
            made = self._render(claim)
            claim.renew()
            claim.check()  # never publish what another worker is making now
            place(made.path, self._files.video(job.id))
            warnings = (*job.warnings, *made.warnings)
            self._jobs.complete(job.id, owner, keep_seconds=self._keep_seconds, seconds=made.seconds, warnings=warnings)
            self._files.forget_inputs(job.id)
        except Stopped:
            self._jobs.release(job.id, owner)
        except JobFailed as error:
            self._fail(claim, error.code, str(error))
        except CallsheetError:
            raise
        except Exception as error:  # whatever the media libraries raise: the job fails, the worker goes on
            full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
            code = "disk_full" if full else "render_failed"
            self._fail(claim, code, f"rendering failed: {type(error).__name__}: {error}")

    def _fail(self, claim: Claim, code: str, message: str) -> None:
        if self._jobs.fail(claim.job.id, claim.owner, code, message):
            self._files.forget_inputs(claim.job.id)

    def _beat(self) -> None:
        idle = 0
        while not self._closed.wait(_HEARTBEAT_SECONDS):
            with self._changed:
                claims = list(self._claims.values())
                idle = 0 if claims else idle + 1
                if idle > _IDLE_SECONDS:
                    self._heart = None
                    return
            for claim in claims:
                with suppress(CallsheetError):  # a locked index: the next beat may get through
                    claim.renew()


_all: weakref.WeakSet[Workers] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for workers in list(_all):
        workers.close()
