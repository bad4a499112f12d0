"""Turning managed ids into the provider's on the way in, and the provider's into managed ones on the way out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve

from callsheet.errors import APIResponseValidationError
from callsheet.models.base import IdKind, Model, OperationRequest
from callsheet.models.document import Document
from callsheet.stream import Event, Stream

__all__ = ["replace_ids", "with_managed_ids"]

Change = Callable[[str, IdKind], str]


def replace_ids(request: OperationRequest, change: Change) -> OperationRequest:
    """A copy of a request in which every id is replaced; the request itself if there is none in it."""
    if not any(part.managed for part in request.parts()):
        return request
    copy: OperationRequest = _copied(request)
    for part in copy.parts():
        _replace(part, change)
    return copy


def with_managed_ids(result: Any, change: Change) -> Any:
    """A result in which every id is replaced; in a stream, in the events that hold a response.

    Documents are copied: a provider may keep what it returned.
    """
    match result:
        case Model():
            result = _copied(result)
            for part in result.parts():
                _replace(part, change)
        case Document():
            result = evolve(result, raw=_replaced(result.raw, result.managed, change))
        case Stream():
            result.change(partial(_event, change))
    return result


def _copied(model: Any) -> Any:
    """Copy models and the lists of models in them; leave files, and everything else, the same objects."""
    if isinstance(model, list):  # of models; what else is in it is the caller's, however deep
        return [_copied(item) if isinstance(item, Model) else item for item in model]
    if not isinstance(model, Model):
        return model
    copy = model.model_copy()
    for name, value in model.__dict__.items():
        if value is not None and isinstance(value, list | Model):
            copy.__dict__[name] = _copied(value)
    return copy


def _replace(part: Model, change: Change) -> None:
    for name, kind in part.managed.items():
        if isinstance(value := getattr(part, name, None), str):
            setattr(part, name, change(value, kind))


def _replaced(raw: dict[str, Any], managed: Any, change: Change) -> dict[str, Any]:
    return {
        name: change(value, managed[name]) if name in managed and isinstance(value, str) else value
        for name, value in raw.items()
    }


def _event(change: Change, event: Event) -> Event:
    # Only lifecycle events hold a response; deltas, which are most of a stream, are not decoded at all.
    # Servers that name no event types send "message".
    if '"response"' not in event.raw or not event.type.startswith(("response.", "message")):
        return event
    try:
        data = event.data
    except (ValueError, RecursionError):
        raise APIResponseValidationError(
            f"an event of type {event.type:.60} holds what is no JSON that can be read"
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("response"), dict):
        return event
    return Event.of(event.type, {**data, "response": _replaced(data["response"], Document.managed, change)})
