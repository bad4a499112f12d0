"""How each deployment is doing: for /providers and for the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from callsheet.routing import Models
from callsheet_gateway.principal import Principal

__all__ = ["standing", "standing_metrics"]

_LABELS = ["account", "model"]


def standing(models: Models, principal: Principal) -> dict[str, list[dict[str, Any]]]:
    """The deployments by provider: of those that are behind a name which somebody may use."""
    now, found = time.monotonic(), dict[str, list[dict[str, Any]]]()
    for backend in models.backends():
        names = [group.name for group in backend.groups if principal.may_use(group.name)]
        if not names:
            continue
        one, health = backend.deployment, backend.health
        state = health.state(now)
        until = {"ejected": health.ejected_until, "paused": health.paused_until}.get(state)
        document = {
            "account": one.account.id,
            "model": one.model,
            "names": names,
            "state": state,
            "seconds_left": None if until is None else round(until - now, 3),
            "failures_in_a_row": health.failures,
            "ejections": health.all_ejections,
            "under_way": backend.in_flight,
            "latency_seconds": round(backend.latency, 6) or None,
        }
        found.setdefault(one.account.provider, []).append(document)
    return found


def standing_metrics(models: Models) -> Iterator[Metric]:
    """The same as figures. Their labels are configured."""
    now = time.monotonic()
    says = "1 while calls go to a deployment, 0 while it is left alone: ejected, or paused by its own word."
    usable = GaugeMetricFamily("callsheet_deployment_usable", says, labels=_LABELS)
    busy = GaugeMetricFamily("callsheet_deployment_in_progress", "Calls under way at a deployment.", labels=_LABELS)
    says = "How often a deployment was left alone because it failed."
    ejected = CounterMetricFamily("callsheet_deployment_ejections", says, labels=_LABELS)
    sums: dict[tuple[str, str], list[float]] = {}
    for backend in models.backends():  # one model at one account may stand there with several weights
        of = sums.setdefault((backend.deployment.account.id, backend.deployment.model or ""), [0.0, 0, 0])
        of[0] = max(of[0], float(backend.health.state(now) == "healthy"))
        of[1] += backend.in_flight
        of[2] += backend.health.all_ejections
    for labels, values in sums.items():
        usable.add_metric(labels, values[0])
        busy.add_metric(labels, values[1])
        ejected.add_metric(labels, values[2])
    yield from (usable, busy, ejected)
