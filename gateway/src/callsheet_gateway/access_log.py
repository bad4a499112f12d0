"""The access log: one line of JSON for each request, written by a thread of its own.

A log that nobody reads, or a disk that is slow, holds up no request: lines that find no room are dropped, and counted.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from attrs import define, field

from callsheet_gateway.request_record import RequestRecord

__all__ = ["AccessLog"]

_MOST_WAITING = 10_000
_PAUSE = 0.05
"""Seconds between two writes: a line each would cost more than the requests."""
_QUIET = {"GET /health/live", "GET /health/ready", "GET /metrics"}
"""Whoever watches the gateway asks for them all the time: they are logged if they fail."""


@define(eq=False)
class AccessLog:
    """Writes to a stream, stderr by default. `dropped` counts the lines that were lost."""

    out: TextIO = field(factory=lambda: sys.stderr)
    dropped: int = field(default=0, init=False)
    _waiting: queue.Queue[tuple[float, RequestRecord] | None] = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="access log", daemon=True)
        self._thread.start()

    def tell(self, record: RequestRecord) -> None:
        """Have a request written down, which is over."""
        if record.route in _QUIET and record.status < 400:
            return
        try:
            self._waiting.put_nowait((time.time(), record))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is waiting still. Gives up after two seconds."""
        try:
            self._waiting.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(1)

    def _write(self) -> None:
        goes_on = True
        while goes_on:
            entries = [self._waiting.get()]
            time.sleep(_PAUSE if entries[0] is not None else 0)
            while not self._waiting.empty():
                entries.append(self._waiting.get())
            goes_on = None not in entries
            lines = [line_of(*entry) for entry in entries if entry is not None]
            try:
                self.out.write("".join(lines))
                self.out.flush()
            except (OSError, ValueError):  # nobody reads any more
                self.dropped += len(lines)


def line_of(at: float, record: RequestRecord) -> str:
    """A request's line. `at` is when it ended, as Unix time in seconds."""
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
        "received_bytes": record.received,
        "sent_bytes": record.sent,
    }
    return json.dumps(entry) + "\n"
