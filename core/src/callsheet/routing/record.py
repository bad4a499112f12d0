"""What became of a call, for those who keep account of calls: logs, metrics, ledgers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from callsheet.io import Outcome

__all__ = ["CallRecord"]


@define(eq=False)
class CallRecord:
    """Filled in by the router while a call runs, so that it tells of calls that fail, too.

    `provider` and `account` (its id) are where the call went last, `model` is its name there; None: it went nowhere.
    `attempts` is how often it was tried, `seconds` how long all attempts took, without the pauses between them. A stream
    counts up to its beginning. `outcome` is what is known of the last attempt's paid work: "maybe" also where it was done.
    `maybe`: any attempt may have been paid for.
    `usage` is the provider's own count of tokens, as it stands in its answer; a stream's comes with its end.
    """

    provider: str | None = None
    account: str | None = None
    model: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    outcome: Outcome = "not_sent"
    maybe: bool = False
    usage: Mapping[str, Any] | None = None
