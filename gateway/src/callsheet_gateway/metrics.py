"""Figures for Prometheus. Their labels are bounded: routes, statuses, configured accounts, and our own error codes.

Counting happens in plain dictionaries, in the one thread of the event loop; they are made into Prometheus' shape only when
somebody asks. Its own counters would cost each request more than its routing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from attrs import Factory, define
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from callsheet_gateway.records import MAKES
from callsheet_gateway.request_record import RequestRecord

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BOUNDS = (*map(str, _SECONDS), "+Inf")
_NO_ROUTE = "none"


@define
class _Times:
    """How many took how long, by the bounds of _SECONDS."""

    counts: list[int] = Factory(lambda: [0] * len(_BOUNDS))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds


class Metrics(Collector):
    """What has happened since the start, and how things stand. Each gateway of a process has figures of its own."""

    def __init__(self) -> None:
        self._requests, self._calls = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        self._refusals, self._made, self._attempts = Counter[str](), Counter[str](), Counter[str]()
        self._costs, self._unpriced = Counter[str](), Counter[str]()
        self._seconds = defaultdict[str, _Times](_Times)
        self._first_byte = defaultdict[str, _Times](_Times)
        self._upstream = defaultdict[str, _Times](_Times)
        self._received = self._sent = self._left = 0
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []
        self._more: list[Callable[[], Iterable[Metric]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def gauge(self, name: str, says: str, value: Callable[[], float]) -> None:
        """Show what a function returns, whenever somebody asks."""
        self._gauges.append((f"callsheet_{name}", says, value))

    def also(self, figures: Callable[[], Iterable[Metric]]) -> None:
        """Show further figures, whenever somebody asks."""
        self._more.append(figures)

    def charged(self, provider: str, account: str, cost: int | None) -> None:
        """Count what a call cost, in micro-dollars; None where its price is not known."""
        if cost is None:
            self._unpriced[provider] += 1
        else:
            self._costs[account] += cost

    def tell(self, record: RequestRecord) -> None:
        """Count a request, which is over."""
        route, call, status = record.route or _NO_ROUTE, record.call, str(record.status)
        self._requests[route, status] += 1
        self._seconds[route].add(record.seconds)
        if record.first_byte is not None:
            self._first_byte[route].add(record.first_byte)
        self._received += record.received
        self._sent += record.sent
        self._left += record.left
        if record.error is not None and not call.attempts:
            self._refusals[record.error] += 1
        if call.account is not None and call.attempts:
            self._calls[call.account, status] += 1
            self._attempts[call.account] += call.attempts
            self._upstream[call.account].add(call.seconds)
            if route in MAKES and record.status < 400:
                self._made[MAKES[route]] += 1

    def document(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All but the process's, in Prometheus' shape."""
        yield InfoMetricFamily("callsheet_build", "The version that runs.", {"version": version("callsheet-gateway")})
        yield _counts("requests", "Requests that are over. 499: the client left.", ["route", "status"], self._requests)
        yield _times(
            "request_duration_seconds", "From a request's head to the end of its answer.", "route", self._seconds
        )
        yield _times(
            "first_byte_seconds", "From a request's head to the head of its answer.", "route", self._first_byte
        )
        yield _count("received_bytes", "Bytes of requests' bodies.", self._received)
        yield _count("sent_bytes", "Bytes of answers' bodies.", self._sent)
        yield _count("clients_left", "Clients that left before the end of their answer.", self._left)
        yield _counts("refusals", "Requests that no provider was asked for, by error code.", ["code"], self._refusals)
        yield _counts("made", "Videos and characters that were made.", ["kind"], self._made)
        says = "Calls to an account, all attempts counted as one."
        yield _counts("upstream_calls", says, ["account", "status"], self._calls)
        yield _counts("upstream_attempts", "Attempts at calls to an account.", ["account"], self._attempts)
        says = "All attempts of a call, without the pauses between them."
        yield _times("upstream_duration_seconds", says, "account", self._upstream)
        says = "What calls cost that have come to their end, as far as their price is known."
        yield _counts("cost_microdollars", says, ["account"], self._costs)
        says = "Calls that cost nobody knows how much: their price is not known."
        yield _counts("unpriced_calls", says, ["provider"], self._unpriced)
        for name, says, value in self._gauges:
            yield GaugeMetricFamily(name, says, value())
        for figures in self._more:
            yield from figures()


def _count(name: str, says: str, value: int) -> Metric:
    return CounterMetricFamily(f"callsheet_{name}", says, value)


def _counts(name: str, says: str, labels: list[str], values: Mapping[Any, int]) -> Metric:
    """`values` by their label, or by a tuple of labels."""
    family = CounterMetricFamily(f"callsheet_{name}", says, labels=labels)
    for of, value in values.items():
        family.add_metric([of] if isinstance(of, str) else list(of), value)
    return family


def _times(name: str, says: str, label: str, values: Mapping[str, _Times]) -> Metric:
    family = HistogramMetricFamily(f"callsheet_{name}", says, labels=[label])
    for of, times in values.items():
        reached, buckets = 0, list[tuple[str, float]]()
        for bound, number in zip(_BOUNDS, times.counts, strict=True):
            reached += number
            buckets.append((bound, reached))
        family.add_metric([of], buckets, times.total)
    return family
