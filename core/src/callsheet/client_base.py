"""What the sync and the async client share: how a method's arguments become a request and a way to send it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from callsheet.config import Config, configure
from callsheet.errors import BadRequestError, ConfigurationError
from callsheet.ids import IdCodec
from callsheet.io import Transport
from callsheet.models.base import PATHS_ARE_FILES, OperationRequest
from callsheet.models.video import Video
from callsheet.operations import OPERATIONS
from callsheet.registry import ProviderInfo, Registry
from callsheet.routing import Accounts, Router

__all__ = [
    "BaseClient",
    "Config",
    "FilePath",
    "VideoId",
    "bad_request",
    "build_request",
    "part_key",
    "target_path",
    "video_id_of",
]

VideoId = str | Video
FilePath = str | os.PathLike[str]


class BaseClient:
    """See `callsheet.Client` for the arguments."""

    _blocking: ClassVar[bool] = False

    def __init__(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        config: Config | None = None,
        timeout: float | None = None,
        transport: Transport | None = None,
        registry: Registry | None = None,
    ) -> None:
        accounts = Accounts(registry or shared_registry())
        models = configure(accounts, config)
        options = {**(settings or {}), **given({"api_key": api_key, "base_url": base_url})}
        if options:
            named = provider or (model.partition("/")[0] if model and "/" in model else None)
            if named is None:
                raise ConfigurationError(
                    f"{', '.join(options)}: say for which provider, by model='provider/model' or provider='...'"
                )
            accounts.add(named, options)
        if self._blocking:
            accounts.refuse_async_settings()
        self.timeout = timeout
        self._transport = transport
        self._lock = threading.Lock()
        self.accounts = accounts
        self.router = Router(accounts, IdCodec(), model, provider, models)

    def providers(self) -> list[ProviderInfo]:
        """All installed providers: name, distribution, version, operations, notes, and the error of one that is broken."""
        return self.accounts.registry.describe()

    async def _route(
        self, operation: str, transport: Transport, fields: Mapping[str, Any], options: Mapping[str, Any], *, sync: bool
    ) -> Any:
        request, routing = build_request(operation, fields, options, sync=sync)
        routing["hurried"] = routing["timeout"] is not None
        if routing["timeout"] is None:
            routing["timeout"] = self.timeout
        return await self.router.call(operation, request, transport, **routing)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.router.default_model or self.router.default_provider or 'default'}>"


def build_request(
    operation: str, fields: Mapping[str, Any], options: Mapping[str, Any], *, sync: bool
) -> tuple[OperationRequest, dict[str, Any]]:
    """The operation's request, and how to route it, out of a method's arguments; None means: not given.

    Raises BadRequestError naming the field that is wrong; TypeError for a keyword that does not exist and for an async
    iterator in a sync call.
    """
    kind = OPERATIONS[operation].request
    routing = {name: options.get(name) for name in ("provider", "timeout", "target_model_names")}
    rest = {name: value for name, value in options.items() if name not in {*routing, "extra_body"}}
    if unknown := sorted(set(rest) - set(kind.model_fields)):
        raise TypeError(
            f"{operation}() has no keyword {unknown[0]!r}; fields that only the provider knows go into extra_body={{...}}"
        )
    try:
        document = {**(options.get("extra_body") or {}), **given(rest), **given(fields)}
        request = kind.model_validate(document, context=PATHS_ARE_FILES)
    except ValidationError as error:
        raise bad_request(operation, error) from None
    if sync and any(upload.needs_loop for upload in request.uploads()):
        raise TypeError(
            "an async iterator was given as a file to the sync client; use AsyncClient, or a path, bytes or file"
        )
    return request, routing


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def video_id_of(video: VideoId) -> str:
    """A video's id, by itself or in a Video."""
    return video.id if isinstance(video, Video) else video


def part_key(*facts: str | None) -> str:
    """A short name for one download, the same in every process."""
    return hashlib.sha256("\0".join(fact or "" for fact in facts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def target_path(to: FilePath) -> Path:
    return Path(to).expanduser()


_registry = Registry()


def shared_registry() -> Registry:
    """The registry of this process: plugins are imported once, whatever number of clients there is."""
    return _registry


def bad_request(operation: str, error: ValidationError) -> BadRequestError:
    """What a request's model says of a request that does not fit it, naming each field."""
    problems = error.errors(include_url=False, include_input=False)
    texts = []
    for problem in problems:
        field = ".".join(str(step) for step in problem["loc"]) or "request"
        texts.append(f"{field}: {problem['msg'].removeprefix('Value error, ')}")
    param = str(problems[0]["loc"][0]) if problems[0]["loc"] else None
    return BadRequestError(f"{operation}: {'; '.join(texts)}", param=param, code="invalid_value")
