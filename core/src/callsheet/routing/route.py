"""Where one call may go, place after place: its group, then the groups that it may fall back to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from math import inf, isinf

from attrs import Factory, define

from callsheet.errors import RateLimitError
from callsheet.routing.backend import Backend, Lease
from callsheet.routing.deployment import Deployment
from callsheet.routing.group import Group

__all__ = ["Place", "Route", "Target"]

Target = tuple[Group, str | None]
"""A group, and what the `*` in its name stands for."""


def _nothing(_name: str) -> None:
    return None


@define(eq=False)
class Place:
    """Where an attempt goes. Without a lease it is the only place there is, and nobody keeps account of it."""

    deployment: Deployment
    lease: Lease | None = None

    @property
    def own_model(self) -> bool:
        """Whether the operator has chosen the model's name, and not the caller by way of a `*`."""
        return self.lease is None or "*" not in (self.lease.backend.deployment.model or "")


@define(eq=False)
class Route:
    """One call's. `names` are the model's, as the caller said it and as the configuration does; `only` is the account that it
    may go to, None for any.
    """

    targets: Sequence[Target]
    names: Sequence[str] = ()
    only: str | None = None
    tokens: int = 0
    fixed: Deployment | None = None
    """The one place where the call has to go, in the place of groups."""
    find: Callable[[str], Target | None] = _nothing
    clock: Callable[[], float] = time.monotonic
    _tried: list[tuple[Backend, str | None]] = Factory(list)
    """With what the `*` stood for: another model at the same place is another one to ask."""
    _left: bool = False

    def first(self) -> Place:
        """Where the call begins. RateLimitError where all that could take it are at their limits."""
        if self.fixed is not None:
            return Place(self.fixed)
        place, seconds = self._begin()
        if place is not None:
            return place
        raise self._at_the_limit(seconds)

    def has_others(self) -> bool:
        """Whether there is a place that was not tried."""
        return any(True for _ in self._untried())

    def has_well(self) -> bool:
        """Whether there is one among them that has not failed of late."""
        now = self.clock()
        return any(one.health.failures == 0 and one.health.usable(now) for one in self._untried())

    def leave_group(self) -> None:
        """From now on only what the group falls back to."""
        if not self._left:
            self.targets, self._left = self.targets[1:], True

    def elsewhere(self) -> Place | None:
        """A place that was not tried, if one can take the call."""
        return self._begin()[0]

    def again(self, place: Place) -> Place | None:
        """The same place once more, if its limits let it."""
        if place.lease is None:
            return place
        backend = place.lease.backend
        with backend.lock:
            lease = backend.begin(self.clock(), self.tokens)
        return Place(place.deployment, lease) if isinstance(lease, Lease) else None

    def follow(self, names: Collection[str]) -> bool:
        """Go on with other models, which the operator has named for this. Whether there is one."""
        targets = [target for name in names if (target := self.find(name)) is not None]
        self.targets = [(group, part) for group, part in targets if self.fixed is None]
        self.names, self._left = tuple(names), True  # what these refuse is not asked of them again
        return self.has_others()

    def _begin(self) -> tuple[Place | None, float]:
        """A place that was not tried, or the seconds until one can be had. Those that are well come first, of all groups."""
        now, soonest = self.clock(), inf
        for healthy in (True, False):  # where none is well nobody is left alone: health is not to be believed then
            for group, part in self.targets:
                only, without = self._at_home(group), self._met(part)
                lease = group.begin(now, self.tokens, without=without, only=only, healthy=healthy)
                if isinstance(lease, Lease):
                    self._tried.append((lease.backend, part))
                    return Place(lease.backend.deployment.of(part), lease), 0.0
                soonest = min(soonest, lease)
            if soonest < inf:
                break  # there are some that are well, and full: others would not do it better
        return None, soonest

    def _at_home(self, group: Group) -> list[Backend] | None:
        if self.only is None:
            return None
        return [backend for backend in group.backends if backend.deployment.account.id == self.only]

    def _met(self, part: str | None) -> list[Backend]:
        """Those that were tried, as the model that this part makes of theirs."""
        if not self._tried:  # as nearly always
            return []
        return [
            backend for backend, tried in self._tried if tried == part or "*" not in (backend.deployment.model or "")
        ]

    def _untried(self) -> Iterator[Backend]:
        for group, part in self.targets:
            met, home = self._met(part), self._at_home(group)
            yield from (backend for backend in (group.backends if home is None else home) if backend not in met)

    def _at_the_limit(self, seconds: float) -> RateLimitError:
        if isinf(seconds):
            return RateLimitError(
                f"the request has about {self.tokens:,} tokens, which is more than any deployment of the model"
                f" {self.names[0]!r:.80} takes in a minute",
                code="too_many_tokens",
            )
        return RateLimitError(
            f"every deployment of the model {self.names[0]!r:.80} is at its limit of requests, tokens or calls at once",
            code="deployments_at_limit",
            retry_after=max(0.001, seconds),
        )
