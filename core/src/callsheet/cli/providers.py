"""`callsheet providers`: what is installed, and what it can do."""

from __future__ import annotations

import difflib
import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import Any

import attrs
import click

from callsheet.cli.options import json_option
from callsheet.cli.output import print_json, say, table
from callsheet.client import Client
from callsheet.operations import OPERATIONS
from callsheet.registry import ProviderInfo

__all__ = ["describe", "providers", "quiet_plugins", "remarks"]


def _operation(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None or value in OPERATIONS:
        return value
    close = difflib.get_close_matches(value, OPERATIONS, 1)
    guess = f" Did you mean {close[0]}?" if close else ""
    raise click.BadParameter(f"no operation is named '{value}'.{guess} There are: {', '.join(OPERATIONS)}")


@click.command(short_help="What is installed, and what it can do.")
@click.option("--operation", metavar="NAME", callback=_operation, help="Who can do this, such as edit, and who can't.")
@json_option
def providers(operation: str | None, json: bool) -> None:
    """List the installed providers with the operations that they offer. One that does not load is listed with its error.

    \b
    Examples:
      callsheet providers
      callsheet providers --operation edit
      callsheet providers --json
    """
    with Client() as client, quiet_plugins():
        found = client.providers()
    if json:
        print_json([describe(info, operation) for info in found])
    elif not found:
        say("No provider is installed. Each is a distribution of its own: pip install callsheet-NAME")
    elif operation:
        found.sort(key=lambda info: (operation not in info.operations, info.name))
        rows = [[info.name, _distribution(info), _can(info, operation), _why(info, operation)] for info in found]
        table(["name", "distribution", operation, "notes"], rows)
    else:
        table(
            ["name", "distribution", "models", "operations", "notes"],
            [[info.name, _distribution(info), _models(info), _operations(info), remarks(info)] for info in found],
        )


def quiet_plugins() -> AbstractContextManager[object]:
    """While plugins are imported: what they print goes to stderr. Standard output is the command's own."""
    return redirect_stdout(sys.stderr)


def describe(info: ProviderInfo, operation: str | None = None) -> dict[str, Any]:
    """A provider as --json shows it."""
    document = attrs.asdict(info)
    return document if operation is None else {**document, operation: operation in info.operations}


def remarks(info: ProviderInfo) -> str:
    """What else there is to say: the error, what is missing, the provider's own notes."""
    if info.error:
        return info.error
    said = ["needs no key"] if info.embedded else []
    said += [f"{name} is not set" for name in info.missing]
    same: dict[str, list[str]] = {}
    for operation, note in info.notes.items():
        same.setdefault(note, []).append(operation)
    said += [f"{', '.join(operations)}: {note}" for note, operations in same.items()]
    said += [f"unknown operation {hook}" for hook in info.unknown_hooks]
    return "; ".join(said)


def _distribution(info: ProviderInfo) -> str:
    return f"{info.distribution} {info.version}".strip()


def _models(info: ProviderInfo) -> str:
    """The names to call its models by, where it names any."""
    return ", ".join(f"{info.name}/{model}" for model in info.models)


def _operations(info: ProviderInfo) -> str:
    if len(info.operations) == len(OPERATIONS):
        return "all"
    return "" if info.error else ", ".join(info.operations) or "none"


def _can(info: ProviderInfo, operation: str) -> str:
    if info.error:
        return "broken"
    return "yes" if operation in info.operations else "no"


def _why(info: ProviderInfo, operation: str) -> str:
    if info.error or operation in info.operations:
        return "; ".join(filter(None, [info.notes.get(operation, ""), remarks(attrs.evolve(info, notes={}))]))
    return info.notes.get(operation, "")
