"""`callsheet keys`: who may call the gateway, and how much. The commands work on its data directory, whether it runs or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
from attrs import evolve

from callsheet import NotFoundError
from callsheet.cli.options import json_option
from callsheet.cli.output import lines, moment, print_json, say
from callsheet_gateway.budgets import Budgets, Kind, check
from callsheet_gateway.command_options import AtMost, Dollars, Duration, Where, where_options
from callsheet_gateway.key_limits import Caps
from callsheet_gateway.keys import VirtualKey

__all__ = ["keys"]

Document = dict[str, object]


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --rpm, --tpm and --max-parallel; 0 stands for none."""
    options = {
        "--rpm": ("rpm", "Requests for providers in any minute."),
        "--tpm": ("tpm", "Tokens in any minute, of requests and answers together."),
        "--max-parallel": ("max_parallel_requests", "Requests for providers at once, streams included."),
    }
    for name, (given, says) in reversed(options.items()):
        command = click.option(name, given, type=AtMost(), metavar="N", help=f"{says} A number, or none.")(command)
    return command


_per_option = click.option(
    "--per", type=Duration(), metavar="TIME", help="How long the budget is for: 1h, 1d, 30d. Default: for ever."
)


@click.group(short_help="Make and withdraw keys for the gateway.")
def keys() -> None:
    """Make, list, limit, rotate and disable the keys that programs show to `callsheet serve`.

    A gateway that runs on the same data directory knows of changes within a second.

    \b
    Examples:
      callsheet keys create web-shop --owner shop --model sora-2 --expires-in 30d --rpm 60 --budget 25 --per 30d
      callsheet keys list
      callsheet keys budget --owner shop 100 --per 30d
      callsheet keys disable key_1a2b...
    """


@keys.command()
@click.argument("name")
@click.option(
    "--owner", metavar="TENANT", help="Whose jobs it may see. Keys of one owner share them. Default: its own."
)
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="A model that it may use; repeatable. Default: all."
)
@click.option(
    "--expires-in", type=Duration(), metavar="TIME", help="When it is over: 90s, 15m, 12h, 30d or 2w from now."
)
@_limit_options
@click.option("--budget", type=Dollars(), metavar="DOLLARS", help="What it may spend.")
@_per_option
@where_options
@json_option
def create(
    where: Where,
    name: str,
    owner: str | None,
    models: tuple[str, ...],
    expires_in: int | None,
    budget: int | None,
    per: int | None,
    json: bool,
    **limits: int | None,
) -> None:
    """Make a key called NAME. It is shown now, and never again."""
    if per is not None and budget is None:
        raise click.UsageError("--per is about a --budget")
    check(budget or 0, per)
    expires_at = None if expires_in is None else int(time.time()) + expires_in
    caps = Caps(**{name: value or None for name, value in limits.items()})
    for model in where.unknown(models):
        say(f"warning: there is no model {model!r} in the config")
    with where.state(new=True) as state:
        key, secret = state.keys.create(name, owner=owner, models=models or None, expires_at=expires_at, caps=caps)
        if budget is not None:
            state.budgets.set("key", key.id, budget, per)
        document = _document(key, state.budgets)
    _show(key, secret, document, json)


@keys.command(name="list")
@where_options
@json_option
def list_(where: Where, json: bool) -> None:
    """Show all keys, without their secrets, and what is spent of their budgets."""
    with where.state() as state:
        found = state.keys.every()
        budgets = {key.id: state.budgets.shown("key", key.id) for key in found}
        owners = state.budgets.owners()
    if json:
        print_json({"keys": [{**key.document(), "budget": budgets[key.id]} for key in found], "owner_budgets": owners})
        return
    rows = [
        [
            key.id, key.name, key.owner, key.shown, ", ".join(key.models or ("all",)), str(key.caps) or "none",
            _budget(budgets[key.id]), _condition(key),
        ]
        for key in found
    ]  # fmt: skip
    lines(["id", "name", "owner", "key", "models", "limits", "budget", "state"], rows)
    if owners:
        click.echo()
        lines(["owner", "budget"], [[str(shown["subject"]), _budget(shown)] for shown in owners])


@keys.command()
@click.argument("key_id", metavar="ID")
@_limit_options
@where_options
@json_option
def limits(where: Where, key_id: str, json: bool, **given: int | None) -> None:
    """Change the limits of the key ID. Those that are not named stay."""
    changed = {name: value or None for name, value in given.items() if value is not None}
    if not changed:
        raise click.UsageError("say which limit: --rpm, --tpm or --max-parallel, with a number or none")
    with where.state() as state:
        key = state.keys.limit(key_id, evolve(state.keys.sure(key_id).caps, **changed))
        document = _document(key, state.budgets)
    if json:
        print_json(document)
    else:
        click.echo(
            f"{key.id} ({key.name}) may have: {key.caps}." if key.caps else f"{key.id} ({key.name}) has no limits."
        )


@keys.command()
@click.argument("words", nargs=-1, required=True, metavar="[ID] DOLLARS|none")
@click.option("--owner", metavar="TENANT", help="An owner's budget, which all his keys share, in the place of a key's.")
@_per_option
@where_options
@json_option
def budget(where: Where, words: tuple[str, ...], owner: str | None, per: int | None, json: bool) -> None:
    """Say what the key ID, or an owner, may spend; `none` lifts it.

    With the same --per as before what was spent stays spent. To begin anew, lift the budget and give it again.

    \b
    Examples:
      callsheet keys budget key_1a2b... 25 --per 30d
      callsheet keys budget --owner shop 100 --per 1d
      callsheet keys budget --owner shop none
    """
    if len(words) != (2 if owner is None else 1):
        raise click.UsageError("name a key and an amount, or --owner TENANT and an amount")
    amount = None if words[-1] == "none" else Dollars().convert(words[-1], None, click.get_current_context())
    if amount is None and per is not None:
        raise click.UsageError("--per is about an amount")
    kind: Kind = "key" if owner is None else "owner"
    subject = words[0] if owner is None else owner
    with where.state() as state:
        if kind == "key":
            state.keys.sure(subject)
        elif all(key.owner != owner for key in state.keys.every()):
            raise NotFoundError(f"no key is of an owner {owner!r:.80}; `callsheet keys list` shows them")
        if amount is None:
            state.budgets.remove(kind, subject)
        else:
            state.budgets.set(kind, subject, amount, per)
        shown = state.budgets.shown(kind, subject)
    if json:
        print_json({"budget": shown})
    else:
        click.echo(f"{subject}: {_budget(shown)}" if shown else f"{subject} has no budget any more.")


@keys.command()
@click.argument("key_id", metavar="ID")
@where_options
@json_option
def disable(where: Where, key_id: str, json: bool) -> None:
    """Refuse the key ID from now on."""
    with where.state() as state:
        key = state.keys.disable(key_id)
        document = _document(key, state.budgets)
    if json:
        print_json(document)
    else:
        click.echo(f"{key.id} ({key.name}) is disabled.")


@keys.command()
@click.argument("key_id", metavar="ID")
@where_options
@json_option
def rotate(where: Where, key_id: str, json: bool) -> None:
    """Give the key ID a new secret. The old one is refused from now on."""
    with where.state() as state:
        key, secret = state.keys.rotate(key_id)
        document = _document(key, state.budgets)
    _show(key, secret, document, json)


@keys.command()
@where_options
@json_option
def rotate_root(where: Where, json: bool) -> None:
    """Make a new root key, which signs ids and seals tokens from the gateway's next start on.

    Earlier ids, and tokens that are not over, go on working.
    """
    with where.state() as state:
        number = state.rotate_root()
    if json:
        print_json({"current": number})
    else:
        click.echo(
            f"Root key {number} is the current one. Start the gateway again to use it; earlier ids go on working."
        )


def _document(key: VirtualKey, budgets: Budgets) -> Document:
    return {**key.document(), "budget": budgets.shown("key", key.id)}


def _show(key: VirtualKey, secret: str, document: Document, json: bool) -> None:
    if json:
        print_json({**document, "key": secret})
        return
    click.echo(secret)
    say(f"This is {key.id} ({key.name}), of the owner {key.owner}. The key is shown this once: keep it.")


def _budget(shown: Any) -> str:
    """A budget and what is spent of it, in words."""
    if shown is None:
        return "none"
    per = f" per {shown['period']}, until {moment(shown['ends_at'])}" if shown["period"] else ""
    aside = "" if shown["reserved"] == "0.000000" else f", {shown['reserved']} set aside"
    return f"{shown['spent']} spent{aside} of {shown['amount']}{per}"


def _condition(key: VirtualKey) -> str:
    now = time.time()
    if key.usable(now):
        return "good" if key.expires_at is None else f"good until {moment(key.expires_at)}"
    return "disabled" if key.disabled_at is not None else f"over since {moment(key.expires_at)}"
