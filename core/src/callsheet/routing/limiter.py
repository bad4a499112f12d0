"""Limits that hold: so many requests and tokens in any 60 seconds, so many calls at once."""

from __future__ import annotations

import math
import threading
from collections import deque

from attrs import define, field

__all__ = ["WINDOW", "Limiter", "Taken"]

WINDOW = 60.0
"""Seconds."""
_FREE_SOON = 1.0
"""Seconds: when a call ends nobody knows."""


@define(eq=False)
class Taken:
    """One call's share of a limit. `tokens` are estimated until `settle` says how many there were."""

    limiter: Limiter = field(repr=False)
    at: float
    tokens: int
    _running: bool = field(default=True, init=False)
    _counted: bool = field(default=False, init=False)
    """Whether its tokens are in the limiter's sum: not where nothing was counted when it began, nor after a minute."""

    def settle(self, tokens: int) -> None:
        """Say how many tokens the call has used."""
        self.limiter._settle(self, tokens)

    def release(self) -> None:
        """The call is over. Saying so twice is harmless."""
        self.limiter._release(self)


@define(eq=False)
class Limiter:
    """What is used of one deployment's, or one key's, limits. None: there is no such limit. Times are the caller's."""

    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    in_flight: int = field(default=0, init=False)
    _calls: deque[Taken] = field(factory=deque, init=False, repr=False)
    _tokens: int = field(default=0, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def wait(self, now: float, tokens: int = 0) -> float:
        """Seconds until a call may begin; 0.0 if it may now, inf if its tokens are more than the limit ever lets through."""
        with self._lock:
            return self._wait(now, tokens)

    def take(self, now: float, tokens: int = 0) -> Taken | float:
        """Begin a call that will use about so many tokens; or the seconds until that may be done."""
        with self._lock:
            if (seconds := self._wait(now, tokens)) > 0:
                return seconds
            taken = Taken(self, now, tokens)
            if self.rpm is not None or self.tpm is not None:
                self._calls.append(taken)
                taken._counted = True
                self._tokens += tokens
            self.in_flight += 1
            return taken

    def used(self, now: float) -> tuple[int, int, float]:
        """The calls and the tokens of the last 60 seconds, and the seconds until none of them counts any more."""
        with self._lock:
            self._forget(now)
            until = self._calls[-1].at + WINDOW - now if self._calls else 0.0
            return len(self._calls), self._tokens, until

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0].at <= now - WINDOW:
            gone = self._calls.popleft()
            gone._counted = False
            self._tokens -= gone.tokens

    def _wait(self, now: float, tokens: int) -> float:
        self._forget(now)
        if self.tpm is not None and tokens > self.tpm:
            return math.inf
        seconds = 0.0
        if self.max_parallel is not None and self.in_flight >= self.max_parallel:
            seconds = _FREE_SOON
        if self.rpm is not None and len(self._calls) >= self.rpm:
            seconds = max(seconds, self._calls[len(self._calls) - self.rpm].at + WINDOW - now)
        if self.tpm is not None and self._tokens + tokens > self.tpm:
            seconds = max(seconds, self._until_free(self._tokens + tokens - self.tpm) + WINDOW - now)
        return seconds

    def _until_free(self, tokens: int) -> float:
        """When the call began with whose end so many tokens are free."""
        for taken in self._calls:
            tokens -= taken.tokens
            if tokens <= 0:
                return taken.at
        return math.inf

    def _settle(self, taken: Taken, tokens: int) -> None:
        with self._lock:
            if taken._counted:
                self._tokens += tokens - taken.tokens
            taken.tokens = tokens

    def _release(self, taken: Taken) -> None:
        with self._lock:
            if taken._running:
                taken._running = False
                self.in_flight -= 1
