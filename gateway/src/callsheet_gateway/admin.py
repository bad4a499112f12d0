"""The admin API: virtual keys and budgets, for who has the master key."""

from __future__ import annotations

from typing import Annotated, TypeVar

import anyio.to_thread
from attrs import evolve
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from callsheet import NotFoundError
from callsheet_gateway.amounts import DURATION, micros_of, seconds_of
from callsheet_gateway.bodies import json_document
from callsheet_gateway.budgets import Kind, check
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Endpoint, Face
from callsheet_gateway.idempotency import claim
from callsheet_gateway.key_limits import MOST, Caps
from callsheet_gateway.keys import VirtualKey

__all__ = ["ROUTES", "KeyLimits", "NewBudget", "NewKey"]

M = TypeVar("M", bound=BaseModel)
_MOST = 64 * 1024


_Limit = Annotated[int, Field(ge=1, le=MOST)] | None
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class KeyLimits(BaseModel):
    """What POST /keys/{key_id}/limits takes: those that are there are changed, and null lifts one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    rpm: _Limit = None
    tpm: _Limit = None
    max_parallel_requests: _Limit = None


class NewBudget(BaseModel):
    """What a budget is: an `amount` of dollars, as a number or, exactly, as a text, for each `period`, such as 30d.

    Without a period it is for ever. An amount of null lifts the budget.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    amount: (
        Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
        | Annotated[int, Field(ge=0, lt=10**9)]
        | Annotated[float, Field(ge=0, lt=10**9)]
        | None
    )
    period: Annotated[str, Field(pattern=f"^{DURATION}$")] | None = None


class NewKey(KeyLimits):
    """What POST /keys takes. `expires_at` is Unix time in seconds; without `models` all may be used.

    `rpm` and `tpm` are requests and tokens in any minute.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    owner: _Text | None = None
    models: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    expires_at: Annotated[int, Field(gt=0, lt=2**53)] | None = None
    budget: NewBudget | None = None


async def create(face: Face, request: Request) -> Response:
    """POST /keys: make a key. Its secret stands in `key`, this once."""
    asked = await _asked(request, NewKey)
    unknown = sorted(name for name in set(asked.models or ()) if name not in face.router.models)
    if unknown:
        names = ", ".join(face.router.models)
        raise Refused(400, f"models: there is no {unknown[0]!r:.80}; there are: {names}", "model_not_found", "models")
    state = face.state
    budget = None if asked.budget is None else _amount_and_period(asked.budget)

    def make() -> tuple[VirtualKey, str]:
        caps = Caps(asked.rpm, asked.tpm, asked.max_parallel_requests)
        key, secret = state.keys.create(
            asked.name, owner=asked.owner, models=asked.models, expires_at=asked.expires_at, caps=caps
        )
        if budget is not None and budget[0] is not None:
            state.budgets.set("key", key.id, budget[0], budget[1])
        return key, secret

    key, secret = await anyio.to_thread.run_sync(make)
    return JSONDocument({**_shown(face, key), "key": secret}, 201)


async def every(face: Face, _request: Request) -> Response:
    """GET /keys: all of them, without their secrets."""
    return JSONDocument({"object": "list", "data": [_shown(face, key) for key in face.state.keys.every()]})


async def one(face: Face, request: Request) -> Response:
    """GET /keys/{key_id}."""
    if (key := face.state.keys.by_id(id := request.path_params["key_id"])) is None:
        raise NotFoundError(f"there is no key {id!r:.80}", code="key_not_found")
    return JSONDocument(_shown(face, key))


async def disable(face: Face, request: Request) -> Response:
    """DELETE /keys/{key_id}: refuse it from now on. Its row stays."""
    await claim(request, None)
    key = await anyio.to_thread.run_sync(face.state.keys.disable, request.path_params["key_id"])
    return JSONDocument(_shown(face, key))


async def rotate(face: Face, request: Request) -> Response:
    """POST /keys/{key_id}/rotate: a new secret, which stands in `key`, this once. The old one is refused from now on."""
    await claim(request, None)
    key, secret = await anyio.to_thread.run_sync(face.state.keys.rotate, request.path_params["key_id"])
    return JSONDocument({**_shown(face, key), "key": secret})


async def limit(face: Face, request: Request) -> Response:
    """POST /keys/{key_id}/limits: change the limits that are named."""
    asked = await _asked(request, KeyLimits)
    keys = face.state.keys
    changed = {name: getattr(asked, name) for name in asked.model_fields_set}
    caps = evolve(keys.sure(id := request.path_params["key_id"]).caps, **changed)
    return JSONDocument(_shown(face, await anyio.to_thread.run_sync(keys.limit, id, caps)))


async def key_budget(face: Face, request: Request) -> Response:
    """POST /keys/{key_id}/budget: say what a key may spend."""
    asked = await _asked(request, NewBudget)
    key = face.state.keys.sure(request.path_params["key_id"])
    await _set(face, "key", key.id, asked)
    return JSONDocument(_shown(face, key))


async def owner_budget(face: Face, request: Request) -> Response:
    """POST /owners/{owner}/budget: say what an owner may spend, with all his keys."""
    asked, owner = await _asked(request, NewBudget), _owner(face, request)
    await _set(face, "owner", owner, asked)
    return JSONDocument({"owner": owner, "budget": face.state.budgets.shown("owner", owner)})


async def shown_owner_budget(face: Face, request: Request) -> Response:
    """GET /owners/{owner}/budget."""
    owner = _owner(face, request)
    return JSONDocument({"owner": owner, "budget": face.state.budgets.shown("owner", owner)})


async def _asked(request: Request, kind: type[M]) -> M:
    """The body. Refused (400) for what is not of that kind, naming the field."""
    document = await json_document(request, _MOST)
    await claim(request, document)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise Refused(400, f"{field}: {first['msg']}", "invalid_value", field.partition(".")[0]) from None


def _amount_and_period(budget: NewBudget) -> tuple[int | None, int | None]:
    try:
        amount = None if budget.amount is None else micros_of(budget.amount)
    except ValueError as error:
        raise Refused(400, f"amount: {error}", "invalid_value", "amount") from None
    period = None if budget.period is None else seconds_of(budget.period)
    check(amount or 0, period)
    return amount, period


async def _set(face: Face, kind: Kind, subject: str, asked: NewBudget) -> None:
    (amount, period), budgets = _amount_and_period(asked), face.state.budgets
    if amount is None:
        await anyio.to_thread.run_sync(budgets.remove, kind, subject)
    else:
        await anyio.to_thread.run_sync(budgets.set, kind, subject, amount, period)


def _owner(face: Face, request: Request) -> str:
    """The owner in the path. NotFoundError if no key is his."""
    owner: str = request.path_params["owner"]
    if all(key.owner != owner for key in face.state.keys.every()):
        raise NotFoundError(f"no key is of an owner {owner!r:.80}", code="owner_not_found")
    return owner


def _shown(face: Face, key: VirtualKey) -> dict[str, object]:
    return {**key.document(), "budget": face.state.budgets.shown("key", key.id)}


ROUTES: dict[str, dict[str, Endpoint]] = {
    "/keys": {"GET": every, "POST": create},
    "/keys/{key_id}": {"GET": one, "DELETE": disable},
    "/keys/{key_id}/rotate": {"POST": rotate},
    "/keys/{key_id}/limits": {"POST": limit},
    "/keys/{key_id}/budget": {"POST": key_budget},
    "/owners/{owner:path}/budget": {"GET": shown_owner_budget, "POST": owner_budget},
}
