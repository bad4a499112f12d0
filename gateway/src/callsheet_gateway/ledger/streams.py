"""Streams of chats say what they used only if they are asked: the gateway asks, and keeps the answer to itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from callsheet import CallsheetError, CreateChatCompletion, Event
from callsheet.account import Account
from callsheet.models.base import OperationRequest
from callsheet.routing import Router

__all__ = ["asked_for_usage", "is_only_usage"]

_NO_CHOICES = re.compile(r'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(r'"usage"\s*:\s*\{')


def asked_for_usage(router: Router, request: OperationRequest) -> OperationRequest | None:
    """A request that asks its stream for the usage; None where it does so already, or may lead to who does not take it."""
    if not isinstance(request, CreateChatCompletion) or not request.stream:
        return None
    options = request.stream_options or {}
    if "include_usage" in options:
        return None
    try:
        accounts = list(_accounts(router, request.model))
        takes = bool(accounts) and all(router.accounts.dispatcher(one).provider.stream_usage for one in accounts)
    except CallsheetError:
        return None  # the call itself will say what is wrong
    if not takes:
        return None
    return request.model_copy(update={"stream_options": {**options, "include_usage": True}})


def is_only_usage(event: Event) -> bool:
    """Whether a chunk is the one that was asked for: there is no choice in it."""
    return _USAGE.search(event.raw) is not None and _NO_CHOICES.search(event.raw) is not None


def _accounts(router: Router, name: str | None) -> Iterator[Account]:
    """The accounts that a chat may lead to, those after a refusal or a failure included."""
    models = router.models
    found = models.find(name) if name is not None else None
    if name is None or found is None:
        account, _ = router.named(name)
        if account is not None:
            yield account
        return
    routing, names = models.routing, (name, found[0].name)
    further = {
        each
        for fallbacks in (routing.fallbacks, routing.context_window, routing.content_policy)
        for each in fallbacks.after(names)
    }
    for group in [found[0], *(other[0] for each in further if (other := models.find(each)) is not None)]:
        for backend in group.backends:
            yield backend.deployment.account
