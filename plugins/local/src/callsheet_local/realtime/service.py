"""The provider's realtime side, as its hooks see it: everything here blocks, and hands over to the loop thread."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from callsheet import APIConnectionError, APITimeoutError
from callsheet import models as m
from callsheet_local.realtime.keys import DEFAULT_SECONDS, Keys
from callsheet_local.realtime.refusals import no_call
from callsheet_local.realtime.sdp import read_offer
from callsheet_local.realtime.sessions import check_model, session_of
from callsheet_local.settings import LocalSettings
from callsheet_local.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from callsheet_local.realtime.calls import Calls
    from callsheet_local.realtime.loop import LoopThread

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


@frozen
class _Engine:
    """What lives in one process: a forked child has none of its parent's threads, and makes its own."""

    pid: int
    loop: LoopThread
    calls: Calls


class Realtime:
    """Answers offers. The loop thread, and aiortc, come with the first of them."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        _all.add(self)

    def relay(self, request: m.RelaySDP, studio: Studio, now: float, deadline: float) -> m.RealtimeCall:
        """Answer an offer. `studio` is where ephemeral keys are looked up; `deadline` a reading of time.monotonic()."""
        if request.ephemeral_key is not None:
            check_model(request.model)
            studio.open()
            session = Keys(studio.index).session(request.ephemeral_key.get_secret_value(), now)
        else:
            session = session_of(request.session, request.model)
        offer = read_offer(request.sdp)
        engine = self._running()
        id, answer = self._wait(engine, deadline, engine.calls.answer, offer, session, bool(request.webrtcfilter))
        return m.RealtimeCall(id=id, sdp=answer.encode())

    def hang_up(self, request: m.HangUp, deadline: float) -> None:
        """End a call and wait until it has ended."""
        with self._lock:
            engine = self._engine
        if engine is None or engine.pid != os.getpid():
            raise no_call(request.call_id)
        self._wait(engine, deadline, engine.calls.hang_up, request.call_id)

    def close(self) -> None:
        """End all calls and the thread."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            if engine.pid == os.getpid():
                engine.loop.close(engine.calls.close)
            else:
                _left_behind.append(engine)

    def _running(self) -> _Engine:
        with self._lock:
            if self._engine is not None and self._engine.pid != os.getpid():
                _left_behind.append(self._engine)
                self._engine = None
            if self._engine is None:
                from callsheet_local.realtime.calls import Calls
                from callsheet_local.realtime.loop import LoopThread

                settings = self._settings
                calls = Calls(
                    most=settings.max_sessions, session_seconds=settings.session_minutes * 60, ways=settings.ice
                )
                self._engine = _Engine(os.getpid(), LoopThread("callsheet-local-realtime"), calls)
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
            raise APIConnectionError("the local provider was closed while the call was being answered") from None


_all: weakref.WeakSet[Realtime] = weakref.WeakSet()
_left_behind: list[_Engine] = []
"""Engines of a parent process: never touched again, nor collected - closing their loops would take from the parent's."""


@atexit.register
def _close_all() -> None:
    for realtime in list(_all):
        realtime.close()
