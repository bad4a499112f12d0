"""What `callsheet serve` says when it is ready: where it is, which key it takes, and a request to paste."""

from __future__ import annotations

import json as json_
import os
import shlex
from pathlib import Path

import click
from pydantic import SecretStr

from callsheet import AsyncClient, ConfigurationError
from callsheet_gateway.settings import KEY_WANTED, GatewaySettings, is_key, is_loopback
from callsheet_gateway.state import MasterKey

__all__ = ["MADE_LATER", "VARIABLE", "announce", "from_environment"]

VARIABLE = "CALLSHEET_MASTER_KEY"
MADE_LATER = SecretStr("made at the first start")
"""Stands for the master key that the data directory has, or will have."""
_ASKED = (
    ("generate_video", "/videos", {"prompt": "A lighthouse in a storm", "size": "1280x720", "seconds": "4"}),
    ("responses", "/responses", {"input": "What is 6 times 7?"}),
    ("chat_completions", "/chat/completions", {"messages": [{"role": "user", "content": "What is 6 times 7?"}]}),
)
"""What the first request may be, by the operation that it needs."""


def from_environment() -> SecretStr | None:
    """The master key that the environment names. ConfigurationError for one that can't be sent."""
    key = os.environ.get(VARIABLE)
    if key is None:
        return None
    if not is_key(key):
        raise ConfigurationError(f"{VARIABLE}: {KEY_WANTED}")
    return SecretStr(key)


def announce(
    address: str,
    client: AsyncClient,
    settings: GatewaySettings,
    made: MasterKey | None,
    folder: Path | None,
    json: bool,
) -> None:
    """Say it on stdout. A key that was `made` just now is shown, this once. `folder` is the data directory, if it is not
    where `callsheet keys` looks by itself.
    """
    names = list(client.router.models)
    if json:
        document = {"base_url": f"{address}/v1", "page": f"{address}/realtime", "models": names}
        if made is not None:
            document["master_key_file"] = str(made.file)
        click.echo(json_.dumps(document))
        return
    click.secho(f"Callsheet gateway: {address}/v1", bold=True)
    click.echo(f"Models: {', '.join(names)}")
    click.echo(f"Realtime tester: {address}/realtime")
    whom = "this machine only" if is_loopback(settings.host) else "every machine that reaches it"
    if settings.master_key is None:
        click.echo(f"It serves {whom}, and takes any API key. Ctrl-C ends it.")
    else:
        click.echo(f"It serves {whom}, and asks for a key. Ctrl-C ends it.")
        where = f" --data-dir {shlex.quote(str(folder))}" if folder is not None else ""
        click.echo(f"More keys: callsheet keys create NAME{where}")
    click.echo("\nTry it in another terminal:\n")
    if made is not None and made.fresh:
        click.echo(f"  export {VARIABLE}={made.key.get_secret_value()}")
        click.echo(f"  # the master key was made now and is shown this once; it stands in {made.file}\n")
    elif made is not None:
        click.echo(f'  export {VARIABLE}="$(cat {shlex.quote(str(made.file))})"\n')
    click.echo(_curl(address, client, settings.master_key is not None))


def _curl(address: str, client: AsyncClient, keyed: bool) -> str:
    """A command to paste: the first model that is known to answer texts or to make videos is asked for something."""
    shown_key = f' \\\n    -H "Authorization: Bearer ${VARIABLE}"' if keyed else ""
    for operation, route, fields in _ASKED:
        for name, (deployment, *_) in client.router.models.items():
            known = client.accounts.registry.provider(deployment.account.provider).models
            if "*" not in name and operation in known.get(deployment.model or "", ()):
                document = shlex.quote(json_.dumps({"model": name, **fields}))
                shown = (
                    f"  curl {address}/v1{route} -H 'Content-Type: application/json'{shown_key} \\\n    -d {document}"
                )
                if operation == "generate_video":
                    shown += "\n\nIts answer has an id. When the video is completed:\n\n"
                    shown += f"  curl {address}/v1/videos/ID/content{shown_key} -o video.mp4"
                return shown
    return f"  curl {address}/v1/models{shown_key}"
