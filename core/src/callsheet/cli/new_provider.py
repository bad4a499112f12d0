"""`callsheet new-provider`: a whole distribution to begin with."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import click

from callsheet.cli.options import json_option
from callsheet.cli.output import facts, print_json, say
from callsheet.cli.providers import quiet_plugins
from callsheet.cli.scaffold import BadName, Names, files_like, files_of_its_own, write
from callsheet.errors import ConfigurationError
from callsheet.installed import entry_points, owner_of
from callsheet.registry import PROVIDERS

__all__ = ["new_provider"]


def _names(_ctx: click.Context, _param: click.Parameter, value: str) -> Names:
    try:
        return Names(value)
    except BadName as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        plain = value.isascii() and value.isprintable() and not set(value) & set(" \"'`\\${}|")
        try:
            parts = urlsplit(value)
            host = parts.hostname if parts.port != 0 else None  # asking for the port finds out whether it is one
        except ValueError:
            host = None
        if not host or parts.scheme not in {"http", "https"} or not plain or parts.query or parts.fragment:
            raise click.BadParameter(f"{value!r} is not an address such as https://api.acme.example/v1")
    return value and value.rstrip("/")


def _variable(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise click.BadParameter(f"{value!r} is not the name of an environment variable, such as ACME_API_KEY")
    return value


@click.command("new-provider", short_help="Begin a provider of your own: a distribution that works.")
@click.argument("names", metavar="NAME", callback=_names)
@click.option(
    "--to",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=".",
    metavar="DIR",
    help="The folder in which callsheet-NAME/ is made. Default: the current one.",
)
@click.option(
    "--like",
    metavar="PROVIDER",
    help="An installed provider whose wire the vendor speaks (an OpenAI-compatible one, say): derive from it.",
)
@click.option("--base-url", metavar="URL", callback=_address, help="The vendor's address, up to what all paths share.")
@click.option(
    "--key-env", metavar="VARIABLE", callback=_variable, help="The variable that holds the key. Default: NAME_API_KEY."
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the path of the new folder.")
@json_option
def new_provider(
    names: Names, to: Path, like: str | None, base_url: str | None, key_env: str | None, quiet: bool, json: bool
) -> None:
    """Write callsheet-NAME/: a provider that works, its tests, and all that a distribution needs.

    NAME is what callers say: model="NAME/some-model". Of acme-video become the distribution callsheet-acme-video, the
    package callsheet_acme_video, the class AcmeVideo and the variable ACME_VIDEO_API_KEY.

    The new provider renders videos at a sample vendor that comes along (wire.py); you put yours in its place, and
    `callsheet check NAME` says how far you are. With --like it derives from a provider that is installed, and offers
    what that one does; a compatible vendor at another address needs not even that: give its provider a --base-url.

    Nothing is overwritten, and nothing is installed.

    \b
    Examples:
      callsheet new-provider lantern
      callsheet new-provider acme-video --base-url https://api.acme.example/v1 --key-env ACME_KEY
      callsheet new-provider beam --like acme --to ..
    """
    _refuse_taken(names)
    if key_env == f"{names.variable}_BASE_URL":
        raise click.UsageError(f"{key_env} holds the vendor's address; --key-env wants another variable")
    folder = to / names.distribution
    try:
        files = _derived(names, base_url, key_env, like) if like else files_of_its_own(names, base_url, key_env)
        write(folder, files)
    except BadName as error:
        raise click.UsageError(f"{names.name!r}: {error}") from None
    except FileExistsError:
        raise click.UsageError(
            f"{folder} is there already, and nothing is overwritten; --to DIR makes it elsewhere"
        ) from None
    steps = [f"cd {shlex.quote(str(folder))}", "pip install -e '.[test]'", "pytest", f"callsheet check {names.name}"]
    made = {
        "folder": str(folder),
        "distribution": names.distribution,
        "package": names.package,
        "class": names.kind,
        "key": key_env or names.key,
    }
    if json:
        print_json({"provider": names.name, **made, "files": sorted(files), "next": steps})
    elif quiet:
        click.echo(folder)
    else:
        facts(made)
        say("\nNext:")
        for step in steps:
            say(f"  {step}")
        say(
            f"Then change src/{names.package}/wire.py and __init__.py until they are your vendor's: their comments say how."
        )


def _refuse_taken(names: Names) -> None:
    """Two providers of one name are an error for both: better to hear of it now."""
    for point in entry_points(PROVIDERS):
        if point.name.replace("_", "-") == names.name.replace("_", "-"):
            owner = " ".join(owner_of(point)).strip()
            raise ConfigurationError(
                f"a provider named '{point.name}' is installed already ({owner}); choose another name"
            )
    try:
        installed = f"{names.distribution} {version(names.distribution)}"
    except PackageNotFoundError:
        if find_spec(names.package) is None:
            return
        installed = f"a package {names.package}"
    raise ConfigurationError(f"{installed} is installed already; choose another name")


def _derived(names: Names, base_url: str | None, key: str | None, like: str) -> dict[str, str]:
    from callsheet.client import Client

    with Client() as client, quiet_plugins():
        kind = client.accounts.registry.provider(like)  # raises what says which there are
    point, wire = _point(PROVIDERS, like), _point("callsheet.wires", like)
    if point is None or wire is None:
        raise ConfigurationError(
            f"provider '{like}' ships no sample vendor (an entry point in the group callsheet.wires), so that one like it"
            " could not be tested; leave --like out"
        )
    return files_like(names, base_url, point, kind, wire, key)


def _point(group: str, name: str) -> EntryPoint | None:
    return next((point for point in entry_points(group) if point.name == name), None)
