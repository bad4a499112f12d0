"""What the commands share that work on a gateway's data directory, whether it runs or not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from callsheet import ConfigurationError
from callsheet_gateway.amounts import micros_of, seconds_of
from callsheet_gateway.config import Configured, make_client, read_config
from callsheet_gateway.key_limits import MOST
from callsheet_gateway.state import State, default_folder

__all__ = ["AtMost", "Dollars", "Duration", "Where", "data_dir_option", "where_options"]

data_dir_option = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), envvar="CALLSHEET_GATEWAY_DIR", metavar="FOLDER",
    help="Where the gateway keeps keys, jobs and its own secrets. [env: CALLSHEET_GATEWAY_DIR]",
)  # fmt: skip
_config_option = click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The gateway's config.yaml, whose gateway.data_dir is meant; --data-dir wins over it.",
)  # fmt: skip


def where_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --data-dir and --config; they arrive as `where`."""

    @data_dir_option
    @_config_option
    @functools.wraps(command)
    def wrapper(data_dir: Path | None, config: Path | None, **rest: Any) -> None:
        command(where=Where(data_dir, config), **rest)

    return wrapper


class Duration(click.ParamType[int]):
    """90s, 15m, 12h, 30d, 2w: in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return seconds_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Dollars(click.ParamType[int]):
    """12.50: in micro-dollars."""

    name = "dollars"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value  # click converts twice where there is a default
        try:
            return micros_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AtMost(click.ParamType[int]):
    """A limit: a number, or `none`, which is 0 here."""

    name = "limit"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text == "none":
            return 0
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= MOST):
            self.fail(f"{text!r:.40} is no limit: a number from 1 on is wanted, or none", param, ctx)
        return int(text)


@frozen
class Where:
    """The data directory that the options name. ConfigurationError for a config that can't be read."""

    data_dir: Path | None
    config: Path | None

    @contextmanager
    def state(self, *, new: bool = False) -> Iterator[State]:
        """The data directory, open. Only who makes the first key may make it `new`."""
        configured = self._configured()
        folder = self.data_dir or (configured.gateway.data_dir if configured else None) or default_folder()
        if not new and not folder.exists():
            raise ConfigurationError(
                f"there is no data directory {folder}; name the gateway's by --data-dir, or its config by --config"
            )
        state = State(folder)
        try:
            yield state
        finally:
            state.close()

    def unknown(self, models: tuple[str, ...]) -> list[str]:
        """Those of some names that the config does not have; none where no config is named."""
        if not models or (configured := self._configured()) is None:
            return []
        known = make_client(configured).router.models
        return [name for name in models if name not in known and name not in list(known)]

    def _configured(self) -> Configured | None:
        return None if self.config is None else read_config(self.config)
