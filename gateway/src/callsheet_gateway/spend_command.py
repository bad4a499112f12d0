"""`callsheet spend`: what was spent. It reads the gateway's data directory, whether it runs or not."""

from __future__ import annotations

import csv
import sys
import time
import unicodedata

import click

from callsheet.cli.options import json_option
from callsheet.cli.output import lines, print_json
from callsheet_gateway.command_options import Where, where_options
from callsheet_gateway.spend import GROUPS, MOST, Asked, Sum, moment_of, sums

__all__ = ["spend"]

_FORMULA = ("=", "+", "-", "@")
"""What a formula begins with."""


class _Groups(click.ParamType[tuple[str, ...]]):
    """Names with commas: key,model,day."""

    name = "groups"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        if len(set(names)) < len(names) or set(names) - set(GROUPS):
            self.fail(f"{value!r}: names out of {', '.join(GROUPS)} are wanted, with commas", param, ctx)
        return names


class _Moment(click.ParamType[float]):
    """A day, or a length of time before now."""

    name = "moment"

    def __init__(self, *, end: bool = False) -> None:
        self.end = end

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else moment_of(str(value), time.time(), end=self.end)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


@click.command(short_help="What was spent through the gateway.")
@click.option(
    "--by", type=_Groups(), default="model", show_default=True, metavar="NAMES",
    help=f"What to sum up by, with commas: {', '.join(GROUPS)}.",
)  # fmt: skip
@click.option(
    "--since", type=_Moment(), metavar="TIME", help="Calls from then on: 7d ago, or a day such as 2026-11-01."
)
@click.option("--until", type=_Moment(end=True), metavar="TIME", help="Calls up to then, a day included.")
@click.option("--owner", metavar="TENANT", help="Only those of an owner.")
@click.option("--key", metavar="ID", help="Only those of a key.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@where_options
@json_option
def spend(
    where: Where,
    by: tuple[str, ...],
    since: float | None,
    until: float | None,
    owner: str | None,
    key: str | None,
    as_csv: bool,
    json: bool,
) -> None:
    """Show what calls have cost, in dollars. Days are UTC's, and a call counts on the day on which it began.

    Beside what is known stands what is not: calls that go on and the money that is set aside for them, calls of which
    nobody knows what became of them and the most that they can have cost, and calls whose price is not known.

    \b
    Examples:
      callsheet spend
      callsheet spend --by owner,model --since 30d
      callsheet spend --by day --since 2026-11-01 --until 2026-11-30 --csv
    """
    if as_csv and json:
        raise click.UsageError("--csv and --json are two ways of saying it; choose one")
    asked = Asked(by, since, until, () if owner is None else (owner,), key)
    with where.state() as state:
        found, whole = sums(state.database, asked)
    shown = found[:MOST]
    if json:
        data = [one.document() for one in shown]
        print_json({"data": data, "has_more": len(found) > MOST, "total": whole.document()})
    elif as_csv:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        documents = [one.document() for one in shown]
        named = ["key_name"] if "key" in by else []
        rows.writerow([*by, *named, *whole.figures()])
        rows.writerows([_cell(value) for value in document.values()] for document in documents)
    else:
        columns = ["calls", "dollars", "running", "set aside", "unknown", "at most", "unpriced"]
        table = [[*_named(one), *_figures(one)] for one in shown]
        lines([*by, *columns], [*table, [*["total", *[""] * (len(by) - 1)], *_figures(whole)]])
    if len(found) > MOST:
        click.echo(f"warning: only the first {MOST} are shown; narrow it by --since, --owner or --key", err=True)


def _cell(value: object) -> object:
    """A value as it may stand in a table. Callers choose names of models: one that begins like a formula is not to become
    one in whose spreadsheet it is opened, and what steers a terminal is left out."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = "".join(character for character in value if unicodedata.category(character) != "Cc")
    # Wide signs are taken for the same by some; and spaces before them, tabs and the like, are dropped.
    return f"'{text}" if unicodedata.normalize("NFKC", text.lstrip()).startswith(_FORMULA) else text


def _named(one: Sum) -> list[str]:
    group = {name: value or "" for name, value in one.group.items()}
    if "key" in group and one.key_name:
        group["key"] = f"{group['key']} ({one.key_name})".strip()
    return list(group.values())


def _figures(one: Sum) -> list[str]:
    return [str(value) for value in one.figures().values()]
