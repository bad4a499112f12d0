"""The ledger's figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from callsheet_gateway.ledger.ledger import Ledger

__all__ = ["charge_metrics"]


def charge_metrics(ledger: Ledger) -> Iterator[Metric]:
    """How many charges have not come to their end."""
    says = (
        "Charges that have not come to their end. unknown: nobody knows what they cost, and they count with the most."
    )
    family = GaugeMetricFamily("callsheet_charges", says, labels=["state"])
    for state, number in ledger.rows.open().items():
        family.add_metric([state], number)
    yield family
    yield GaugeMetricFamily("callsheet_ledger_broken", "1 while charges can't be written down.", ledger.broken)
