"""What the one who relays an offer has in hand before there is a call. Light: a hook holds it, not the loop thread."""

from __future__ import annotations

from attrs import define, field

from callsheet_local.studio import new_id

__all__ = ["Ticket"]


@define(eq=False)
class Ticket:
    """The id that a call will have. It may be given up at any time, also before there is a call."""

    id: str = field(factory=lambda: new_id("rtc"))
    given_up: bool = False
