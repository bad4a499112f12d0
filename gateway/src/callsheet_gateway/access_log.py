"""The access log: one line of JSON for each request."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from attrs import frozen

from callsheet_gateway.log_writer import LogWriter
from callsheet_gateway.request_record import RequestRecord

__all__ = ["AccessLog", "line_of"]

_QUIET = {f"{method} {path}" for method in ("GET", "HEAD") for path in ("/health/live", "/health/ready", "/metrics")}
"""Whoever watches the gateway asks for them all the time: they are logged if they fail."""


@frozen
class AccessLog:
    """Writes a line for each request that is over."""

    writer: LogWriter

    def tell(self, record: RequestRecord) -> None:
        """Have a request written down."""
        if record.route not in _QUIET or record.status >= 400:
            self.writer.put(partial(line_of, time.time(), record))


def line_of(at: float, record: RequestRecord) -> str:
    """A request's line, without its end. `at` is when it was over, as Unix time in seconds."""
    call = record.call
    entry: dict[str, Any] = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "request_id": record.id,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "error": record.error,
        "client_left": record.left,
        "key": record.key,
        "key_id": record.key_id,
        "model": record.model,
        "provider": call.provider,
        "account": call.account,
        "attempts": call.attempts,
        "seconds": round(record.seconds, 6),
        "first_byte_seconds": None if record.first_byte is None else round(record.first_byte, 6),
        "upstream_seconds": round(call.seconds, 6),
        "cost": record.cost,
        "received_bytes": record.received,
        "sent_bytes": record.sent,
    }
    return json.dumps(entry)
