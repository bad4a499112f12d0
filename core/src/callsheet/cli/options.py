"""The options that commands share, and the session that they describe: which provider, how it answers."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from attrs import Factory, define, field
from pydantic import SecretStr

from callsheet.cli.failures import Resume

if TYPE_CHECKING:
    from callsheet.client import Client

__all__ = ["JSON_KEY", "RESUME_KEY", "Session", "calls_a_provider", "check_target", "json_option"]

JSON_KEY = "callsheet.cli.json"
RESUME_KEY = "callsheet.cli.resume"
Command = Callable[..., None]


@define
class Session:
    """Which provider the user means, and in what form the answer is wanted."""

    provider: str | None = None
    base_url: str | None = None
    settings: dict[str, str] = Factory(dict)
    json: bool = False
    quiet: bool = False
    _meant: str | None = field(default=None, init=False)
    """Whose the address and the settings are, where no --provider says it."""

    def client(self, model: str | None = None) -> Client:
        """A client with these settings. Without --provider, they are for the model's provider or the default one."""
        from callsheet.client import Client

        if not (self.settings or self.base_url):
            return Client(model, provider=self.provider)
        name = self.provider or (model.partition("/")[0] if model and "/" in model else None)
        with Client() as plain:
            name = name or plain.accounts.default().provider
            _refuse_secrets(self.settings, plain.accounts.registry.provider(name).Settings.model_fields)
        self._meant = name
        return Client(model, provider=name, base_url=self.base_url, settings=self.settings)

    def command(self, *words: str, provider: str | None = None) -> str:
        """A command line for later, that means the same provider as this one; `provider` is it where only a model said so."""
        said = {"provider": self.provider or self._meant or provider, "base_url": self.base_url}
        options = [word for name, value in said.items() if value for word in _flag(name, value)]
        for name, value in self.settings.items():
            options += ["--setting", f"{name}={value}"]
        return shlex.join(["callsheet", *words, *options])

    def resumable(self, *words: str, begun: bool = True, says: str = "Go on with") -> None:
        """From now on, whoever interrupts this command is told this one to go on with, or to see what was begun."""
        click.get_current_context().meta[RESUME_KEY] = Resume(self.command(*words), begun, says)


def _flag(name: str, value: str) -> list[str]:
    return [f"--{name.replace('_', '-')}", value]


def _refuse_secrets(settings: dict[str, str], fields: dict[str, Any]) -> None:
    for name in settings:
        annotation = fields[name].annotation if name in fields else None
        if annotation is SecretStr or SecretStr in get_args(annotation):
            raise click.UsageError(
                f"--setting {name}: secrets on a command line are seen by everybody on this machine;"
                " set the environment variable that `callsheet doctor` names"
            )


def _pairs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
        pairs[name.strip().replace("-", "_")] = rest
    return pairs


def _remember_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON_KEY] = value
    return value


json_option = click.option(
    "--json", is_flag=True, callback=_remember_json, help="Print one JSON document, also when it fails."
)


def calls_a_provider(command: Command) -> Command:
    """Add the options that say which provider is called; they arrive as the first argument, a Session."""

    @json_option
    @click.option(
        "-q", "--quiet", is_flag=True, help="Print only the result (an id, a path, an answer), and no progress."
    )
    @click.option(
        "--setting", "settings", multiple=True, metavar="KEY=VALUE", callback=_pairs, help="A setting of the provider."
    )
    @click.option("--base-url", metavar="URL", help="Where the provider is, if not at its usual address.")
    @click.option("--provider", metavar="NAME", help="The provider, where neither an id nor a model says it.")
    @functools.wraps(command)
    def wrapper(
        provider: str | None, base_url: str | None, settings: dict[str, str], quiet: bool, json: bool, **rest: Any
    ) -> None:
        command(Session(provider, base_url, settings, json, quiet), **rest)

    return wrapper


def check_target(to: Path | None, force: bool) -> None:
    """Refuse a target that can't be written, before any work is done for it. Click's usage error."""
    if to is None or str(to) == "-":
        return
    to = to.expanduser()
    if to.is_dir():
        raise click.UsageError(f"{to} is a directory; name a file in it")
    if not to.parent.is_dir():
        raise click.UsageError(f"{to.parent} is not a directory; make it first")
    if to.exists() and not force:
        raise click.UsageError(f"{to} is there already; --force overwrites it")
