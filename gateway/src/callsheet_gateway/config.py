"""Which providers a gateway is over: those of a config.yaml, or the embedded one."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from callsheet import AsyncClient, ConfigurationError, Registry
from callsheet.client_base import shared_registry
from callsheet.routing import Deployment

__all__ = ["make_client", "read_config"]

_MOST = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """Plain data only, and no key twice: the second one would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # Only plain keys, and as they are written: << (merge) may stand there more than once.
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge" else key
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {name!r} is there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> dict[str, Any]:
    """A config.yaml as a mapping. ConfigurationError that says where it is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
        if len(content) > _MOST:
            raise ConfigurationError(f"{path} has more than {_MOST:,} bytes: that is no config")
        document = yaml.load(content, Loader=_Loader)  # noqa: S506  derived from SafeLoader
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).replace('in "<byte string>", ', "at ").split())
        raise ConfigurationError(f"{path}: {reason}") from None
    if not isinstance(document, dict) or not document.get("model_list"):
        raise ConfigurationError(
            f"{path}: a 'model_list' is wanted, with entries of 'model_name' and 'litellm_params: {{model: PROVIDER/MODEL}}'"
        )
    return document


def make_client(config: dict[str, Any] | None, registry: Registry | None = None) -> AsyncClient:
    """The client under the gateway. It reaches what is configured and nothing else, whatever keys the environment holds.

    Without a config that is the embedded provider, under the names PROVIDER/MODEL. ConfigurationError if there is none.
    """
    if config is not None:
        client = AsyncClient(config=config, registry=registry)
    else:
        client = AsyncClient(registry=registry)
        known = registry or shared_registry()
        for provider in known.embedded():
            account = client.accounts.add(provider, {})
            for model in known.provider(provider).models:
                client.router.models[f"{provider}/{model}"] = Deployment(account, model)
        if not client.router.models:
            raise ConfigurationError(
                "no provider that works without a key is installed: install one, or name your models with --config FILE"
            )
    client.accounts.configured_only = True
    return client
