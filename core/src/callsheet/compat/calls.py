"""What LiteLLM's keywords mean here: which client makes a call, and with which options."""

from __future__ import annotations

import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypedDict

from callsheet import aio, default
from callsheet.account import Account
from callsheet.async_client import AsyncClient
from callsheet.client import Client
from callsheet.client_base import shared_registry
from callsheet.errors import BadRequestError, CallsheetError, ConfigurationError, NotFoundError
from callsheet.ids import KINDS, IdCodec
from callsheet.operations import OPERATIONS

__all__ = ["Keywords", "ModelKeywords", "acall", "call", "in_their_words"]

MOST_CLIENTS = 16
"""How many clients with a key or address of their own are kept: as many pairs are used in turn without making one anew."""


class Keywords(TypedDict, total=False):
    """What every function takes besides its own arguments."""

    custom_llm_provider: str | None
    """The provider's name."""
    api_key: str | None
    api_base: str | None
    base_url: str | None
    """The same as `api_base`."""
    api_version: str | None
    """For providers that have several."""
    timeout: float | None
    """Seconds for the whole call, retries included; for a stream: until it begins. 600 where it is not given."""
    extra_body: Mapping[str, Any] | None
    """Fields that the provider understands and Callsheet does not know."""


class ModelKeywords(Keywords, total=False):
    """The same for functions that need no model: the provider alone, or an id, says where they go."""

    model: str | None
    """A model name, "provider/model", or the provider's own with `custom_llm_provider`."""
    target_model_names: str | list[str] | None
    """One model name; the same as `model`."""


_REFUSED = {
    "extra_headers": "headers belong to an account: callsheet.Client(provider=..., settings={'headers': {...}})",
    "extra_query": "query parameters can't be added; a base URL may have them",
    "num_retries": "Callsheet decides about retries by itself: what may have started paid work is never sent twice",
    "max_retries": "Callsheet decides about retries by itself: what may have started paid work is never sent twice",
    "fallbacks": "a call goes to one provider; catch the error and call the next",
    "mock_response": "use a provider that needs no key instead: name none",
    "drop_params": "nothing is dropped in silence",
}


def call(operation: str, keywords: Mapping[str, Any], model: str | None = None, **fields: Any) -> Any:
    """Call an operation in this thread."""
    with in_their_words():
        client, options = _way(operation, {"model": model, **keywords}, fields)
        return getattr(client, operation)(**fields, **options)


async def acall(operation: str, keywords: Mapping[str, Any], model: str | None = None, **fields: Any) -> Any:
    """Call an operation on the running event loop."""
    with in_their_words():
        client, options = _way(operation, {"model": model, **keywords}, fields)
        loops = aio.client()
        if client is not default.client():
            # Its providers are shared with sync calls, its connections with the others of this loop.
            own = AsyncClient(provider=client.router.default_provider, transport=loops.transport)
            own.accounts = own.router.accounts = client.accounts
            loops = own
        return await getattr(loops, operation)(**fields, **options)


@contextmanager
def in_their_words() -> Iterator[None]:
    """Let errors speak of `custom_llm_provider=` where they would say `provider=`."""
    try:
        yield
    except CallsheetError as error:
        error.message = re.sub(r"(?<![\w.(])provider=", "custom_llm_provider=", error.message)
        error.args = (error.message, *error.args[1:])
        raise


def _way(operation: str, keywords: Mapping[str, Any], fields: Mapping[str, Any]) -> tuple[Client, dict[str, Any]]:
    """The client that makes the call, and the options for its method."""
    options = {name: value for name, value in keywords.items() if value is not None}
    provider = options.pop("custom_llm_provider", None)
    api_key, base_url = options.pop("api_key", None), options.pop("api_base", None)
    base_url = options.pop("base_url", None) or base_url
    version = options.pop("api_version", None)
    targets = options.pop("target_model_names", None)
    names = targets.split(",") if isinstance(targets, str) else list(targets or ())
    names = [name.strip() for name in names]
    if (model := options.pop("model", None) or (names[0] if len(names) == 1 else None)) is not None:
        options["model"] = model
    options = _accepted(operation, options)
    if len(names) > 1:
        options["target_model_names"] = names
    if provider is not None:
        options["provider"] = provider
    if api_key is None and base_url is None and version is None:
        return default.client(), options
    named = provider or (model.partition("/")[0] if model and "/" in model else None) or _home(fields)
    if named is None:
        said = "api_base" if base_url else "api_key" if api_key else "api_version"
        raise ConfigurationError(f"{said}: say for which provider, by model='provider/model' or provider='...'")
    return _clients.get(named, api_key, base_url, version), options


def _accepted(operation: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the operation takes. BadRequestError for one that it does not, unless it asks for nothing."""
    known = {*OPERATIONS[operation].request.model_fields, "timeout", "extra_body"}
    for name, value in options.items():
        if name not in known and (value or name not in _REFUSED):
            reason = _REFUSED.get(name) or (
                "Callsheet does not know this; what only the provider understands goes into extra_body={...}"
            )
            raise BadRequestError(f"{name}: {reason}", param=name, code="unsupported_parameter")
    if not isinstance(timeout := options.get("timeout", 0), int | float):
        raise BadRequestError(f"timeout: seconds are wanted, not {type(timeout).__name__}", param="timeout")
    return {name: value for name, value in options.items() if name in known}


def _home(fields: Mapping[str, Any]) -> str | None:
    """The provider of the first managed id among the arguments."""
    codec = IdCodec()
    characters = fields.get("characters")
    listed = characters if isinstance(characters, list | tuple) else ()  # anything else may be read only once
    for value in (*fields.values(), *listed):
        id = value.get("id") if isinstance(value, Mapping) else getattr(value, "id", value)
        if not isinstance(id, str):
            continue
        for kind in KINDS:
            try:
                tag = codec.decode(id, kind).account
            except NotFoundError:
                continue
            return next(
                (name for name in shared_registry().names() if tag.startswith(Account.provider_tag(name))), None
            )
    return None


class _Clients:
    """The clients with a key or address of their own; those that were not used for the longest time are let go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str | None, ...], Client] = OrderedDict()

    def get(self, provider: str, api_key: str | None, base_url: str | None, version: str | None) -> Client:
        key = (provider, api_key, base_url, version)
        with self._lock:
            if (found := self._made.get(key)) is None:
                found = Client(
                    provider=provider,
                    api_key=api_key,
                    base_url=base_url,
                    settings={"api_version": version} if version else None,
                    transport=default.client().transport,
                )
                # Closed when the last call that uses it is over, and at the end of the process.
                weakref.finalize(found, found.accounts.close)
                self._made[key] = found
                if len(self._made) > MOST_CLIENTS:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return found


_clients = _Clients()
