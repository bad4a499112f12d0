"""The provider's realtime side, as its hooks see it: everything here blocks, and hands over to the loop thread."""

from __future__ import annotations

import atexit
import os
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from callsheet import APITimeoutError
from callsheet import models as m
from callsheet_local.realtime.keys import DEFAULT_SECONDS, Keys
from callsheet_local.realtime.refusals import no_call, was_closed
from callsheet_local.realtime.sdp import read_offer
from callsheet_local.realtime.sessions import check_model, session_of
from callsheet_local.realtime.ticket import Ticket
from callsheet_local.settings import LocalSettings
from callsheet_local.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from callsheet_local.realtime.calls import Calls
    from callsheet_local.realtime.loop import LoopThread
    from callsheet_local.realtime.thinker import Thinker

__all__ = ["Realtime", "mint"]

T = TypeVar("T")
_LONGEST_SECONDS = 20.0


def mint(studio: Studio, request: m.MintRealtimeSecret, now: float) -> m.RealtimeSecret:
    """Make an ephemeral key, and write down what it is for."""
    session = session_of(request.session, request.model)
    studio.open()
    seconds = request.expires_after.seconds if request.expires_after else DEFAULT_SECONDS
    value, ends = Keys(studio.index).mint(session, seconds, now)
    return m.RealtimeSecret(value=value, expires_at=ends, session=session)


@frozen(eq=False)
class _Engine:
    """What lives in one process: a forked child has none of its parent's threads, and makes its own."""

    pid: int
    loop: LoopThread
    thinker: Thinker
    calls: Calls

    @property
    def here(self) -> bool:
        """Whether it lives in this process."""
        return self.pid == os.getpid()

    def close(self) -> None:
        """End all calls and the threads. A parent process's engine is let be."""
        if self.here:
            self.loop.close(self.calls.close)
            self.thinker.close()
            _engines.discard(self)


_engines: set[_Engine] = set()
"""All engines, so that they end with the process also when their provider was dropped and never closed.

Those of a parent process stay in here for good: if they were collected, their loops would take from the parent's.
"""


class Realtime:
    """Answers offers. The loop thread, and aiortc, come with the first of them."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        self._closed = False

    def relay(self, request: m.RelaySDP, ticket: Ticket, studio: Studio, now: float, deadline: float) -> m.RealtimeCall:
        """Answer an offer. `studio` is where ephemeral keys are looked up; `deadline` a reading of time.monotonic().

        Whatever comes of this: who does not hand the call on gives the ticket up.
        """
        if request.ephemeral_key is not None:
            check_model(request.model)
            studio.open()
            session = Keys(studio.index).session(request.ephemeral_key.get_secret_value(), now)
        else:
            session = session_of(request.session, request.model)
        offer = read_offer(request.sdp)
        engine = self._running()
        filtered = bool(request.webrtcfilter)
        answer = self._wait(engine, deadline, engine.calls.answer, ticket, offer, session, filtered)
        return m.RealtimeCall(id=ticket.id, sdp=answer.encode())

    def give_up(self, ticket: Ticket) -> None:
        """End the call that a relay made, or is about to make. Does not wait, not even for the lock."""
        ticket.given_up = True  # first: an engine that is made after the next line finds it so
        engine = self._engine
        if engine is not None and engine.here:
            engine.loop.post(engine.calls.drop, ticket.id)

    def hang_up(self, request: m.HangUp, deadline: float) -> None:
        """End a call and wait until it has ended."""
        with self._lock:
            engine = self._engine
        if engine is None or not engine.here:
            raise no_call(request.call_id)
        self._wait(engine, deadline, engine.calls.hang_up, request.call_id)

    def close(self) -> None:
        """End all calls and the threads, for good."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _running(self) -> _Engine:
        with self._lock:
            if self._closed:
                raise was_closed()
            if self._engine is None or not self._engine.here:
                self._engine = _engine(self._settings)
                _engines.add(self._engine)
            return self._engine

    def _wait(
        self, engine: _Engine, deadline: float, function: Callable[..., Coroutine[Any, Any, T]], *args: object
    ) -> T:
        seconds = min(_LONGEST_SECONDS, deadline - time.monotonic())
        try:
            return engine.loop.run(function, *args, timeout=max(0.0, seconds))
        except TimeoutError:
            raise APITimeoutError(
                f"the realtime engine did not answer within {seconds:.1f} s; is this machine too busy? Try again"
            ) from None
        except (CancelledError, RuntimeError):
            raise was_closed() from None


def _engine(settings: LocalSettings) -> _Engine:
    from callsheet_local.realtime.calls import Calls
    from callsheet_local.realtime.loop import LoopThread
    from callsheet_local.realtime.thinker import Thinker

    loop, thinker = LoopThread("callsheet-local-realtime"), Thinker("callsheet-local-realtime-thinker")
    calls = Calls(
        most=settings.max_sessions,
        session_seconds=settings.session_minutes * 60,
        ways=settings.ice,
        think=thinker.think,
    )
    return _Engine(os.getpid(), loop, thinker, calls)


@atexit.register
def _close_all() -> None:
    for engine in list(_engines):
        engine.close()
