"""`callsheet WORDS...` with the gateway's own HTTP client under it, wherever the checkout still uses core's.

CALLSHEET_BENCH_TRANSPORT=core leaves core's (httpx) in its place, to compare; see bench/gateway.py.
"""

from __future__ import annotations

import os

import callsheet.transport
from callsheet.cli import main
from callsheet_gateway.upstream import UpstreamTransport

if __name__ == "__main__":
    if os.environ.get("CALLSHEET_BENCH_TRANSPORT") != "core":
        callsheet.transport.AsyncTransport = UpstreamTransport  # type: ignore[assignment,misc]  # it keeps the same protocol
    main()
