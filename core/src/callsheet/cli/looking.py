"""The commands of `callsheet video` that start nothing: get, list, wait, download, delete."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import click

from callsheet.cli.jobs import VARIANTS, Job, force_option, result, save, timeout_option, to_option
from callsheet.cli.options import Session, calls_a_provider, check_target
from callsheet.cli.output import facts, lines, moment, print_json, say, size_of
from callsheet.cli.progress import of_bytes
from callsheet.client import Client
from callsheet.models import Variant, Video

__all__ = ["delete", "download", "get", "list_", "wait"]

SUFFIXES = {"video": ".mp4", "thumbnail": ".webp", "spritesheet": ".jpg"}


@click.command(short_help="Look at a video.")
@click.argument("id")
@calls_a_provider
def get(session: Session, id: str) -> None:
    """Look at the video ID: how far it is, and what it was made of. A job that failed is shown, and is no error.

    \b
    Example:
      callsheet video get $ID
    """
    with session.client() as client:
        result(session, client.get_video(video_id=id, provider=session.provider))


@click.command("list", short_help="List videos.")
@click.option("--limit", type=click.IntRange(0, 100), metavar="N", help="At most so many.")
@click.option("--order", type=click.Choice(["asc", "desc"]), help="Oldest or newest first.")
@click.option("--after", metavar="ID", help="Those after this one: the last id of the page before.")
@calls_a_provider
def list_(session: Session, limit: int | None, order: str | None, after: str | None) -> None:
    """List the videos of a provider.

    \b
    Examples:
      callsheet video list --limit 10
      callsheet video list --json
    """
    with session.client() as client:
        page = client.list_videos(limit=limit, order=order, after=after, provider=session.provider)  # type: ignore[arg-type]  # click has checked the order
    if session.json:
        print_json(page.wire())
        return
    if session.quiet:
        click.echo("".join(f"{video.id}\n" for video in page.data), nl=False)
        return
    lines(["id", "status", "seconds", "size", "created", "prompt"], [_row(video) for video in page.data])
    if page.has_more and page.data:
        say(f"More: {session.command('video', 'list', '--after', page.last_id or page.data[-1].id)}")


def _row(video: Video) -> list[str]:
    state = f"{video.status} {video.progress} %" if not video.finished and video.progress else video.status
    prompt = " ".join((video.prompt or "").split())
    prompt = prompt if len(prompt) <= 60 else prompt[:57] + "..."
    return [video.id, state, video.seconds or "", video.size or "", moment(video.created_at) or "", prompt]


@click.command(short_help="Wait for a video, and save it.")
@click.argument("id")
@timeout_option
@to_option
@force_option
@calls_a_provider
def wait(session: Session, id: str, timeout: float | None, to: Path | None, force: bool) -> None:
    """Wait until the video ID is done; --to saves it. This is how to go on after Ctrl-C or --no-wait.

    \b
    Examples:
      callsheet video wait $ID --to storm.mp4
      callsheet video wait $ID --timeout 600
    """
    check_target(to, force)
    job = Job("waiting", session, True, timeout, to.expanduser() if to else None, force)
    with session.client() as client:
        job.follow(client, id)


@click.command(short_help="Save a video, or a still of it.")
@click.argument("id")
@click.option(
    "--to", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
    help="The file, or - for standard output; the id is its name otherwise.",
)  # fmt: skip
@click.option("--variant", type=click.Choice(VARIANTS), default="video", show_default=True, help="Which of them.")
@force_option
@calls_a_provider
def download(session: Session, id: str, to: Path | None, variant: str, force: bool) -> None:
    """Save the video ID, or a still of it. The file appears when it is whole; the same command goes on with
    a download that broke off.

    \b
    Examples:
      callsheet video download $ID --to storm.mp4 --force
      callsheet video download $ID --variant thumbnail
      callsheet video download $ID --to - | wc -c
    """
    if str(to) == "-":
        with session.client() as client:
            _to_stdout(client, session, id, variant)
        return
    to = to.expanduser() if to else Path(id[:200] + SUFFIXES.get(variant, ""))
    check_target(to, force)
    again = ["--variant", variant] if variant != "video" else []
    session.resumable("video", "download", id, "--to", str(to), *again, *(["--force"] if force else []))
    with session.client() as client:
        save(client, session, id, to, variant)
    size = to.stat().st_size
    if session.json:
        print_json({"id": id, "variant": variant, "file": str(to), "bytes": size})
    elif session.quiet:
        click.echo(str(to))
    else:
        facts({"id": id, "file": f"{to} ({size_of(size)})"})


def _to_stdout(client: Client, session: Session, id: str, variant: str) -> None:
    if sys.stdout.isatty() or session.json:
        raise click.UsageError(
            "--to - writes the video's bytes to standard output: send it to a file or a program, without --json"
        )
    stdout = sys.stdout.buffer
    with (
        client.download_video(id, variant=cast("Variant", variant), provider=session.provider) as stream,
        of_bytes("downloading", quiet=session.quiet) as told,
    ):
        done = 0
        for chunk in stream:
            stdout.write(chunk)
            done += len(chunk)
            told(done, stream.info.total or stream.info.size)
    stdout.flush()


@click.command(short_help="Delete a video.")
@click.argument("id")
@calls_a_provider
def delete(session: Session, id: str) -> None:
    """Delete the video ID, if it is done or has failed. There is no way back.

    \b
    Example:
      callsheet video delete $ID
    """
    with session.client() as client:
        gone = client.delete_video(video_id=id, provider=session.provider)
    if session.json:
        print_json(gone.wire())
    else:
        click.echo(gone.id if session.quiet else f"deleted {gone.id}")
