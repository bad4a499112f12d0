"""One paid call on its way: its charge is there before anything is sent, and says in the end what became of it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from attrs import define, field

from callsheet import CallsheetError, Event, RealtimeCall, Stream, Upload, Video
from callsheet.ids import ManagedId
from callsheet.models import Document
from callsheet.models.base import OperationRequest
from callsheet.operations import OPERATIONS
from callsheet.pricing import Price, bound
from callsheet.routing import Deployment
from callsheet_gateway.database import Statement
from callsheet_gateway.errors import Refused
from callsheet_gateway.ledger.charge import Charge, State, place_of
from callsheet_gateway.ledger.costs import (
    LISTED,
    REPRICED,
    applied,
    cost_of_text,
    cost_of_video,
    fitting,
    longest,
    promise,
)
from callsheet_gateway.ledger.endings import GOES_ON, ending_of
from callsheet_gateway.ledger.ledger import FAILURES, LOOKED_FOR, Ledger
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.owned_ids import OwnedIds
from callsheet_gateway.principal import Principal
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.resources import Resource

__all__ = ["Billing", "prompt_hash"]

log = logging.getLogger("callsheet.gateway")

WRITTEN_FIRST = LISTED | {"create_character", "relay_sdp"}
"""The operations that are on the disk before they are sent: what they begin goes on without us."""


def prompt_hash(prompt: str) -> str:
    """What is kept of a prompt, to know it again."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@define(eq=False)
class Billing:
    """The charge of one call, or one after another where its attempts may each have been paid for."""

    ledger: Ledger
    prices: Prices
    operation: str
    request: OperationRequest
    principal: Principal
    ids: OwnedIds
    record: RequestRecord
    model: str | None = None
    """What callers call the model, where the call itself does not say it."""
    charge: Charge | None = field(default=None, init=False)
    _price: Price | None = field(default=None, init=False)

    async def admit(self, deployment: Deployment) -> None:
        """Before each attempt. Refused if there is no money for it, or if it can't be written down."""
        if self.charge is not None and self.record.call.outcome == "maybe":
            self.failed()
            self.charge = None
        if (source := self._source()) is not None:
            deployment = self._of_source(deployment, source)
        elif deployment.model is None:
            deployment = self._with_model(deployment)
        account, price = deployment.account, self.prices.of(deployment)
        repriced = self.prices.repriced(account.provider, self.request)
        self._price, most = price, None if repriced else price
        charge, again = self.charge, self.charge is not None
        if charge is None:
            charge = self._new()
        else:
            self.ledger.release(charge, 0)
            charge.asked.pop(REPRICED, None)
        if repriced:
            charge.asked[REPRICED] = True
        charge.provider, charge.account, charge.upstream_model = account.provider, account.id, _text(deployment.model)
        charge.model = self._called(deployment, None if source is not None else self.request.model)
        charge.bound = lambda: fitting(bound(most, self.operation, self.request))
        self.ledger.reserve(charge)
        if self.operation not in WRITTEN_FIRST:
            self.ledger.put(charge)
        else:
            try:
                await self.ledger.begin(charge)
            except Refused:
                if not again:  # there is no row
                    self.ledger.release(charge, 0)
                raise
            except BaseException:  # given up meanwhile: there will be one
                self.charge = charge
                raise
        self.charge = charge

    def failed(self) -> None:
        """The call has failed, or was given up."""
        if (charge := self.charge) is None or charge.state != "begun":
            return
        if self.record.call.outcome == "maybe":
            charge.asked["ended"] = self.ledger.clock()
            self._ends("unknown", final=self.operation not in LOOKED_FOR)
        else:
            self._ends("void", 0)

    def made(self, result: Any, managed: ManagedId, document: Mapping[str, Any]) -> Iterable[Statement]:
        """What belongs into the transaction that writes down a job or a character that was made."""
        if (charge := self.charge) is None:
            return ()
        charge.resource, charge.place = str(document["id"]), place_of(managed.account, managed.upstream)
        if isinstance(result, Video):
            self._worked_with(charge, result.model)
            self.record.cost = promise(charge, self._price, self.request, result)
            if not result.finished:
                charge.turn("running", self.ledger.clock())
            else:
                cost = cost_of_video(charge, self._price, result)
                failed = result.status == "failed" and cost == 0
                self.ledger.finish(charge, "void" if failed else "settled", cost)
        else:
            self.record.cost = charge.most()
            self.ledger.finish(charge, "settled", charge.most())
        return self.ledger.rows.statements([charge])

    def not_kept(self) -> None:
        """That transaction has failed: the charge is written as soon as it can be."""
        if self.charge is not None:
            self.ledger.put(self.charge)

    async def answered(self, result: Any) -> None:
        """The call has come to an answer; of a job, see `made`."""
        if self.charge is None or self.charge.state != "begun":
            return
        match result:
            case Stream():
                self._follow(result)
            case Document():
                self._text_ended(self.record.call.usage, result.raw.get("status"), result.raw.get("id"))
            case RealtimeCall():
                await self._called_up(result)

    def _follow(self, stream: Stream) -> None:
        id: str | None = None
        ending = ending_of(self.request, self.record.call)
        if getattr(self.request, "background", None):

            def look(event: Event) -> None:
                nonlocal id
                if id is None and '"response"' in event.raw:
                    id = _id_in(event)

            stream.tap(look)
        # Of one that breaks off in the background the provider goes on.
        stream.tap(ending.look, lambda _error: self._text_ended(ending.usage, "in_progress", id))

    def _text_ended(self, usage: Mapping[str, Any] | None, status: object, id: object) -> None:
        charge = self.charge
        if charge is None or charge.state != "begun":
            return
        charge.usage, cost = cost_of_text(applied(charge, self._price), usage)
        if charge.usage is not None:
            self.record.cost = cost
            self._ends("settled", cost)
        elif status in GOES_ON and isinstance(id, str) and self._placed(id):
            charge.turn("running", self.ledger.clock())
            self.ledger.put(charge)
        else:
            self._ends("unknown")

    async def _called_up(self, call: RealtimeCall) -> None:
        assert self.charge is not None
        now = self.ledger.clock()
        self.charge.asked |= {"answered": now, "until": now + longest(self._price)}
        if call.id:
            self._placed(call.id)
        self.charge.turn("running", now)
        try:
            await self.ledger.write([self.charge])
        except FAILURES as error:
            log.critical("the call %s could not be written down: %s", call.id, type(error).__name__)
            self.ledger.put(self.charge)

    def _placed(self, id: str) -> bool:
        assert self.charge is not None
        try:
            managed = self.ids.managed(id)
        except StopIteration:
            return False
        self.charge.resource, self.charge.place = id, place_of(managed.account, managed.upstream)
        return True

    def _ends(self, state: State, cost: int | None = None, *, final: bool = True) -> None:
        assert self.charge is not None
        self.ledger.finish(self.charge, state, cost, final=final)
        self.ledger.put(self.charge)

    def _new(self) -> Charge:
        request, ledger, principal = self.request, self.ledger, self.principal
        charge = Charge(ledger.new_id(), ledger.clock(), self.operation, self.ids.owner, ledger.process)
        charge.key, charge.key_name, charge.request_id = principal.key, principal.name, self.record.id
        if self.operation in LISTED:
            said = {name: getattr(request, name, None) for name in ("seconds", "size", "video_id")}
            charge.asked = {name: value for name, value in said.items() if value is not None}
            charge.asked["prompt"] = prompt_hash(getattr(request, "prompt", ""))
            source = getattr(request, "video", None)
            if source is not None and not isinstance(source, Upload):
                charge.asked["video_id"] = source.id
        elif self.operation == "relay_sdp":
            charge.asked = {"until": charge.created_at + longest(self._price)}
        return charge

    def _source(self) -> Resource | None:
        """The video that is changed, where that chooses the model: whatever the request names, it goes on with its own."""
        if OPERATIONS[self.operation].takes_model:
            return None
        return next((row for row in self.ids.rows.values() if row.kind == "video"), None)

    def _of_source(self, deployment: Deployment, source: Resource) -> Deployment:
        """A deployment with the model of the video that is changed.

        Its charge says it for certain. Its row may bear a name that somebody gave who had it made out of another one.
        """
        model = self.ledger.rows.model_at(source.place)
        unnamed = Deployment(deployment.account, model)
        named = unnamed if source.model is None else self._meant(deployment, source.model)
        return named if model in {None, named.model} else unnamed

    def _with_model(self, deployment: Deployment) -> Deployment:
        """A deployment with the model of the ephemeral key."""
        return deployment if self.model is None else self._meant(deployment, self.model)

    def _meant(self, deployment: Deployment, name: str) -> Deployment:
        """What a name that callers use means where the call goes."""
        with suppress(CallsheetError):  # a name that is not configured any more
            if (found := self.prices.router.at(deployment.account.id, name)) is not None:
                return found
        return Deployment(deployment.account, name.removeprefix(f"{deployment.account.provider}/"))

    def _worked_with(self, charge: Charge, said: str | None) -> None:
        """Heed the model that a provider says a job is made with, where the request did not choose one."""
        account, ours = charge.account, charge.upstream_model
        if ours is None:
            charge.upstream_model, self._price = _text(said), self.prices.at(charge.provider, account, said)
            return
        if said is None or OPERATIONS[self.operation].takes_model:
            return
        if (price := self.prices.of_another(charge.provider, account, ours, said)) is not None:
            charge.upstream_model, self._price = _text(said), price
            charge.model = _text(self.prices.router.models.name_of(account, said) or f"{charge.provider}/{said}")

    def _called(self, deployment: Deployment, asked: str | None) -> str | None:
        """What callers call the model."""
        models = self.prices.router.models
        if asked is not None and asked in models:
            return _text(asked)
        account = deployment.account
        name = models.name_of(account.id, deployment.model)
        if name is None and deployment.model is not None:
            name = f"{account.provider}/{deployment.model}"
        return _text(name)


def _text(name: str | None) -> str | None:
    """A stranger's text, as a database takes it."""
    return name if name is None else name[:200].encode("utf-8", "replace").decode()


def _id_in(event: Event) -> str | None:
    response = event.document.get("response")
    id = response.get("id") if isinstance(response, dict) else None
    return id if isinstance(id, str) else None
