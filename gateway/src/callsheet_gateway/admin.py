"""The admin API: virtual keys, for who has the master key."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from callsheet import NotFoundError
from callsheet_gateway.bodies import json_document
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Endpoint, Face

__all__ = ["ROUTES", "NewKey"]

_MOST = 64 * 1024


class NewKey(BaseModel):
    """What POST /keys takes. `expires_at` is Unix time in seconds; without `models` all may be used."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=80)]
    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    models: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    expires_at: Annotated[int, Field(gt=0, lt=2**53)] | None = None


async def create(face: Face, request: Request) -> Response:
    """POST /keys: make a key. Its secret stands in `key`, this once."""
    try:
        asked = NewKey.model_validate(await json_document(request, _MOST))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise Refused(400, f"{field}: {first['msg']}", "invalid_value", field.partition(".")[0]) from None
    unknown = sorted(set(asked.models or ()) - set(face.router.models))
    if unknown:
        names = ", ".join(face.router.models)
        raise Refused(400, f"models: there is no {unknown[0]!r:.80}; there are: {names}", "model_not_found", "models")
    make = partial(
        face.state.keys.create, asked.name, owner=asked.owner, models=asked.models, expires_at=asked.expires_at
    )
    key, secret = await anyio.to_thread.run_sync(make)
    return JSONDocument({**key.document(), "key": secret}, 201)


async def every(face: Face, _request: Request) -> Response:
    """GET /keys: all of them, without their secrets."""
    return JSONDocument({"object": "list", "data": [key.document() for key in face.state.keys.every()]})


async def one(face: Face, request: Request) -> Response:
    """GET /keys/{key_id}."""
    if (key := face.state.keys.by_id(id := request.path_params["key_id"])) is None:
        raise NotFoundError(f"there is no key {id!r:.80}", code="key_not_found")
    return JSONDocument(key.document())


async def disable(face: Face, request: Request) -> Response:
    """DELETE /keys/{key_id}: refuse it from now on. Its row stays."""
    key = await anyio.to_thread.run_sync(face.state.keys.disable, request.path_params["key_id"])
    return JSONDocument(key.document())


async def rotate(face: Face, request: Request) -> Response:
    """POST /keys/{key_id}/rotate: a new secret, which stands in `key`, this once. The old one is refused from now on."""
    key, secret = await anyio.to_thread.run_sync(face.state.keys.rotate, request.path_params["key_id"])
    return JSONDocument({**key.document(), "key": secret})


ROUTES: dict[str, dict[str, Endpoint]] = {
    "/keys": {"GET": every, "POST": create},
    "/keys/{key_id}": {"GET": one, "DELETE": disable},
    "/keys/{key_id}/rotate": {"POST": rotate},
}
