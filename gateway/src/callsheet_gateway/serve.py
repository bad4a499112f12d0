"""`callsheet serve`: the gateway on this machine."""

from __future__ import annotations

import errno
import json as json_
import logging
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import uvicorn
from attrs import evolve

from callsheet import AsyncClient, CallsheetError, ConfigurationError
from callsheet.cli.failures import Failure, failure_of
from callsheet.cli.options import json_option
from callsheet_gateway.access_log import AccessLog
from callsheet_gateway.announce import MADE_LATER, announce, from_environment
from callsheet_gateway.app import make_app
from callsheet_gateway.command_options import data_dir_option
from callsheet_gateway.config import Configured, make_client, read_config
from callsheet_gateway.configfile.report import lacking, report, report_lines
from callsheet_gateway.drain import Drain
from callsheet_gateway.log_writer import LogWriter, QueuedHandler
from callsheet_gateway.protocol import Protocol
from callsheet_gateway.server import Server
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State, alone_in, default_folder

__all__ = ["serve"]

_MORE = 5.0
"""Seconds beyond notice and grace that another gateway gets to end: what is cut off is told so, and the rest written down."""
_ASK = "Give a master_key in the config, or CALLSHEET_MASTER_KEY, to have them asked for"


@click.command(short_help="Serve OpenAI's interface on this machine.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="The address to listen on; beyond this machine's own it takes a key.  [default: 127.0.0.1]",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 4000]"
)  # None, so that a file may say it
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="A config.yaml: LiteLLM's, or in the plainer spelling of docs/gateway.md. Options here win over it.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Only read the configuration, and say what would run. Exit code 0 or 1.")
@click.option(
    "--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN",
    help="Let pages of this origin call the gateway, such as http://localhost:5173. Off by default.",
)  # fmt: skip
@click.option(
    "--no-keys", is_flag=True, help="Ask for no key, whatever config and environment say. For this machine only."
)
@data_dir_option
@click.option("--access-log", is_flag=True, help="Write a line of JSON for each request to stderr.")
@json_option
def serve(
    host: str | None,
    port: int | None,
    config: Path | None,
    check: bool,
    cors_origins: tuple[str, ...],
    no_keys: bool,
    data_dir: Path | None,
    access_log: bool,
    json: bool,
) -> None:
    """Serve OpenAI's HTTP interface, so that any OpenAI SDK or curl reaches the installed providers.

    Without --config it serves the embedded provider, which needs no key and no network; callers need one: the master key,
    which is made at the first start and shown then, or one made by `callsheet keys create`. CALLSHEET_MASTER_KEY, or a
    config's master_key, is used instead of it. A config without one asks for no key, and serves this machine only.
    Ctrl-C ends it: what is under way gets half a minute, and a second Ctrl-C cuts it off.

    \b
    Examples:
      callsheet serve
      callsheet serve --port 8080 --config config.yaml
      callsheet serve --config config.yaml --check
    \b
    A config.yaml:
      model_list:
        - model_name: sora-2
          litellm_params:
            model: PROVIDER/MODEL
            api_key: os.environ/MY_KEY
    """
    given = {"host": host, "port": port, "cors_origins": cors_origins or None, "master_key": None}
    if check:
        _check(config, given, no_keys, data_dir, json)
        return
    configured, settings, client, warnings = _set_up(config, given, no_keys)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    access_log = access_log or bool(configured and configured.gateway.access_log)
    listening = _listen(settings)  # before anything is made: where this can't be, nothing is left
    folder = _folder(data_dir, configured)
    patience = settings.notice_seconds + settings.grace_seconds + _MORE
    try:
        # Who connects meanwhile waits for us: nothing is taken, nor read of what the other writes.
        with alone_in(folder, patience, _waiting):
            _run(client, settings, folder, listening, access_log=access_log, json=json)
    finally:
        listening.close()


def _waiting() -> None:
    click.echo("another gateway serves this data directory: waiting until it has ended", err=True)


def _run(
    client: AsyncClient,
    settings: GatewaySettings,
    folder: Path,
    listening: socket.socket,
    *,
    access_log: bool,
    json: bool,
) -> None:
    """Serve until the end, in a data directory that no other gateway serves."""
    state = State(folder)
    made = state.master_key() if settings.master_key is MADE_LATER else None
    if made is not None:
        settings = evolve(settings, master_key=made.key)
    if settings.master_key is None and state.keys.every():
        click.echo(
            "warning: no key is asked for, though there are virtual keys: also disabled ones get in. " + _ASK, err=True
        )
    drain = Drain()
    writer = LogWriter()
    app = make_app(client, settings, state, drain, AccessLog(writer) if access_log else None)
    address = _address(settings.host, listening.getsockname()[1])

    def ready() -> None:
        announce(address, client, settings, made, None if state.folder == default_folder() else state.folder, json)

    how = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        http=Protocol.of(settings),
        proxy_headers=False,  # nobody stands in front: what such headers say is the client's own invention
    )
    logging.getLogger().addHandler(QueuedHandler(writer))
    server = Server(how, drain, ready, writer.say, notice=settings.notice_seconds, grace=settings.grace_seconds)
    with suppress(KeyboardInterrupt):  # the way to end it, and it has ended
        server.run(sockets=[listening])
    cut_off = f" Requests that were cut off: {server.cut_off}." if server.cut_off else ""
    if cut_off or not json:
        writer.say(f"The gateway has ended.{cut_off}")
    writer.close()
    if drain.forced:
        sys.exit(1)


def _folder(data_dir: Path | None, configured: Configured | None) -> Path:
    return data_dir or (configured.gateway.data_dir if configured else None) or default_folder()


def _set_up(
    config: Path | None, given: dict[str, Any], no_keys: bool
) -> tuple[Configured | None, GatewaySettings, AsyncClient, list[str]]:
    """What a file and the options say together: the options win. The last is what to warn of.

    Without a file there is always a master key, MADE_LATER if the environment names none; unless there shall be `no_keys`.
    """
    configured = read_config(config) if config is not None else None
    said = {name: getattr(configured.gateway, name) for name in given} if configured else {}
    chosen = {name: said.get(name) if value is None else value for name, value in given.items()}
    made = MADE_LATER if configured is None else None
    chosen["master_key"] = None if no_keys else chosen["master_key"] or from_environment() or made
    limits = configured.gateway.limits if configured else {}
    settings = GatewaySettings(**{name: value for name, value in chosen.items() if value is not None}, **limits)
    client = make_client(configured)
    return configured, settings, client, [*(configured.warnings if configured else ()), *lacking(client)]


def _check(config: Path | None, given: dict[str, Any], no_keys: bool, data_dir: Path | None, json: bool) -> None:
    """`--check`: nothing listens, nothing is called. Exit code 1 where the server would not start."""
    try:
        configured, settings, client, warnings = _set_up(config, given, no_keys)
    except CallsheetError as error:
        failure = failure_of(error, resume=None, as_json=json)
        document = {"ok": False, **failure.document} if failure.document else None
        raise Failure(failure.message, 1, document=document) from None
    document = report(
        client,
        settings,
        warnings,
        master_key=settings.master_key is not None,
        data_dir=str(_folder(data_dir, configured)),
    )
    if json:
        click.echo(json_.dumps(document, indent=2))
        return
    for line in report_lines(document):
        click.echo(line)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _listen(settings: GatewaySettings) -> socket.socket:
    """A socket that listens. ConfigurationError says what to do when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {settings.port} is taken by another program: try --port {settings.port + 1}, or --port 0 for a free one"
            ) from None
        raise ConfigurationError(f"can't listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listening


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
