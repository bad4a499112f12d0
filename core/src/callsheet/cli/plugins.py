"""Commands of other distributions: entry points of the group `callsheet.commands`, each the name of a click command."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint

import click

from callsheet.cli.failures import SETUP, Failure
from callsheet.installed import entry_points, owner_of

__all__ = ["GROUP", "OWN", "command_points", "load", "plugin_command"]

GROUP = "callsheet.commands"
OWN = ("character", "chat", "check", "doctor", "new-provider", "providers", "realtime", "respond", "response", "video")
"""Our own commands: no plugin can take their names."""


def command_points() -> dict[str, list[EntryPoint]]:
    """What is offered under each name. CALLSHEET_COMMANDS, names with commas, restricts what may load."""
    listed = os.environ.get("CALLSHEET_COMMANDS")
    allowed = None if listed is None else {name.strip() for name in listed.split(",")}
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if allowed is None or point.name in allowed:  # seen twice by way of two folders on sys.path is seen once
            found.setdefault(point.name, {})[_owner(point), point.value] = point
    return {name: list(points.values()) for name, points in sorted(found.items())}


def load(name: str, points: list[EntryPoint]) -> click.Command:
    """Import a command. Raises Failure, which says what is wrong and whose plugin it is."""
    owners = " and ".join(sorted(_owner(point) for point in points))
    if name in OWN:
        raise Failure(
            f"command '{name}' of {owners} is never called: callsheet has a command of this name itself", SETUP
        )
    if len(points) > 1:
        raise Failure(f"command '{name}' is offered by {owners}; uninstall one of them", SETUP)
    try:
        command = points[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Failure(
            f"command '{name}' ({points[0].value} of {owners}) does not load: {type(error).__name__}: {error}", SETUP
        ) from error
    if not isinstance(command, click.Command):
        raise Failure(
            f"command '{name}' ({points[0].value} of {owners}) is not a click command but a {type(command).__name__}",
            SETUP,
        )
    return command


def plugin_command(name: str) -> click.Command | None:
    """The command of a name, None if nobody offers it. A broken one is a command that says what is wrong with it."""
    points = command_points().get(name)
    if points is None:
        return None
    try:
        return load(name, points)
    except Failure as failure:
        return _broken(name, failure)


def _broken(name: str, failure: Failure) -> click.Command:
    def tell(**_: object) -> None:
        raise failure

    return click.Command(
        name,
        callback=tell,
        short_help=f"(broken) {failure.message}",
        help=f"This command is broken.\n\n{failure.message}",
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
    )


def _owner(point: EntryPoint) -> str:
    return " ".join(owner_of(point)).strip()
