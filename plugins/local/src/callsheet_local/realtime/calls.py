"""All calls of one provider instance. Everything here runs on the loop thread."""

from __future__ import annotations

import time
from typing import Any

from callsheet import RateLimitError
from callsheet_local.realtime.call import Call
from callsheet_local.realtime.engine import Ways
from callsheet_local.realtime.refusals import given_up, no_call, was_closed
from callsheet_local.realtime.sdp import Offer
from callsheet_local.realtime.thinker import Think
from callsheet_local.realtime.ticket import Ticket
from callsheet_local.studio import new_id

__all__ = ["Calls"]

_RETRY_SECONDS = 5.0


class Calls:
    """The calls in progress, by their ids."""

    def __init__(self, *, most: int, session_seconds: float, ways: Ways, think: Think) -> None:
        self._most, self._session_seconds, self._ways, self._think = most, session_seconds, ways, think
        self._live: dict[str, Call] = {}
        self._closed = False

    async def answer(self, ticket: Ticket, offer: Offer, session: dict[str, Any], filtered: bool) -> str:
        """Begin a call, and return the SDP answer. RateLimitError when there are too many."""
        if self._closed:
            raise was_closed()
        if ticket.given_up:
            raise given_up()
        if len(self._live) >= self._most:
            raise RateLimitError(
                f"{len(self._live)} realtime sessions are open, which is the most that one process holds (setting"
                f" max_sessions: {self._most}). End one by hang_up, or by closing the peer connection, and try again",
                code="too_many_sessions",
                retry_after=_RETRY_SECONDS,
            )
        session = {**session, "id": new_id("sess"), "expires_at": int(time.time() + self._session_seconds)}
        call = Call(ticket.id, session, filtered, self._think, self._forget)
        self._live[call.id] = call
        try:
            return await call.answer(offer, self._ways, self._session_seconds)
        except BaseException:
            await call.close()
            raise

    async def hang_up(self, id: str) -> None:
        """End a call. NotFoundError if there is none with this id."""
        call = self._live.get(id)
        if call is None:
            raise no_call(id)
        await call.close()

    def drop(self, id: str) -> None:
        """Begin to end a call, if there is one with this id."""
        if (call := self._live.get(id)) is not None:
            call.end()

    async def close(self) -> None:
        """End all calls, and take no more."""
        self._closed = True
        for call in list(self._live.values()):
            call.end()
        for call in list(self._live.values()):
            await call.close()

    def _forget(self, call: Call) -> None:
        self._live.pop(call.id, None)
