"""Figures for Prometheus. Their labels are bounded: routes, statuses, configured accounts, and our own error codes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from callsheet_gateway.records import MAKES
from callsheet_gateway.request_record import RequestRecord

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_NO_ROUTE = "none"


class Metrics:
    """What has happened since the start, and how things stand. Each gateway of a process has figures of its own."""

    def __init__(self) -> None:
        # The time of each series' beginning: as many lines again, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it says no types
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("callsheet_build", "The version that runs.", registry=registry).info(
            {"version": version("callsheet-gateway")}
        )
        self._requests = Counter(
            "callsheet_requests",
            "Requests that are over. 499: the client left.",
            ["route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "callsheet_request_duration_seconds", "From a request's head to the end of its answer.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._first_byte = Histogram(
            "callsheet_first_byte_seconds", "From a request's head to the head of its answer.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._received = Counter("callsheet_received_bytes", "Bytes of requests' bodies.", registry=registry)
        self._sent = Counter("callsheet_sent_bytes", "Bytes of answers' bodies.", registry=registry)
        self._refusals = Counter(
            "callsheet_refusals",
            "Requests that the gateway itself refused, by error code.",
            ["code"],
            registry=registry,
        )
        self._left = Counter(
            "callsheet_clients_left", "Clients that left before the end of their answer.", registry=registry
        )
        self._made = Counter("callsheet_made", "Videos and characters that were made.", ["kind"], registry=registry)
        self._calls = Counter(
            "callsheet_upstream_calls", "Calls to an account, all attempts counted as one.", ["account", "status"],
            registry=registry,
        )  # fmt: skip
        self._attempts = Counter(
            "callsheet_upstream_attempts", "Attempts at calls to an account.", ["account"], registry=registry
        )
        self._upstream = Histogram(
            "callsheet_upstream_duration_seconds", "All attempts of a call, without the pauses between them.", ["account"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip

    def gauge(self, name: str, says: str, value: Callable[[], float]) -> None:
        """Show what a function returns, whenever somebody asks."""
        Gauge(f"callsheet_{name}", says, registry=self._registry).set_function(value)

    def tell(self, record: RequestRecord) -> None:
        """Count a request, which is over."""
        route, call, status = record.route or _NO_ROUTE, record.call, str(record.status)
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(record.seconds)
        if record.first_byte is not None:
            self._first_byte.labels(route).observe(record.first_byte)
        self._received.inc(record.received)
        self._sent.inc(record.sent)
        self._left.inc(record.left)
        if record.refused and record.error is not None:
            self._refusals.labels(record.error).inc()
        if call.account is not None and call.attempts:
            self._calls.labels(call.account, status).inc()
            self._attempts.labels(call.account).inc(call.attempts)
            self._upstream.labels(call.account).observe(call.seconds)
            if route in MAKES and record.status < 400:
                self._made.labels(MAKES[route]).inc()

    def document(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
