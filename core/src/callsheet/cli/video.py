"""`callsheet video`: the commands that start a job. Those that look at videos are in `looking`."""

from __future__ import annotations

from pathlib import Path

import click

from callsheet.cli import looking
from callsheet.cli.jobs import Job, starts_a_job
from callsheet.cli.options import Session

__all__ = ["video"]


@click.group()
def video() -> None:
    """Videos: generate, look at, save, edit, extend, delete."""


for command in (looking.get, looking.list_, looking.wait, looking.download, looking.delete):
    video.add_command(command)


@video.command(short_help="Render a video from words.")
@click.argument("prompt")
@click.option("--seconds", metavar="N", help="How long the video shall be.")
@click.option("--size", metavar="WxH", help="In pixels, such as 1280x720.")
@click.option(
    "--character",
    "characters",
    multiple=True,
    metavar="ID",
    help="Who appears; the prompt must say the name. Repeatable.",
)
@click.option("--reference", metavar="FILE", help="An image to begin with: a file, or an http(s) address.")
@click.option("--model", metavar="PROVIDER/MODEL", help="What renders it.")
@starts_a_job("rendering")
def generate(
    session: Session,
    job: Job,
    prompt: str,
    seconds: str | None,
    size: str | None,
    characters: tuple[str, ...],
    reference: str | None,
    model: str | None,
) -> None:
    """Render a video of what PROMPT says.

    Waits until it is done, unless --no-wait; --to saves it. After Ctrl-C, the id and the command to go on with
    are printed.

    \b
    Examples:
      callsheet video generate "A lighthouse in a storm" --seconds 4 --to storm.mp4
      callsheet video generate "Bunny waves" --character $CHARACTER --size 1280x720 --to wave.mp4
      ID=$(callsheet video generate "A quiet street at dawn" --no-wait --quiet)
    """
    with session.client(model) as client:
        job.run(
            client,
            lambda: client.generate_video(
                prompt=prompt,
                seconds=seconds,
                size=size,
                characters=characters or None,
                input_reference=_image(reference),
                model=model,
                provider=session.provider,
            ),
        )


@video.command(short_help="Change a video by words.")
@click.argument("id")
@click.argument("prompt")
@starts_a_job("editing")
def edit(session: Session, job: Job, id: str, prompt: str) -> None:
    """Make a video that is the video ID, changed as PROMPT says. The old one stays as it is.

    \b
    Example:
      callsheet video edit $ID "Warm golden hour light" --to warm.mp4
    """
    with session.client() as client:
        job.run(client, lambda: client.edit(video=id, prompt=prompt, provider=session.provider))


@video.command(short_help="Continue a video.")
@click.argument("id")
@click.argument("prompt")
@click.option("--seconds", metavar="N", help="How much shall be added.")
@starts_a_job("extending")
def extend(session: Session, job: Job, id: str, prompt: str, seconds: str | None) -> None:
    """Make a video that is the video ID and then goes on as PROMPT says. The old one stays as it is.

    \b
    Example:
      callsheet video extend $ID "The rain stops and the sun comes out" --seconds 4 --to longer.mp4
    """
    with session.client() as client:
        job.run(client, lambda: client.extend(video=id, prompt=prompt, seconds=seconds, provider=session.provider))


@video.command(short_help="Make a video anew with another prompt.")
@click.argument("id")
@click.argument("prompt")
@starts_a_job("remixing")
def remix(session: Session, job: Job, id: str, prompt: str) -> None:
    """Make the video ID anew, with PROMPT in place of its own (the older form of `edit`).

    \b
    Example:
      callsheet video remix $ID "The same street, in the snow" --to snow.mp4
    """
    with session.client() as client:
        job.run(client, lambda: client.remix(video_id=id, prompt=prompt, provider=session.provider))


def _image(reference: str | None) -> str | Path | None:
    """The address of an image, or the path of a file that is there."""
    if reference is None or reference.startswith(("http://", "https://")):
        return reference
    path = Path(reference).expanduser()
    if not path.is_file():
        raise click.BadParameter(f"{reference} is not a file", param_hint="--reference")
    return path
