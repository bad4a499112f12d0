"""`callsheet character`: make one out of a clip, look one up."""

from __future__ import annotations

from pathlib import Path

import click

from callsheet.cli.options import Session, calls_a_provider
from callsheet.cli.output import facts, moment, print_json, say
from callsheet.cli.progress import uploading
from callsheet.models import Character

__all__ = ["character"]


@click.group()
def character() -> None:
    """Characters: cut once out of a clip, used in many videos."""


@character.command(short_help="Make a character out of a short clip.")
@click.argument("name")
@click.argument("clip", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", metavar="PROVIDER/MODEL", help="A model of the provider that shall know it.")
@calls_a_provider
def create(session: Session, name: str, clip: Path, model: str | None) -> None:
    """Make the character NAME out of CLIP, a short video that shows it: 2 to 4 seconds of MP4 at most providers.

    Prompts bring the character on by saying NAME. A character can't be changed later.

    \b
    Examples:
      callsheet character create Bunny clip.mp4
      CHARACTER=$(callsheet character create Bunny clip.mp4 --quiet)
    """
    with session.client(model) as client:
        with uploading(clip, quiet=session.quiet) as upload:
            made = client.create_character(name=name, video=upload, model=model, provider=session.provider)
        _show(session, made)
        if not session.quiet:
            prompt = f"{made.name or name} waves at the camera"
            say(f"Next: {session.command('video', 'generate', prompt, '--character', made.id, '--to', 'FILE.mp4')}")


@character.command(short_help="Look a character up.")
@click.argument("id")
@calls_a_provider
def get(session: Session, id: str) -> None:
    """Look the character with this ID up.

    \b
    Example:
      callsheet character get $CHARACTER
    """
    with session.client() as client:
        _show(session, client.get_character(character_id=id, provider=session.provider))


def _show(session: Session, character: Character) -> None:
    if session.json:
        print_json(character.wire())
    elif session.quiet:
        click.echo(character.id)
    else:
        provider = character.meta.provider
        facts(
            {"id": character.id, "name": character.name, "provider": provider, "created": moment(character.created_at)}
        )
