"""`callsheet WORDS...`; CALLSHEET_BENCH_TRANSPORT=core puts core's HTTP client (httpx) under the gateway, to compare.

See bench/gateway.py.
"""

from __future__ import annotations

import os

import callsheet_gateway.config
from callsheet import AsyncTransport
from callsheet.cli import main

if __name__ == "__main__":
    if os.environ.get("CALLSHEET_BENCH_TRANSPORT") == "core":
        setattr(callsheet_gateway.config, "UpstreamTransport", AsyncTransport)  # noqa: B010  of the same protocol
    main()
