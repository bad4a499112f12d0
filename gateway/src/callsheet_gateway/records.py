"""What is written down of a call's result, and what is known from there that a provider does not say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from callsheet import Character, UnsupportedOperation, Video
from callsheet.models import DeletedVideo
from callsheet.models.base import OperationRequest
from callsheet_gateway.ledger.billing import Billing
from callsheet_gateway.ledger.ledger import FAILURES
from callsheet_gateway.owned_ids import OwnedIds
from callsheet_gateway.resources import Resource, Resources

__all__ = ["MAKES", "instead", "recorded"]

log = logging.getLogger("callsheet.gateway")

MAKES: Mapping[str, str] = {
    "create_character": "character", "generate_video": "video", "edit": "video", "extend": "video", "remix": "video",
}  # fmt: skip
"""The operations that make something that has a row, and what it is."""
_LOOKS = {"get_video", "get_character"}
_KEPT = ("model", "prompt", "size", "seconds", "created_at", "name", "remixed_from_video_id")
"""What a provider may forget, and a row does not."""
_ASKED = ("prompt", "size", "seconds", "name")


@contextmanager
def _told(what: str, billing: Billing | None = None) -> Iterator[None]:
    """Let a database that fails be logged, where the provider has done what was asked: the answer is good without it."""
    try:
        yield
    except FAILURES as error:
        log.critical("%s: %s", what, type(error).__name__)
        if billing is not None:
            billing.not_kept()


async def recorded(
    resources: Resources,
    operation: str,
    request: OperationRequest,
    result: Any,
    model: str | None,
    ids: OwnedIds,
    billing: Billing | None = None,
) -> Any:
    """A result with what is known besides, after it was written down. `model` is what callers call the model it names.

    What is made and what it costs are written in one transaction.
    """
    if isinstance(result, Video | Character) and operation in MAKES:
        asked = {name: str(value) for name in _ASKED if isinstance(value := getattr(request, name, None), str | int)}
        result = _filled(result, {**asked, "created_at": int(resources.clock())})
        source = _models_of_source(operation, ids)  # what is changed goes on with its model, whatever the call says
        named = source or request.model or model
        managed, document = ids.managed(result.id), _document(result, named)
        also = list(billing.made(result, managed, document)) if billing is not None else []
        with _told(f"{MAKES[operation]} {result.id} could not be written down", billing):
            await resources.keep(managed, ids.owner, named, document, also)
    elif operation in _LOOKS and (row := ids.rows.get(result.id)) is not None:
        result = _filled(result, {name: row.document.get(name) for name in _KEPT})
        if (document := _document(result, row.model)) != row.document:
            with _told("how a job looks now could not be written down"):
                await resources.see(row.id, document)
    elif operation == "delete_video":
        with _told("a deletion could not be written down"):
            for row in ids.rows.values():
                await resources.delete(row.id)
    return result


def _models_of_source(operation: str, ids: OwnedIds) -> str | None:
    """The model of the video that is changed: it goes on with that one. A video with characters has its own."""
    return None if operation == "generate_video" else next((row.model for row in ids.rows.values()), None)


async def instead(resources: Resources, operation: str, refusal: UnsupportedOperation, ids: OwnedIds) -> Any:
    """What a row can answer where the provider can't; else its refusal is raised."""
    row: Resource | None = next(iter(ids.rows.values()), None)
    if row is not None and operation == "get_character":
        return Character.model_validate(dict(row.document))
    if row is not None and operation == "delete_video":
        await resources.delete(row.id)  # here the row is all that there is
        return DeletedVideo(id=row.id, object="video.deleted", deleted=True)
    raise refusal


def _filled(result: Any, known: Mapping[str, Any]) -> Any:
    """A result with what it leaves open."""
    fields = type(result).model_fields
    missing = {name: value for name, value in known.items() if name in fields and getattr(result, name) is None}
    return result.model_copy(update={name: value for name, value in missing.items() if value is not None})


def _document(result: Any, model: str | None) -> dict[str, Any]:
    document: dict[str, Any] = result.wire()
    return {**document, "model": model} if model is not None and "model" in type(result).model_fields else document
