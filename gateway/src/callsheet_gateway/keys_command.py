"""`callsheet keys`: who may call the gateway. The commands work on its data directory, whether it runs or not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from callsheet import ConfigurationError
from callsheet.cli.options import json_option
from callsheet.cli.output import lines, moment, print_json, say
from callsheet_gateway.keys import VirtualKey
from callsheet_gateway.state import State, default_folder

__all__ = ["data_dir_option", "keys"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

data_dir_option = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), envvar="CALLSHEET_GATEWAY_DIR", metavar="FOLDER",
    help="Where the gateway keeps keys, jobs and its own secrets. [env: CALLSHEET_GATEWAY_DIR]",
)  # fmt: skip


class Duration(click.ParamType[int]):
    """90s, 15m, 12h, 30d, 2w: in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", str(value))
        if match is None:
            self.fail(f"{value!r} is no duration: write 90s, 15m, 12h, 30d or 2w", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


@click.group(short_help="Make and withdraw keys for the gateway.")
def keys() -> None:
    """Make, list, rotate and disable the keys that programs show to `callsheet serve`.

    A gateway that runs on the same data directory knows of changes within a second.

    \b
    Examples:
      callsheet keys create web-shop --owner shop --model sora-2 --expires-in 30d
      callsheet keys list
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
@data_dir_option
@json_option
def create(
    name: str, owner: str | None, models: tuple[str, ...], expires_in: int | None, data_dir: Path | None, json: bool
) -> None:
    """Make a key called NAME. It is shown now, and never again."""
    expires_at = None if expires_in is None else int(time.time()) + expires_in
    with _state(data_dir, new=True) as state:
        key, secret = state.keys.create(name, owner=owner, models=models or None, expires_at=expires_at)
    _show(key, secret, json)


@keys.command(name="list")
@data_dir_option
@json_option
def list_(data_dir: Path | None, json: bool) -> None:
    """Show all keys, without their secrets."""
    with _state(data_dir) as state:
        found = state.keys.every()
    if json:
        print_json({"keys": [key.document() for key in found]})
        return
    rows = [
        [key.id, key.name, key.owner, key.shown, ", ".join(key.models or ("all",)), _condition(key)] for key in found
    ]
    lines(["id", "name", "owner", "key", "models", "state"], rows)


@keys.command()
@click.argument("key_id", metavar="ID")
@data_dir_option
@json_option
def disable(key_id: str, data_dir: Path | None, json: bool) -> None:
    """Refuse the key ID from now on."""
    with _state(data_dir) as state:
        key = state.keys.disable(key_id)
    if json:
        print_json(key.document())
    else:
        click.echo(f"{key.id} ({key.name}) is disabled.")


@keys.command()
@click.argument("key_id", metavar="ID")
@data_dir_option
@json_option
def rotate(key_id: str, data_dir: Path | None, json: bool) -> None:
    """Give the key ID a new secret. The old one is refused from now on."""
    with _state(data_dir) as state:
        key, secret = state.keys.rotate(key_id)
    _show(key, secret, json)


@keys.command()
@data_dir_option
@json_option
def rotate_root(data_dir: Path | None, json: bool) -> None:
    """Make a new root key, which signs ids and seals tokens from the gateway's next start on.

    Earlier ids, and tokens that are not over, go on working.
    """
    with _state(data_dir) as state:
        number = state.rotate_root()
    if json:
        print_json({"current": number})
    else:
        click.echo(
            f"Root key {number} is the current one. Start the gateway again to use it; earlier ids go on working."
        )


@contextmanager
def _state(folder: Path | None, *, new: bool = False) -> Iterator[State]:
    """The gateway's data directory. Only who makes the first key may make it `new`."""
    folder = folder or default_folder()
    if not new and not folder.exists():
        raise ConfigurationError(f"there is no data directory {folder}; name the gateway's by --data-dir")
    state = State(folder)
    try:
        yield state
    finally:
        state.close()


def _show(key: VirtualKey, secret: str, json: bool) -> None:
    if json:
        print_json({**key.document(), "key": secret})
        return
    click.echo(secret)
    say(f"This is {key.id} ({key.name}), of the owner {key.owner}. The key is shown this once: keep it.")


def _condition(key: VirtualKey) -> str:
    now = time.time()
    if key.usable(now):
        return "good" if key.expires_at is None else f"good until {moment(key.expires_at)}"
    return "disabled" if key.disabled_at is not None else f"over since {moment(key.expires_at)}"
