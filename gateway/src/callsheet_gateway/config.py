"""Which providers a gateway is over, and how it is set up: by a config.yaml, or the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from callsheet import AsyncClient, ConfigurationError, Registry
from callsheet.client_base import shared_registry
from callsheet.routing import Deployment
from callsheet_gateway.configfile.document import MOST_BYTES, Document, parse
from callsheet_gateway.configfile.sections import GatewayOptions, Sections
from callsheet_gateway.upstream import UpstreamTransport

__all__ = ["Configured", "GatewayOptions", "make_client", "read_config"]


@frozen
class Configured:
    """A config.yaml that was read. `core` is what `AsyncClient(config=...)` takes, `gateway` what the server is set up with.

    `warnings` say what of the file does nothing here, each with its line.
    """

    path: Path
    core: dict[str, Any] = field(repr=False)
    gateway: GatewayOptions
    warnings: list[str]
    _document: Document = field(repr=False)

    def line_of(self, at: tuple[str | int, ...]) -> int | None:
        """The line of what stands there, such as `("model_list", 0, "litellm_params")`; None for the file as a whole."""
        return self._document.line_of(at)

    def located(self, error: ConfigurationError) -> ConfigurationError:
        """The same error, with the file and the line before it."""
        return _located(error, self.path, self._document)


def read_config(path: Path) -> Configured:
    """Read a config.yaml, LiteLLM's or ours.

    Raises ConfigurationError that begins with the file and the line, and quotes nothing out of the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"{path} has more than {MOST_BYTES:,} bytes: that is no config")
    try:
        document = parse(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}:{error.message}") from None
    try:
        sections = Sections.of(document.data, path.absolute().parent, None)
        core, gateway = sections.core(), sections.server()
    except ConfigurationError as error:
        raise _located(error, path, document) from None
    told: dict[tuple[int, str | int], str] = {}  # what stands once, with an anchor, is told once
    for place, note in sections.notes:
        told.setdefault((document.line_of(place.path) or 0, place.path[-1]), f"{place.words} {note}")
    warnings = [f"{_prefix(path, line)}: {told[line, key]}" for line, key in sorted(told, key=lambda at: at[0])]
    return Configured(path, core, gateway, warnings, document)


def make_client(config: Configured | Mapping[str, Any] | None, registry: Registry | None = None) -> AsyncClient:
    """The client under the gateway. It reaches what is configured and nothing else, whatever keys the environment holds.

    `config` is what `read_config` read, or a mapping such as `AsyncClient(config=...)` takes. Without one that is the
    embedded provider, under the names PROVIDER/MODEL. ConfigurationError if there is none, or if a config is wrong.
    """
    core = config.core if isinstance(config, Configured) else config
    try:
        client = AsyncClient(config=core, registry=registry, transport=UpstreamTransport())
    except ConfigurationError as error:
        raise (config.located(error) if isinstance(config, Configured) else error) from None
    if core is None:
        known = registry or shared_registry()
        for provider in known.embedded():
            account = client.accounts.add(provider, {})
            for model in known.provider(provider).models:
                client.router.models.set(f"{provider}/{model}", [Deployment(account, model)])
        if not len(client.router.models):
            raise ConfigurationError(
                "no provider that works without a key is installed: install one, or name your models with --config FILE"
            )
    client.accounts.configured_only = True
    return client


def _prefix(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)


def _located(error: ConfigurationError, path: Path, document: Document) -> ConfigurationError:
    told = ConfigurationError(f"{_prefix(path, document.line_of(error.at))}: {error.message}")
    told.at = error.at
    return told
