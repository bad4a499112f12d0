"""The way from an HTTP request to the library's router and back: one call, and the names that callers know."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from attrs import Factory, define, field
from pydantic import ValidationError
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response as HTTPResponse

from callsheet import AsyncClient, Document, Meta, UnsupportedOperation, Upload, Video
from callsheet.client_base import bad_request
from callsheet.models.base import OperationRequest
from callsheet.operations import OPERATIONS
from callsheet.routing import CallRecord, Router
from callsheet_gateway.drain import Drain
from callsheet_gateway.errors import Refused, ending
from callsheet_gateway.ledger import Charge, Ledger
from callsheet_gateway.ledger.billing import Billing
from callsheet_gateway.ledger.jobs import Jobs
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.ledger.streams import asked_for_usage
from callsheet_gateway.metrics import Metrics
from callsheet_gateway.owned_ids import OwnedIds
from callsheet_gateway.principal import Doorkeeper, Principal, principal_of
from callsheet_gateway.protocol import Gone, Left, gone_in
from callsheet_gateway.records import MAKES, instead, recorded
from callsheet_gateway.request_record import record_of
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State
from callsheet_gateway.tokens import Tokens

__all__ = ["Endpoint", "Face", "may_use", "unless_gone"]

T = TypeVar("T")
_VIDEO_FIELDS = (
    "id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size",
    "seconds", "remixed_from_video_id", "error",
)  # fmt: skip
"""OpenAI's video object always has all of them."""
_TARGETS, _MOST_TARGETS = "target_model_names", 16


@define(eq=False)
class Face:
    """What every route needs: the client, whose router does the work, the settings, and what is kept and counted."""

    client: AsyncClient
    settings: GatewaySettings
    state: State
    drain: Drain = Factory(Drain)
    metrics: Metrics = Factory(Metrics)
    door: Doorkeeper = field(init=False)
    tokens: Tokens = field(init=False)
    ledger: Ledger = field(init=False)
    prices: Prices = field(init=False)
    jobs: Jobs = field(init=False)

    def __attrs_post_init__(self) -> None:
        state = self.state
        self.prices = Prices(self.client.router)
        self.ledger = Ledger(state.database, state.clock, state.budgets, self._counted)
        self.jobs = Jobs(self.ledger, self.prices)
        self.tokens = Tokens.of(self.state.root, self.state.clock)
        self.door = Doorkeeper(self.state.keys, self.settings.master_key)

    @property
    def router(self) -> Router:
        return self.client.router

    def _counted(self, charge: Charge) -> None:
        """A charge has come to its end."""
        if charge.cost is None:
            self.prices.missing(charge.provider, charge.upstream_model)
        self.metrics.charged(charge.provider or "none", charge.account or "none", charge.cost)

    async def call(
        self,
        operation: str,
        fields: Mapping[str, Any],
        asking: HTTPRequest,
        principal: Principal | None = None,
        account: str | None = None,
        *,
        counted: bool = True,
        model: str | None = None,
    ) -> Any:
        """Do an operation for who is `asking`. The fields come from a stranger: a str in the place of a file stays a str.

        `principal` acts in the place of who sent the request. If the client leaves meanwhile, or the gateway ends, the
        call is given up - but not one that makes a job or a character. `counted`: it stands in the request's record. Of
        calls that are made again and again for one request only the first does. `model` is the model's name, where it is
        known and not to be said to the provider.
        """
        principal = principal or principal_of(asking)
        targets = _targets(fields)
        request = self.request_of(operation, fields)
        record, gone = record_of(asking), gone_in(asking.scope)
        record.model = request.model[:80] if request.model else None
        # What names nothing that was made here goes where the gateway likes.
        names: list[str | None] = [*targets] or [request.model]
        for name in names:
            may_use(principal, name, chooses=OPERATIONS[operation].takes_model or not any(_ids_in(request)))
        self.state.limits.keys.take(principal, record, request)
        ids, billing = self.ids_of(principal), None
        if OPERATIONS[operation].billable:
            if (asking_for_usage := asked_for_usage(self.router, request)) is not None:
                request, record.hides_usage = asking_for_usage, True
            billing = Billing(self.ledger, self.prices, operation, request, principal, ids, record, model)
        call = record.call if counted else CallRecord()

        def wanted() -> bool:
            return not (self.drain.over or (gone is not None and gone.left))

        calling = self.router.call(
            operation,
            request,
            self.client.transport,
            provider=account,
            target_model_names=targets,
            ids=ids,
            record=call,
            wanted=wanted,
            admit=billing.admit if billing is not None else None,
        )
        try:
            # What makes something is not given up on its way: it may be paid for by now, and has to be written down.
            result = await (calling if operation in MAKES else unless_gone(calling, gone))
        except UnsupportedOperation as refusal:
            if billing is not None:
                billing.failed()
            result = await instead(self.state.resources, operation, refusal, ids)
            self.jobs.seen(operation, request, result, ids, call)
            return result
        except BaseException:
            if billing is not None:
                billing.failed()
            raise
        try:
            named = self.model_name(result.meta, result.model) if isinstance(result, Video) else None
            result = await recorded(self.state.resources, operation, request, result, named, ids, billing)
            if billing is not None:
                await billing.answered(result)
        except BaseException:
            if billing is not None and billing.charge is not None:
                self.ledger.accepted(billing.charge)  # and maybe paid for, so it is not void
            raise
        if billing is None:
            self.jobs.seen(operation, request, result, ids, call)
        return result

    def ids_of(self, principal: Principal) -> OwnedIds:
        """The ids of one call of somebody's."""
        return OwnedIds(self.state.codecs, self.state.resources, principal)

    def request_of(self, operation: str, fields: Mapping[str, Any]) -> OperationRequest:
        """The request that a stranger's fields make. BadRequestError or Refused if they make none."""
        try:
            known = {name: value for name, value in fields.items() if name != _TARGETS}
            request = OPERATIONS[operation].request.model_validate(known)
        except ValidationError as error:
            raise bad_request(operation, error) from None
        for name, value in fields.items():
            if _holds_a_file(value) and value not in request.uploads():
                raise Refused(400, f"{operation} takes no file as {name!r:.80}", "invalid_value", name[:80])
        return request

    def model_name(self, meta: Meta, upstream: str | None) -> str | None:
        """What callers call a provider's model: its configured name, else PROVIDER/MODEL."""
        if upstream is None:
            return None
        if (name := self.router.models.name_of(meta.account, upstream)) is not None:
            return name
        return f"{meta.provider}/{upstream}" if meta.provider else upstream

    def document(self, result: Any, asked: str | None = None) -> Any:
        """A result as OpenAI's clients expect it. `asked` is the model's name in the request, which the answer repeats."""
        match result:
            case None:
                return {}
            case Video():
                return self._video(result, asked or self.model_name(result.meta, result.model))
            case Document():
                return self._with_model(result, asked)
        return result.wire()

    def _video(self, video: Video, model: str | None) -> dict[str, Any]:
        document = video.wire()
        full = {name: document.get(name) for name in _VIDEO_FIELDS}
        full |= {"model": model, "progress": full["progress"] or 0}
        return {**full, **{name: value for name, value in document.items() if name not in full}}

    def _with_model(self, result: Document, asked: str | None) -> dict[str, Any]:
        if not isinstance(result.model, str):
            return result.raw
        return {**result.raw, "model": asked or self.model_name(result.meta, result.model)}


Endpoint = Callable[[Face, HTTPRequest], Coroutine[Any, Any, HTTPResponse]]
"""What answers at a route."""


def may_use(principal: Principal, model: str | None, *, chooses: bool) -> None:
    """Refused for a model that a key is not made for, or for none where the choice would be the gateway's (`chooses`)."""
    if principal.models is None or (model is None and not chooses):
        return
    if model is None:
        names = ", ".join(sorted(principal.models))
        raise Refused(400, f"say which model is meant; this key may use: {names}", "missing_model", "model")
    if not principal.may_use(model):
        raise Refused(403, f"this key may not use the model {model!r:.80}", "model_not_allowed", "model")


async def unless_gone(work: Coroutine[Any, Any, T], gone: Gone | None) -> T:
    """What work comes to; Refused if the client leaves before, whom it will not reach, or if the gateway ends."""
    if gone is None:
        return await work
    try:
        return await gone.unless(work)
    except Left:
        raise (ending() if gone.ending else Refused(499, "the client has gone", "client_gone")) from None


def _targets(fields: Mapping[str, Any]) -> list[str]:
    """The models that a request names in the place of one: a list, or a text with commas, as forms have it."""
    match fields.get(_TARGETS):
        case None:
            return []
        case str() as text:
            names: list[object] = [*text.split(",")]
        case list() as names:
            pass
        case _:
            names = [None]
    found = [name.strip() for name in names if isinstance(name, str) and name.strip()]
    if len(found) != len(names) or len(found) > _MOST_TARGETS:
        raise Refused(400, f"{_TARGETS}: 1 to {_MOST_TARGETS} names of models are wanted", "invalid_value", _TARGETS)
    return list(dict.fromkeys(found))


def _ids_in(request: OperationRequest) -> Iterator[object]:
    return (value for part in request.parts() for name in part.managed if (value := getattr(part, name, None)))


def _holds_a_file(value: object) -> bool:
    """Whether there is a file in what a form said. Forms are not deep."""
    if isinstance(value, dict | list):
        return any(map(_holds_a_file, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Upload)
