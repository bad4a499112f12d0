"""What calls come to, out of what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields

from callsheet import Video
from callsheet.models.base import OperationRequest
from callsheet.pricing import Price, Usage, charge_of_video, usage_of
from callsheet.pricing.charges import SESSION_SECONDS, VIDEO
from callsheet_gateway.ledger.charge import Charge

__all__ = ["LISTED", "REPRICED", "VIDEO", "applied", "cost_of_text", "cost_of_video", "fitting", "longest", "promise"]

LISTED = VIDEO
"""The operations whose work can be found again in a provider's list."""
_MOST = 10**15
"""A billion dollars. No call costs more; and the sums of a database's whole numbers end at some 9000 of them."""
REPRICED = "repriced"
"""Stands among what was asked where the request said something by which the vendor charges another price."""
_COUNTS = tuple(one.name for one in fields(Usage))


def fitting(amount: int | None) -> int | None:
    """An amount that can be written down; None for what is beyond all reason."""
    return amount if amount is not None and 0 <= amount <= _MOST else None


def cost_of_text(price: Price | None, said: Mapping[str, Any] | None) -> tuple[dict[str, int] | None, int | None]:
    """The tokens that a provider says were used, and what they cost. None where it does not say; where no price is known."""
    if said is None or (usage := usage_of({"usage": said})) is None:
        return None, None
    counts = {name: count for name in _COUNTS if (count := getattr(usage, name))}
    return counts, None if price is None else fitting(price.tokens(usage))


def applied(charge: Charge, price: Price | None) -> Price | None:
    """The price of its model, where that counts for a charge."""
    return None if charge.asked.get(REPRICED) else price


def promise(charge: Charge, price: Price | None, request: OperationRequest, video: Video) -> int | None:
    """What a job that was accepted will cost. It is kept with the charge: prices may change until it is done."""
    done = video.model_copy(update={"status": "completed"})
    cost = fitting(charge_of_video(applied(charge, price), charge.operation, request, done))
    charge.asked |= {"cost": cost, "basis": [video.seconds, video.size]}
    return cost


def cost_of_video(charge: Charge, price: Price | None, video: Video) -> int | None:
    """What a job came to, as it is seen at its end. A failed one costs nothing, unless the price says otherwise.

    One that was cancelled, or whose bytes have expired, was worked on: nobody says that it is not charged.
    """
    if video.status == "failed" and (price is None or not price.charges_failed):
        return 0
    asked, price = charge.asked, applied(charge, price)
    seconds, size = asked.get("basis") or (None, None)
    as_promised = (video.seconds or seconds, video.size or size) == (seconds, size)
    if as_promised and asked.get("cost") is not None:
        return fitting(asked["cost"])
    known = {"seconds": video.seconds or seconds, "size": video.size or size}
    request = OperationRequest.model_validate({name: asked[name] for name in ("seconds", "size") if asked.get(name)})
    return fitting(charge_of_video(price, charge.operation, request, video.model_copy(update=known)))


def longest(price: Price | None) -> int:
    """The seconds that a realtime session can last."""
    return (price.max_session_seconds if price is not None else None) or SESSION_SECONDS
