"""How far something is: a bar on a terminal; otherwise plain lines, at most one a second and only when there is news."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, Self

import click

from callsheet.body import Upload
from callsheet.cli.output import size_of
from callsheet.models import Video

__all__ = ["Lines", "Progress", "of_bytes", "of_job", "of_parts", "uploading"]

GAP = 1.0


class Progress(Protocol):
    """Something that can be told how far the work is. A context manager: it is over when the block ends."""

    def update(self, done: float, total: float | None, state: str = "") -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...


@contextmanager
def of_job(what: str, *, quiet: bool = False) -> Iterator[Callable[[Video], None]]:
    """Show how far a job is, with rate and time left. Gives what `wait` takes as `on_progress`."""
    with _shown(what, "%", quiet) as progress:

        def look(video: Video) -> None:
            done = 100 if video.status == "completed" else video.progress or 0
            progress.update(done, None if video.status == "queued" else 100, video.status.replace("_", " "))

        yield look


@contextmanager
def of_bytes(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many bytes there are, with rate and time left. Gives what `download_video` takes as `on_bytes`."""
    with _shown(what, "bytes", quiet) as progress:
        yield lambda done, total: progress.update(done, total)


@contextmanager
def of_parts(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show how much of a work in parts is done. Gives a function of how many are done, and of how many there are."""
    with _shown(what, "%", quiet) as progress:
        progress.update(0, None, "starting")
        yield lambda done, total: progress.update(100 * done / total if total else 100, 100)


@contextmanager
def uploading(path: Path, *, quiet: bool = False) -> Iterator[Upload]:
    """A file to send, that shows how much of it was read."""
    upload = Upload.of(path)
    with path.open("rb") as file, of_bytes("uploading", quiet=quiet) as told:

        class Counted:
            """The file, with a look at each piece."""

            def seek(self, position: int) -> int:
                return file.seek(position)

            def read(self, size: int = -1) -> bytes:
                piece = file.read(size)
                told(file.tell(), upload.size)
                return piece

        upload.source = Counted()
        yield upload


def _shown(what: str, unit: str, quiet: bool) -> Progress:
    if quiet:
        return _Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from callsheet.cli.bar import Bar

        return Bar(what, unit)
    return Lines(what, unit)


class _Silent(nullcontext[None]):
    """Shows nothing."""

    def __enter__(self) -> Self:  # type: ignore[override]  # the block is given this, not None
        return self

    def update(self, done: float, total: float | None, state: str = "") -> None:
        """Nothing."""


class Lines:
    """Plain lines on stderr: for logs, pipes and screen readers."""

    def __init__(
        self,
        what: str,
        unit: str,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what, self.unit, self.clock = what, unit, clock
        self.write = write or (lambda line: click.echo(line, err=True))
        self.started = clock()
        self.spoke = self.started - GAP if unit == "%" else self.started  # a small file needs no line but the last
        self.last = self.news = ""
        self.first: tuple[float, float] | None = None

    def update(self, done: float, total: float | None, state: str = "") -> None:
        """Say it, unless something was said within the last second; the last word is always said."""
        now = self.clock()
        if total is not None and self.first is None:
            self.first = (now, done)
        self.news = f"{self.what}: {self._words(done, total, state, now)}"
        if now - self.spoke >= GAP:
            self._speak(now)

    def _speak(self, now: float) -> None:
        if self.news != self.last:
            self.write(self.news)
            self.last, self.spoke = self.news, now

    def _words(self, done: float, total: float | None, state: str, now: float) -> str:
        if total is not None and done >= total:
            amount = "" if self.unit == "%" else f"{size_of(done)} "
            return f"{amount}{state or 'done'} in {now - self.started:.1f} s"
        if self.unit == "%":
            return f"{done:.0f} %{self._pace(done, total, now)}" if total is not None else state
        return f"{size_of(done)}{'' if total is None else f' of {size_of(total)}'}{self._pace(done, total, now)}"

    def _pace(self, done: float, total: float | None, now: float) -> str:
        if self.first is None or now <= self.first[0] or done <= self.first[1]:
            return ""
        rate = (done - self.first[1]) / (now - self.first[0])
        pace = f"{rate:.0f} %/s" if self.unit == "%" else f"{size_of(rate)}/s"
        return f" ({pace}{'' if total is None else f', {(total - done) / rate:.0f} s left'})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._speak(self.clock())
