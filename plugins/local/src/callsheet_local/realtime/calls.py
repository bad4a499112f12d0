"""All calls of one provider instance. Everything here runs on the loop thread."""

from __future__ import annotations

import time
from typing import Any

from callsheet import RateLimitError
from callsheet_local.realtime.call import Call
from callsheet_local.realtime.engine import Ways
from callsheet_local.realtime.refusals import no_call
from callsheet_local.realtime.sdp import Offer
from callsheet_local.studio import new_id

__all__ = ["Calls"]

_RETRY_SECONDS = 5.0


class Calls:
    """The calls in progress, by their ids."""

    def __init__(self, *, most: int, session_seconds: float, ways: Ways) -> None:
        self._most, self._session_seconds, self._ways = most, session_seconds, ways
        self._live: dict[str, Call] = {}

    async def answer(self, offer: Offer, session: dict[str, Any], filtered: bool) -> tuple[str, str]:
        """Begin a call. Returns its id and the SDP answer. RateLimitError when there are too many."""
        if len(self._live) >= self._most:
            raise RateLimitError(
                f"{len(self._live)} realtime sessions are open, which is the most that one process holds (setting"
                f" max_sessions: {self._most}). End one by hang_up, or by closing the peer connection, and try again",
                code="too_many_sessions",
                retry_after=_RETRY_SECONDS,
            )
        session = {**session, "id": new_id("sess"), "expires_at": int(time.time() + self._session_seconds)}
        call = Call(new_id("rtc"), session, filtered, self._forget)
        self._live[call.id] = call
        try:
            return call.id, await call.answer(offer, self._ways, self._session_seconds)
        except BaseException:
            await call.close()
            raise

    async def hang_up(self, id: str) -> None:
        """End a call. NotFoundError if there is none with this id."""
        call = self._live.get(id)
        if call is None:
            raise no_call(id)
        await call.close()

    async def close(self) -> None:
        """End all calls."""
        for call in list(self._live.values()):
            call.end()
        for call in list(self._live.values()):
            await call.close()

    def _forget(self, call: Call) -> None:
        self._live.pop(call.id, None)
