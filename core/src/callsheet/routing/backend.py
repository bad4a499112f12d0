"""A deployment with what is known of it while the program runs, and a call's place at it."""

from __future__ import annotations

import threading
from typing import Any

from attrs import define, field

from callsheet.routing.deployment import Deployment
from callsheet.routing.health import Health, HealthPolicy, Outcome
from callsheet.routing.limiter import Limiter, Taken

__all__ = ["Backend", "Lease"]

_NEWEST = 0.3
"""The weight of the newest call in the average of latencies."""


@define(eq=False)
class Backend:
    """One deployment. Groups that share a deployment share this, too."""

    deployment: Deployment
    health: Health
    limiter: Limiter | None
    in_flight: int = field(default=0, init=False)
    latency: float = field(default=0.0, init=False)
    """Seconds until an answer (a stream: until it begins), averaged over the latest calls."""
    measured_at: float = field(default=0.0, init=False)
    groups: list[Any] = field(factory=list, init=False, repr=False)
    """The groups that it is in: they say whether it may be left alone."""
    lock: threading.RLock = field(factory=threading.RLock, repr=False)
    """Reentrant, as the limiter's: where the collector runs meanwhile, a stream that nobody holds gives its place back."""

    @classmethod
    def of(cls, deployment: Deployment, policy: HealthPolicy, lock: threading.RLock) -> Backend:
        limiter = (
            Limiter(deployment.rpm, deployment.tpm, deployment.max_parallel_requests) if deployment.limited else None
        )
        return cls(deployment, Health(policy), limiter, lock=lock)

    def begin(self, now: float, tokens: int) -> Lease | float:
        """Begin a call; or the seconds until its limits let one begin. The caller holds the lock."""
        taken = None if self.limiter is None else self.limiter.take(now, tokens)
        if isinstance(taken, float):
            return taken
        self.in_flight += 1
        return Lease(self, now, taken, self.health.begin(now))

    def measure(self, seconds: float, now: float) -> None:
        """Take down how long a call took."""
        self.latency = self.latency + _NEWEST * (seconds - self.latency) if self.latency else seconds
        self.measured_at = now


@define(eq=False, weakref_slot=True)
class Lease:
    """A call that is under way at a backend. It is judged once, and released when nothing of it runs any more."""

    backend: Backend
    began: float
    taken: Taken | None = field(repr=False)
    probe: bool
    judged: bool = field(default=False, init=False)
    _released: bool = field(default=False, init=False)

    def judge(self, outcome: Outcome, now: float, retry_after: float | None = None) -> None:
        """Say what the call tells of the backend. The first word counts."""
        with self.backend.lock:
            self._judge(outcome, now, retry_after)

    def _judge(self, outcome: Outcome, now: float, retry_after: float | None) -> None:
        if self.judged:
            return
        self.judged = True
        backend = self.backend
        several = [group for group in backend.groups if len(group.backends) > 1] if outcome == "failed" else []
        may_eject = bool(several) and all(group.may_eject() for group in several)  # the only one is asked in any case
        backend.health.end(outcome, now, probe=self.probe, may_eject=may_eject, retry_after=retry_after)
        if outcome == "good":
            backend.measure(now - self.began, now)

    def used(self, tokens: int) -> None:
        """Say how many tokens the call has used, where that is limited."""
        if self.taken is not None:
            self.taken.settle(tokens)

    def release(self, now: float | None = None, outcome: Outcome = "neutral") -> None:
        """The call is over. If nothing was said of it yet, `outcome` counts. Saying so twice is harmless."""
        with self.backend.lock:
            self._judge(outcome, self.began if now is None else now, None)
            if self._released:
                return
            self._released = True
            self.backend.in_flight -= 1
        if self.taken is not None:
            self.taken.release()
