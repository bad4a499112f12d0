"""`callsheet serve`: the gateway on this machine."""

from __future__ import annotations

import asyncio
import errno
import json as json_
import logging
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import click
import uvicorn

from callsheet import AsyncClient, ConfigurationError
from callsheet.cli.options import json_option
from callsheet_gateway.app import make_app
from callsheet_gateway.config import make_client, read_config
from callsheet_gateway.settings import GatewaySettings

__all__ = ["serve"]

_ASKED = (
    ("generate_video", "/videos", {"prompt": "A lighthouse in a storm", "size": "1280x720", "seconds": "4"}),
    ("responses", "/responses", {"input": "What is 6 times 7?"}),
    ("chat_completions", "/chat/completions", {"messages": [{"role": "user", "content": "What is 6 times 7?"}]}),
)
"""What the first request may be, by the operation that it needs."""
_GRACE = 10
"""Seconds that requests under way get when the server is told to end."""


@click.command(short_help="Serve OpenAI's interface on this machine.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="A loopback address to listen on."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4000, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="A config.yaml with a model_list, in LiteLLM's shape.",
)  # fmt: skip
@click.option(
    "--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN",
    help="Let pages of this origin call the gateway, such as http://localhost:5173. Off by default.",
)  # fmt: skip
@click.option("--access-log", is_flag=True, help="Write a line for each request to stderr.")
@json_option
def serve(
    host: str, port: int, config: Path | None, cors_origins: tuple[str, ...], access_log: bool, json: bool
) -> None:
    """Serve OpenAI's HTTP interface, so that any OpenAI SDK or curl reaches the installed providers.

    Without --config it serves the embedded provider, which needs no key and no network. It listens on this machine only
    and asks for no key. Ctrl-C ends it: what is under way gets ten seconds.

    \b
    Examples:
      callsheet serve
      callsheet serve --port 8080 --config config.yaml
    \b
    A config.yaml:
      model_list:
        - model_name: sora-2
          litellm_params:
            model: PROVIDER/MODEL
            api_key: os.environ/MY_KEY
    """
    settings = GatewaySettings(host=host, port=port, cors_origins=cors_origins)
    client = _client(config)
    app = make_app(client, settings)
    listening = _listen(settings)
    address = _address(settings.host, listening.getsockname()[1])

    def ready() -> None:
        _announce(address, client, json)

    how = uvicorn.Config(
        app,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        ws="none",
        proxy_headers=False,  # nobody stands in front: what such headers say is the client's own invention
    )
    logging.getLogger("uvicorn.error").addFilter(_no_cut_off)
    server = _Server(how, ready)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # the way to end it, and it has ended
    finally:
        listening.close()
    if not json:
        click.echo("The gateway has ended.", err=True)


def _no_cut_off(record: logging.LogRecord) -> bool:
    """Leaves out the tracebacks of requests that were cut off at the end: one line before them says how many there were."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _client(config: Path | None) -> AsyncClient:
    """The client under the server; what is wrong with a config is said with its name."""
    if config is None:
        return make_client(None)
    try:
        return make_client(read_config(config))
    except ConfigurationError as error:
        if str(config) not in error.message:
            raise ConfigurationError(f"{config}: {error.message}") from None
        raise


class _Server(uvicorn.Server):
    """Uvicorn that says when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready()


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


def _announce(address: str, client: AsyncClient, json: bool) -> None:
    names = list(client.router.models)
    if json:
        click.echo(json_.dumps({"base_url": f"{address}/v1", "page": f"{address}/realtime", "models": names}))
        return
    click.secho(f"Callsheet gateway: {address}/v1", bold=True)
    click.echo(f"Models: {', '.join(names)}")
    click.echo(f"Realtime tester: {address}/realtime")
    click.echo("It serves this machine only, and takes any API key. Ctrl-C ends it.")
    click.echo("\nTry it in another terminal:\n")
    click.echo(_curl(address, client))


def _curl(address: str, client: AsyncClient) -> str:
    """A command to paste: the first model that is known to answer texts or to make videos is asked for something."""
    for operation, route, fields in _ASKED:
        for name, deployment in client.router.models.items():
            known = client.accounts.registry.provider(deployment.account.provider).models
            if operation in known.get(deployment.model or "", ()):
                document = shlex.quote(json_.dumps({"model": name, **fields}))
                shown = f"  curl {address}/v1{route} -H 'Content-Type: application/json' \\\n    -d {document}"
                if operation == "generate_video":
                    shown += "\n\nIts answer has an id. When the video is completed:\n\n"
                    shown += f"  curl {address}/v1/videos/ID/content -o video.mp4"
                return shown
    return f"  curl {address}/v1/models"
