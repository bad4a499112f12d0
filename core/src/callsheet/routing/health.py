"""How a deployment is doing. One that fails again and again is left alone for a while, each time longer.

    healthy --(fails `allowed_fails` times in a row)--> ejected --(time)--> half-open --(one call succeeds)--> healthy
                                                           ^------(it fails)------'

Only what the upstream is to blame for counts. Beside that it can be paused: by its own word (Retry-After, or a rate limit
that is used up), when others are there to go to.
"""

from __future__ import annotations

import random
from typing import Literal

from attrs import define, field, frozen

__all__ = ["Health", "HealthPolicy", "Outcome", "State"]

Outcome = Literal["good", "failed", "throttled", "neutral"]
"""`neutral`: it tells nothing of the upstream, as a mistake of the caller's, or a call that was given up."""
State = Literal["healthy", "paused", "ejected", "half-open"]
MAX_PAUSE = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds after a 429, if it names no longer time: each time twice as many, until a call succeeds."""
_FORGIVEN = 60.0
"""Seconds of health after which an ejection begins with the shortest time again."""


@frozen
class HealthPolicy:
    """`allowed_fails` in a row are one too many; `cooldown` and `max_cooldown` are seconds. No cooldown: nobody is ejected."""

    allowed_fails: int = 2
    cooldown: float = 5.0
    max_cooldown: float = 300.0

    @property
    def longest(self) -> float:
        """Seconds."""
        return max(self.max_cooldown, self.cooldown)


@define(eq=False)
class Health:
    """Of one deployment. Times are the caller's clock, in seconds."""

    policy: HealthPolicy = field(factory=HealthPolicy)
    failures: int = field(default=0, init=False)
    """In a row."""
    ejections: int = field(default=0, init=False)
    """How often, with little time in between."""
    all_ejections: int = field(default=0, init=False)
    ejected_until: float | None = field(default=None, init=False)
    paused_until: float = field(default=float("-inf"), init=False)
    pauses: int = field(default=0, init=False)
    """In a row: how often it was paused for what it did."""
    probing: bool = field(default=False, init=False)
    _healthy_since: float = field(default=float("-inf"), init=False)

    def state(self, now: float) -> State:
        """What it is in at a time."""
        if self.ejected_until is not None and now < self.ejected_until:
            return "ejected"
        if now < self.paused_until:
            return "paused"
        return "healthy" if self.ejected_until is None else "half-open"

    def usable(self, now: float) -> bool:
        """Whether calls should go there: all of them, or the one that finds out whether it is well again."""
        if now < self.paused_until:
            return False
        return self.ejected_until is None or (now >= self.ejected_until and not self.probing)

    def begin(self, now: float) -> bool:
        """A call begins. Whether it is the one that finds out."""
        if self.ejected_until is None or now < self.ejected_until or self.probing:
            return False
        self.probing = True
        return True

    def end(
        self, outcome: Outcome, now: float, *, probe: bool, may_eject: bool, retry_after: float | None = None
    ) -> None:
        """A call is over. `probe`: it was the one that finds out; `may_eject`: enough others are there."""
        if probe:
            self.probing = False
        if outcome == "good":
            self.failures = self.pauses = 0
            if probe:
                self._heal(now)
        elif outcome == "throttled":
            self._pause_longer(now, _FIRST_PAUSE, _LONGEST_PAUSE)
        elif outcome == "failed":
            self.failures += 1
            ejected = self.ejected_until is not None  # one that was released meanwhile is judged as any other
            too_many = self.failures >= self.policy.allowed_fails
            if (probe and ejected) or (not ejected and may_eject and too_many):
                self._eject(now)
            elif not ejected and too_many:  # enough are left alone; but what the group falls back to may be well
                self._pause_longer(now, self.policy.cooldown, self.policy.longest)
        if retry_after is not None and outcome in {"throttled", "failed"}:
            self.pause(now + min(retry_after, MAX_PAUSE))

    def pause(self, until: float) -> None:
        """Leave it alone until then, if others are there."""
        self.paused_until = max(self.paused_until, until)

    def _pause_longer(self, now: float, first: float, most: float) -> None:
        """Pause it, longer than the last time; where it is paused already, for what calls that were under way have met, not."""
        times = 0
        if now >= self.paused_until:
            times, self.pauses = min(self.pauses, 30), self.pauses + 1
        self.pause(now + min(most, first * 2.0**times))

    def release(self) -> None:
        """Let calls go there again, whatever was."""
        self.ejected_until, self.failures = None, 0  # a probe that is under way ends as one

    def _eject(self, now: float) -> None:
        if self.policy.cooldown <= 0:
            return
        if self.ejected_until is None and now - self._healthy_since > _FORGIVEN:
            self.ejections = 0
        seconds = min(self.policy.longest, self.policy.cooldown * 2.0 ** min(self.ejections, 30))
        # Jitter, so that many gateways do not come back to it in the same moment.
        self.ejected_until = now + seconds * random.uniform(0.8, 1.0)  # noqa: S311  no secret
        self.ejections += 1
        self.all_ejections += 1

    def _heal(self, now: float) -> None:
        self.ejected_until, self.failures, self._healthy_since = None, 0, now
