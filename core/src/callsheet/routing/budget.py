"""How many retries an account's failures may cause: when an upstream is down, asking it more often makes it no better."""

from __future__ import annotations

import threading
import time

from attrs import define, field

__all__ = ["RetryBudget"]

FULL = 500
COST = 14
COST_WHEN_THROTTLED = 5
"""A refusal costs the upstream little, and a failure more; each success earns one back."""
SHARE = 0.2
ALWAYS = 3
"""Retries in all: a fifth of the calls, and these besides, so that a program's first calls have some."""
TO_WELL = 10
"""So many more to a deployment that has not failed: many calls that begin at once may all meet the other, that is down."""
WINDOW = 60.0
"""Seconds after which what was is forgotten by half, and the bucket is full again."""


@define
class RetryBudget:
    """One model's at one account. A bucket bounds a burst of retries, a share of all calls what there may be over time."""

    tokens: int = FULL
    calls: int = 0
    retries: int = 0
    _window: float = field(factory=time.monotonic, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def began(self) -> None:
        """A call begins."""
        with self._lock:
            if time.monotonic() - self._window > WINDOW:
                self._window, self.tokens = time.monotonic(), FULL
                self.calls, self.retries = self.calls // 2, self.retries // 2
            self.calls += 1

    def succeeded(self) -> None:
        """A call succeeded."""
        with self._lock:
            self.tokens = min(FULL, self.tokens + 1)

    def spend(self, throttled: bool, to_well: bool = False) -> bool:
        """Pay for a retry; `to_well`: at a deployment that is well. False, and nothing is paid, when there must be none."""
        cost, spare = COST_WHEN_THROTTLED if throttled else COST, TO_WELL if to_well else 0
        with self._lock:
            if cost > self.tokens or self.retries + 1 > SHARE * self.calls + ALWAYS + spare:
                return False
            self.tokens -= cost
            self.retries += 1
            return True
