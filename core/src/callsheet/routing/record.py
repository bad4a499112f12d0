"""What became of a call, for those who keep account of calls: logs, metrics."""

from __future__ import annotations

from attrs import define

__all__ = ["CallRecord"]


@define(eq=False)
class CallRecord:
    """Filled in by the router while a call runs, so that it tells of calls that fail, too.

    `provider` and `account` (its id) are where the call went, `model` is its name there; None: it went nowhere.
    `attempts` is how often it was tried, `seconds` how long all attempts took, without the pauses between them. A stream
    counts up to its beginning.
    """

    provider: str | None = None
    account: str | None = None
    model: str | None = None
    attempts: int = 0
    seconds: float = 0.0
