"""`callsheet check`: whether a provider keeps what a provider promises."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from callsheet.cli.failures import FAILED, Failure
from callsheet.cli.kit_run import KitRun, run_kit
from callsheet.cli.options import json_option
from callsheet.cli.output import print_json, printable, say, table
from callsheet.cli.progress import of_parts
from callsheet.cli.providers import quiet_plugins
from callsheet.errors import ConfigurationError
from callsheet.installed import entry_points
from callsheet.operations import OPERATIONS

__all__ = ["check"]

NEEDED = ("anyio", "hypothesis", "pytest", "trio")
WORKS = "works"
REFUSAL = re.compile(r"(?:ERROR: |E +pytest\.UsageError: )(.+)")
"""How pytest says that it was asked for something wrong: before it begins, or while it gathers the checks."""
LINES = 12
"""How many lines of what was seen are shown without --verbose."""


@click.command(short_help="Whether a provider keeps what providers promise.")
@click.argument("name")
@click.option(
    "--wire",
    metavar="MODULE:CLASS",
    help="The vendor's side to check it against (a callsheet.testing.Wire), if not the one that it ships.",
)
@click.option(
    "-k",
    "--only",
    multiple=True,
    metavar="WORD",
    help="Only some checks: an id (W05), a group (shape, wire, streams, errors, leaks), an operation. Repeatable.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write conformance.json, conformance.md, badge.json and junit.xml there.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every check with its outcome, and where failures come from.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and nothing where all is well.")
@json_option
def check(
    name: str, wire: str | None, only: tuple[str, ...], report: Path | None, verbose: bool, quiet: bool, json: bool
) -> None:
    """Run the conformance kit over the installed provider NAME, and say what works, what fails and what to do.

    No vendor is called, and no key is needed: the provider talks to the sample vendor that its distribution ships (the
    entry point of its name in callsheet.wires), which also breaks down in every way that vendors do. Without one, only
    its shape is checked. It needs pip install 'callsheet[testing]', and takes some seconds for each operation.

    Ends with 1 if a check fails. Settings of pytest where you are, its plugins and conftest.py do not matter, and
    nothing is written but the report.

    \b
    Examples:
      callsheet check lantern
      callsheet check lantern --only W01 --only get_video --verbose
      callsheet check lantern -k S04,W01 --report conformance --json
    """
    _require_kit()
    from callsheet.client import Client

    with Client() as client, quiet_plugins():
        client.accounts.registry.provider(name)  # raises what says which there are, or why it does not load
    words = [word for part in only for word in part.replace(",", " ").split()]
    with of_parts(f"checking {name}", quiet=quiet) as told:
        run = run_kit(name, wire=wire, only=words, report=report, told=told)
    _refuse_without_result(run, name, json)
    document = _document(run, name, wire)
    if json:
        print_json(document)
    elif not quiet or document["failures"]:
        _show(document, verbose)
    if run.unwritten:
        raise Failure(f"the report could not be written: {run.unwritten}", FAILED)
    if report is not None and not quiet:
        say(f"Written to {report}: conformance.json, conformance.md, badge.json, junit.xml")
    if failed := document["counted"]["failed"]:
        raise Failure(f"{failed} of {run.number} checks failed", FAILED)


def _require_kit() -> None:
    if missing := [module for module in NEEDED if find_spec(module) is None]:
        raise ConfigurationError(f"checking needs {' and '.join(missing)}: pip install 'callsheet[testing]'")


def _refuse_without_result(run: KitRun, name: str, json: bool) -> None:
    errors = [found[1] for line in run.log if (found := REFUSAL.match(line))]
    if run.unknown and run.checks:
        raise click.UsageError(
            f"--only {', '.join(run.unknown)}: no check, group or operation is named so. Groups:"
            f" {', '.join(run.groups)}. Checks: {', '.join(sorted(run.checks))}"
        )
    if run.report:
        return
    if run.checks and not run.number:
        raise click.UsageError(f"--only leaves nothing to check of {name}")
    if errors:
        raise ConfigurationError(errors[0])
    message, said = f"the checks broke off: pytest ended with {run.code}", run.log[-25:]
    document = {"error": {"message": message, "type": "Failure", "log": said}} if json else None
    raise Failure(message, FAILED, hints=tuple(said), document=document)


def _document(run: KitRun, name: str, wire: str | None) -> dict[str, Any]:
    """What conformance.json says of the provider, and of each failure what was seen."""
    shipped = next((point.value for point in entry_points("callsheet.wires") if point.name == name), None)
    failures = []
    for row in run.report["checks"]:
        if row["outcome"] == "failed":
            told = run.failed.get((row["id"], row["operation"] or ""), {})
            failures.append(
                {
                    "id": row["id"],
                    "operation": row["operation"],
                    "must": run.checks[row["id"]]["title"],
                    "seen": told.get("seen") or row["reason"] or "",
                    "if_this_fails": run.checks[row["id"]]["remedy"],
                    "see": row["see"],
                    "trace": told.get("trace", ""),
                }
            )
    return {**run.report, "wire": wire or shipped, "failures": failures}


def _show(document: dict[str, Any], verbose: bool) -> None:
    wire = document["wire"]
    owner = f"{document['distribution']} {document['version']}".strip()
    click.echo(f"{document['name']} ({owner}), " + (f"talking to {wire}" if wire else "without a vendor to talk to"))
    click.echo()
    rows = document["checks"]
    named = {name: Counter(row["outcome"] for row in rows if row["operation"] == name) for name in OPERATIONS}
    table(
        ["operation", "result", "checks"],
        [[name, document["operations"][name], _counts(named[name])] for name in OPERATIONS],
    )
    if verbose:
        click.echo()
        table(["check", "operation", "outcome", "reason"], [_row(row) for row in rows])
    for line in _told(document["failures"], verbose):
        click.echo(printable(line))
    known = [row for row in rows if row["outcome"] == "known failure"]
    for line in dict.fromkeys(f"known  {row['id']} {row['operation'] or ''}: {row['reason']}" for row in known):
        click.echo(printable(line))
    click.echo()
    click.echo(_counts(Counter(document["counted"])))
    if wire is None:
        skipped = any(row["outcome"] == "skipped" and "embedded" in (row["reason"] or "") for row in rows)
        if not skipped:
            say(
                "Only its shape was checked: there is no vendor for it to talk to. Ship one (a callsheet.testing.Wire, by an"
                " entry point in the group callsheet.wires), or name one by --wire MODULE:CLASS."
            )


def _row(row: dict[str, Any]) -> list[str]:
    return [row["id"], row["operation"] or "", row["outcome"], row["reason"] or ""]


def _told(failures: Sequence[dict[str, Any]], verbose: bool) -> Iterator[str]:
    """Each check that failed once, with what was seen in each operation."""
    for id in dict.fromkeys(failure["id"] for failure in failures):
        same = [failure for failure in failures if failure["id"] == id]
        yield f"\nFAIL  {id}  {same[0]['must']}"
        for seen in dict.fromkeys(failure["seen"] for failure in same):
            names = [failure["operation"] for failure in same if failure["seen"] == seen]
            yield f"      {', '.join(filter(None, names)) or 'the provider'}:"
            lines = _sense(seen).splitlines() or ["(nothing was said)"]
            yield from (f"        {line}" for line in (lines if verbose else lines[:LINES]))
            if len(lines) > LINES and not verbose:
                yield f"        ... {len(lines) - LINES} more lines: --verbose"
        if verbose and (trace := same[0]["trace"]):
            yield textwrap.indent(trace, "      | ")
        yield f"      If this fails: {same[0]['if_this_fails']}"
        yield f"      See {same[0]['see']}; only this: --only {id}"


def _sense(seen: str) -> str:
    if seen.startswith("[XPASS(strict)]"):
        return f"it passes, and stands in known_failures of the wire:{seen.removeprefix('[XPASS(strict)]')}"
    return seen.removeprefix("AssertionError: ")


def _counts(counted: Counter[str]) -> str:
    return ", ".join(
        f"{counted[outcome]} {outcome}"
        for outcome in ("passed", "failed", "known failure", "skipped")
        if counted[outcome]
    )
