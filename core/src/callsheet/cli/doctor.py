"""`callsheet doctor`: what is installed, what does not load and why, which keys are missing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

import callsheet
from callsheet.cli.failures import FAILED, Failure
from callsheet.cli.options import json_option
from callsheet.cli.output import print_json
from callsheet.cli.plugins import command_points, load
from callsheet.cli.providers import describe, quiet_plugins
from callsheet.client import Client
from callsheet.errors import CallsheetError, PluginError
from callsheet.installed import entry_points, owner_of
from callsheet.operations import OPERATIONS
from callsheet.registry import WRAPS, load_wrap

__all__ = ["doctor", "examine"]

LIBRARIES = ("attrs", "httpx", "pluggy", "pydantic", "click", "rich")
SWITCHES = ("CALLSHEET_PROVIDERS", "CALLSHEET_WRAPS", "CALLSHEET_COMMANDS", "CALLSHEET_DEBUG")


@click.command(short_help="What is installed, what is broken, which keys are missing.")
@json_option
def doctor(json: bool) -> None:
    """Look the installation over: Python, providers, wraps and commands, keys, and who answers by default.

    Ends with 1 if something is broken. A key that is not set is no fault: it is needed only to call its provider.

    \b
    Examples:
      callsheet doctor
      callsheet doctor --json
    """
    report = examine()
    if json:
        print_json(report)
    else:
        for line in _lines(report):
            click.echo(line)
    if problems := report["problems"]:
        raise Failure(f"{len(problems)} {'thing is' if len(problems) == 1 else 'things are'} broken", FAILED)


def examine() -> dict[str, Any]:
    """Everything that doctor knows, as --json shows it. Nothing is called, nothing is sent."""
    with Client() as client, quiet_plugins():
        providers = [describe(info) for info in client.providers()]
        default = _default(client)
        wraps, commands = [*_wraps()], [*_commands()]
    broken = [item for item in [*providers, *wraps, *commands] if item["error"]]
    return {
        "python": {"version": platform.python_version(), "executable": sys.executable, "platform": platform.platform()},
        "callsheet": {"version": callsheet.__version__, "folder": str(Path(callsheet.__file__).parent)},
        "libraries": {name: _version(name) for name in LIBRARIES},
        "environment": {name: os.environ[name] for name in SWITCHES if name in os.environ},
        "providers": providers,
        "wraps": wraps,
        "commands": commands,
        "default": default,
        "problems": [item["error"] for item in broken] or ([] if providers else ["no provider is installed"]),
    }


def _default(client: Client) -> dict[str, str | None]:
    try:
        return {"provider": client.accounts.default().provider, "error": None}
    except CallsheetError as error:
        return {"provider": None, "error": error.message}


def _wraps() -> Iterator[dict[str, str | None]]:
    listed = os.environ.get("CALLSHEET_WRAPS")
    allowed = None if listed is None else {name.strip() for name in listed.split(",")}
    for point in sorted(entry_points(group=WRAPS), key=lambda point: point.name):
        if allowed is None or point.name in allowed:
            error = None
            try:
                load_wrap(point)
            except PluginError as problem:
                error, cause = problem.message, problem.__cause__
                if cause is not None:
                    error = f"wrap '{point.name}' ({point.value}) does not load: {type(cause).__name__}: {cause}"
            yield {"name": point.name, "distribution": owner_of(point)[0], "error": error}


def _commands() -> Iterator[dict[str, str | None]]:
    for name, points in command_points().items():
        error = None
        try:
            load(name, points)
        except Failure as failure:
            error = failure.message
        yield {"name": name, "distribution": owner_of(points[0])[0], "error": error}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lines(report: dict[str, Any]) -> Iterator[str]:
    python, core = report["python"], report["callsheet"]
    yield f"callsheet {core['version']} in {core['folder']}"
    yield f"Python {python['version']} in {python['executable']} on {python['platform']}"
    yield ", ".join(f"{name} {found or 'not installed'}" for name, found in report["libraries"].items())
    for name, value in report["environment"].items():
        yield f"{name}={value}"
    yield "\nProviders"
    yield from (_provider(item) for item in report["providers"])
    if not report["providers"]:
        yield _mark(False, "none is installed: pip install callsheet-NAME")
    for title, key in (("Wraps, around every call", "wraps"), ("Commands of other distributions", "commands")):
        if report[key]:
            yield f"\n{title}"
        for item in report[key]:
            yield _mark(not item["error"], item["error"] or f"{item['name']} ({item['distribution']})")
    chosen = report["default"]
    yield f"\nA call that names no provider goes to: {chosen['provider'] or 'none - ' + chosen['error']}"


def _provider(item: dict[str, Any]) -> str:
    if item["error"]:
        return _mark(False, f"{item['name']} ({item['distribution']} {item['version']}): {item['error']}")
    text = f"{item['name']} ({item['distribution']} {item['version']}): {len(item['operations'])} of {len(OPERATIONS)} operations"
    text += "; needs no key" if item["embedded"] else ""
    text += f"; not set: {', '.join(item['missing'])}" if item["missing"] else ""
    text += f"; unknown operations: {', '.join(item['unknown_hooks'])}" if item["unknown_hooks"] else ""
    return _mark(None if item["missing"] or item["unknown_hooks"] else True, text)


def _mark(good: bool | None, text: str) -> str:
    """A line with its verdict in words: good, not ready, broken."""
    return f"  {'ok  ' if good else 'note' if good is None else 'FAIL'}  {text}"
