"""All deployments behind one model name, and the choice among them.

Choosing costs little however many there are: by weight it is a search in a sorted list, repeated where it met one that
can't be used; and who is the least busy or the fastest is asked of no more than 32.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate, groupby
from math import exp2, inf
from operator import attrgetter, itemgetter

from attrs import define, field

from callsheet.account import Account
from callsheet.routing.backend import Backend, Lease
from callsheet.routing.policy import Strategy

__all__ = ["Group"]

_TRIES = 4
"""How often a choice by weight is repeated before all are looked at."""
_MOST_COMPARED = 32
"""How many are compared by how busy or fast they are: of more, so many in a row, from a random one on."""
_HALF_LIFE = 60.0
"""Seconds after which a measured latency counts by half: what was slow once is tried again."""
_in_flight = attrgetter("in_flight")
_draw = itemgetter(0)


@define(eq=False)
class _Shares:
    """Backends to choose from by weight."""

    backends: Sequence[Backend]
    _weights: list[float] = field(init=False, repr=False)
    _sums: list[float] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._weights = _weights(self.backends)
        self._sums = list(accumulate(self._weights))

    def one(self) -> Backend:
        sums = self._sums
        number = bisect_right(sums, random.random() * sums[-1])  # noqa: S311  no secret
        return self.backends[min(number, len(sums) - 1)]

    def in_any_order(self, fits: Callable[[Backend], bool]) -> Iterator[Backend]:
        """Those that fit, each place drawn by weight; those without any at the end."""
        draws = [
            (random.random() ** (1.0 / weight) if weight else -random.random(), backend)  # noqa: S311
            for weight, backend in zip(self._weights, self.backends, strict=True)
            if fits(backend)
        ]
        draws.sort(key=_draw, reverse=True)
        return (backend for _, backend in draws)


@define(eq=False)
class Group:
    """`name` is what callers say; a `*` in it stands for anything. ValueError without a backend."""

    name: str
    backends: tuple[Backend, ...]
    strategy: Strategy = "shuffle"
    _shares: list[_Shares] = field(init=False, repr=False)
    accounts: dict[str, Account] = field(init=False, repr=False)
    """Where they are, by the accounts' ids."""
    counts_tokens: bool = field(init=False)
    """Whether it matters how many tokens a call has."""
    _parts: dict[str, Group | None] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.backends:
            raise ValueError(f"the group {self.name!r} has no deployment")
        # Those without a share come last of all; before them the lowest order, where there is one.
        ordered = sorted(enumerate(self.backends), key=lambda pair: self._order(*pair))
        tiers = [[backend for _, backend in tier] for _, tier in groupby(ordered, lambda pair: self._order(*pair))]
        self._shares = [_Shares(tier) for tier in tiers]
        self.accounts = {one.deployment.account.id: one.deployment.account for one in self.backends}
        self.counts_tokens = any(backend.deployment.tpm is not None for backend in self.backends)

    def may_eject(self) -> bool:
        """Whether one more may be left alone: at most half of a group is."""
        ejected = sum(backend.health.ejected_until is not None for backend in self.backends)
        return ejected < len(self.backends) // 2

    def part(self, key: str, fits: Callable[[Backend], bool]) -> Group | None:
        """The group of those that fit, None if none does. What was found for a `key` is kept."""
        if key not in self._parts:
            some = tuple(filter(fits, self.backends))
            whole = len(some) == len(self.backends)
            self._parts[key] = self if whole else Group(self.name, some, self.strategy) if some else None
        return self._parts[key]

    def begin(
        self,
        now: float,
        tokens: int = 0,
        *,
        without: Collection[Backend] = (),
        only: Collection[Backend] | None = None,
        healthy: bool = True,
    ) -> Lease | float:
        """Begin a call at the best backend; or the seconds until the limits of one let a call begin (inf: never).

        `without` those, `only` among these, and only `healthy` ones, or any.
        """
        if healthy and self.strategy == "shuffle" and not without and only is None:
            backend = self._shares[0].one()  # as it nearly always is: one that is well
            with backend.lock:
                if backend.health.usable(now) and isinstance(lease := backend.begin(now, tokens), Lease):
                    return lease
        soonest = inf
        for backend in self._candidates(now, without, only, healthy):
            with backend.lock:  # between the look and the beginning nobody else may begin
                if healthy and not backend.health.usable(now):
                    continue
                lease = backend.begin(now, tokens)
            if isinstance(lease, Lease):
                return lease
            soonest = min(soonest, lease)
        return soonest

    def _candidates(
        self, now: float, without: Collection[Backend], only: Collection[Backend] | None, healthy: bool
    ) -> Iterator[Backend]:
        """Backends in the order in which they should be tried. Each may come several times."""

        def fits(backend: Backend) -> bool:
            health = backend.health
            well = health.ejected_until is None and now >= health.paused_until
            return (
                (well or not healthy or health.usable(now))
                and (not without or backend not in without)
                and (only is None or backend in only)
            )

        for shares in self._shares:
            if len(shares.backends) == 1:
                yield from filter(fits, shares.backends)
                continue
            if self.strategy in {"least-busy", "lowest-latency"}:
                yield from filter(fits, self._compared(shares.backends, now))
            else:
                for _ in range(_TRIES):
                    if fits(backend := shares.one()):
                        yield backend
            yield from shares.in_any_order(fits)

    def _compared(self, backends: Sequence[Backend], now: float) -> list[Backend]:
        """The best first: of the lowest latency, its queue counted. Among equals chance decides: the row begins anywhere.

        One that has not answered yet counts as the fastest does: no worse, and no better, or who never answers would be taken.
        """
        start = int(random.random() * len(backends))  # noqa: S311
        row = [*backends[start : start + _MOST_COMPARED]]
        row += backends[: min(start, _MOST_COMPARED - len(row))]
        if self.strategy == "least-busy":
            return sorted(row, key=_in_flight)
        known = [
            backend.latency and backend.latency * exp2((backend.measured_at - now) / _HALF_LIFE) for backend in row
        ]
        usual = min(filter(None, known), default=1.0)
        seconds = {
            backend: (latency or usual) * (backend.in_flight + 1) for backend, latency in zip(row, known, strict=True)
        }
        return sorted(seconds, key=seconds.__getitem__)

    def _order(self, number: int, backend: Backend) -> tuple[bool, float, int]:
        """Where a backend comes. Only by priority are those without an order in that of the file."""
        deployment = backend.deployment
        order = inf if deployment.order is None else float(deployment.order)
        listed = number if self.strategy == "priority" and deployment.order is None else 0
        return (deployment.weight == 0, order, listed)


def _weights(backends: Sequence[Backend]) -> list[float]:
    """Each one's share: its weight, or where none has one and all have an `rpm`, that."""
    deployments = [backend.deployment for backend in backends]
    rpms = [deployment.rpm or 0 for deployment in deployments]
    if all(rpms) and all(deployment.weight == 1.0 for deployment in deployments):
        return [float(rpm) for rpm in rpms]
    weights = [deployment.weight for deployment in deployments]
    return weights if any(weights) else [1.0] * len(weights)
