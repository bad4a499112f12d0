"""What is settled later, when somebody looks: jobs, responses in the background, realtime calls.

It comes from the rows, so it does not matter which run of the gateway began it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define

from callsheet import Video
from callsheet.ids import ManagedId
from callsheet.models import Document
from callsheet.models.base import OperationRequest
from callsheet.routing import CallRecord
from callsheet_gateway.ledger.charge import Charge, State, place_of
from callsheet_gateway.ledger.costs import VIDEO, applied, cost_of_text, cost_of_video, fitting
from callsheet_gateway.ledger.endings import GOES_ON, Ending
from callsheet_gateway.ledger.ledger import Ledger
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.owned_ids import OwnedIds

__all__ = ["Jobs"]

_NAMED = {"download_video": "video_id", "delete_video": "video_id", "hang_up": "call_id"}
"""The operations whose results don't say what they are about, and the field of the request that does."""
_LOOKS = {"get_video", "get_response", "cancel_response", *_NAMED}


@define(eq=False)
class Jobs:
    """Settles what is seen to be over."""

    ledger: Ledger
    prices: Prices

    def seen(self, operation: str, request: OperationRequest, result: Any, ids: OwnedIds, call: CallRecord) -> None:
        """An operation that costs nothing has shown how something stands."""
        if operation not in _LOOKS:
            return
        if operation == "get_video":
            if result.finished:
                self.video(self._open(ids, result.id, VIDEO), result)
        elif operation in _NAMED:
            id = getattr(request, _NAMED[operation])
            if operation == "hang_up":
                self.hung_up(self._open(ids, id, {"relay_sdp"}))
            elif operation == "delete_video" or getattr(request, "variant", None) in {None, "video"}:
                # Only what is done has bytes. What is deleted was accepted, and nobody can tell any more what it came to.
                self.done(self._open(ids, id, VIDEO))
        elif isinstance(result, Document):
            self.response(self._open(ids, str(result.raw.get("id")), {"responses"}), result.raw)
        elif charges := self._open(ids, request.response_id, {"responses"}):  # type: ignore[attr-defined]  # a GetResponse
            ending = Ending(call)
            result.tap(ending.look, lambda _error: self._followed(charges, ending))

    def video(self, charges: Iterable[Charge], video: Video) -> None:
        """A job that was seen at its end."""
        for charge in charges:
            price = self.prices.at(charge.provider, charge.account, charge.upstream_model or video.model)
            cost = cost_of_video(charge, price, video)
            self._settle(charge, "void" if video.status == "failed" and cost == 0 else "settled", cost)

    def done(self, charges: Iterable[Charge]) -> None:
        """Jobs of which nothing is known but that they were accepted, and that nobody can ask about: they cost what was asked."""
        for charge in charges:
            expected = charge.asked.get("cost")
            self._settle(charge, "settled", charge.most() if expected is None else expected)

    def response(self, charges: Iterable[Charge], raw: Mapping[str, Any]) -> None:
        """A response that went on in the background."""
        if raw.get("status") in GOES_ON:
            return
        for charge in charges:
            price = self.prices.at(charge.provider, charge.account, charge.upstream_model)
            charge.usage, cost = cost_of_text(applied(charge, price), raw.get("usage"))
            if charge.usage is None:
                self.lost(charge)
            else:
                self._settle(charge, "settled", cost)

    def hung_up(self, charges: Iterable[Charge]) -> None:
        """Calls that end now."""
        now = self.ledger.clock()
        for charge in charges:
            price = self.prices.at(charge.provider, charge.account, charge.upstream_model)
            until, answered = charge.asked.get("until", now), charge.asked.get("answered", charge.created_at)
            price = applied(charge, price)
            seconds = charge.asked["seconds"] = round(max(0.0, min(now, until) - answered), 3)
            self._settle(charge, "settled", None if price is None else fitting(price.session(seconds)))

    def lost(self, charge: Charge) -> None:
        """Nobody will know what it cost: it counts with the most that it can have."""
        if charge.settled_at is None:
            now = self.ledger.clock()
            charge.turn("unknown", now)
            charge.settled_at = now
            self.ledger.settle(charge)

    def _settle(self, charge: Charge, state: State, cost: int | None) -> None:
        was_final = charge.settled_at is not None
        charge.turn(state, self.ledger.clock(), cost)
        self.ledger.settle(charge, was_final=was_final)

    def _followed(self, charges: list[Charge], ending: Ending) -> None:
        if ending.usage is not None:
            self.response(charges, {"usage": ending.usage})

    def _open(self, ids: OwnedIds, id: str, operations: Iterable[str]) -> list[Charge]:
        try:
            managed: ManagedId = ids.managed(id)
        except StopIteration:
            return []
        found = self.ledger.rows.at(place_of(managed.account, managed.upstream))
        return [charge for charge in found if charge.operation in operations]
