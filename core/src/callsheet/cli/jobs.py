"""What the commands share that start or follow a job: waiting, saving the result, telling how to go on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
from attrs import frozen

from callsheet.cli.options import Session, calls_a_provider, check_target
from callsheet.cli.output import facts, print_json, say, size_of, video_facts
from callsheet.cli.progress import of_bytes, of_job
from callsheet.client import Client
from callsheet.models import Variant, Video

__all__ = ["VARIANTS", "Job", "force_option", "result", "save", "starts_a_job", "timeout_option", "to_option"]

VARIANTS: tuple[str, ...] = get_args(Variant)
Command = Callable[..., None]

to_option = click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Where to save the video.")
force_option = click.option("--force", is_flag=True, help="Overwrite a file that is there already.")
wait_option = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Stay until the video is done, or leave at once."
)
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer than this; the job goes on."
)


@frozen
class Job:
    """What the user wants of a job: how long to wait for it, and where its result shall go."""

    verb: str
    session: Session
    wait: bool = True
    timeout: float | None = None
    to: Path | None = None
    force: bool = False

    def run(self, client: Client, start: Callable[[], Video]) -> None:
        """Start the job, and follow it to its end if that is wanted."""
        self.session.resumable("video", "list", begun=False)
        video = start()
        self.session.resumable(*self._wait_command(video.id))
        told = _warn(video, frozenset())
        if self.wait:
            self.follow(client, video, told)
        else:
            result(self.session, video)
            if not self.session.quiet:
                say(f"Next: {self.session.command('video', 'wait', video.id, '--to', 'FILE.mp4')}")

    def follow(self, client: Client, video: Video | str, told: frozenset[str] = frozenset()) -> None:
        """Wait for a job, save its video if that is wanted, and print what came of it."""
        id = video if isinstance(video, str) else video.id
        self.session.resumable(*self._wait_command(id))
        with of_job(self.verb, quiet=self.session.quiet) as look:
            done = client.wait(video, on_progress=look, timeout=self.timeout, provider=self.session.provider)
        _warn(done, told)
        if self.to is not None:
            self.session.resumable(*self._wait_command(done.id))
            save(client, self.session, done, self.to)
        result(self.session, done, self.to)
        if self.to is None and not self.session.quiet:
            say(f"Next: {self.session.command('video', 'download', done.id, '--to', 'FILE.mp4')}")

    def _wait_command(self, id: str) -> list[str]:
        words = ["video", "wait", id]
        if self.to is not None:
            words += ["--to", str(self.to)]
        return [*words, "--force"] if self.force else words


def starts_a_job(verb: str) -> Callable[[Command], Command]:
    """Add the options of a command that starts a job; they arrive as the first two arguments, a Session and a Job."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_job(
            session: Session, wait: bool, timeout: float | None, to: Path | None, force: bool, **rest: Any
        ) -> None:
            if not wait and (to is not None or timeout is not None):
                raise click.UsageError("--no-wait does not go with --to and --timeout: there is nothing to save yet")
            check_target(to, force)
            command(session, Job(verb, session, wait, timeout, to.expanduser() if to else None, force), **rest)

        decorated = calls_a_provider(with_job)
        for option in (timeout_option, wait_option, force_option, to_option):  # help shows the last one first
            decorated = option(decorated)
        return decorated

    return decorate


def save(client: Client, session: Session, video: Video | str, to: Path, variant: Any = None) -> None:
    """Download into a file, which appears when it is whole."""
    with of_bytes("downloading", quiet=session.quiet) as told:
        client.download_video(video, to=to, variant=variant, on_bytes=told, provider=session.provider)


def result(session: Session, video: Video, file: Path | None = None) -> None:
    """Print a video, and where it was saved."""
    if session.json:
        print_json(video.wire() | ({"file": str(file)} if file else {}))
    elif session.quiet:
        click.echo(str(file or video.id))
    else:
        facts(video_facts(video) | ({"file": f"{file} ({size_of(file.stat().st_size)})"} if file else {}))


def _warn(video: Video, told: frozenset[str]) -> frozenset[str]:
    """Show the warnings that were not shown yet; give back all that were."""
    for warning in video.warnings or []:
        if warning not in told:
            say(f"warning: {warning}")
    return told | frozenset(video.warnings or [])
