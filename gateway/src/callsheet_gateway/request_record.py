"""What is known of one request when it is over: what the access log and the metrics are told."""

from __future__ import annotations

import time

from attrs import Factory, define
from starlette.requests import Request
from starlette.types import Scope

from callsheet.routing import CallRecord
from callsheet_gateway.key_limits import Share

__all__ = ["RequestRecord", "record_in", "record_of"]


@define(eq=False)
class RequestRecord:
    """Filled in on a request's way. Strangers' texts are in `model`, as it was asked for, and in `error`: 80 characters.

    `route` is an operation's name, or a method and a path such as "GET /models"; None: there is no such route. `key` is
    the name of the key that was shown, `key_id` its id (None for the master key). `status` is 499 where the client left
    before an answer. `error` is the code that an error was answered with.
    `left`: the client did so before the end. `share` is what it has taken of its key's limits, where that has some.
    `hides_usage`: its stream was asked for its usage by the gateway, and not by the client.
    `cost` is what the call costs, in micro-dollars: None where that is not known, or nothing was asked that costs.
    Times are in seconds since the request's head was read, sizes are those of the bodies, in bytes.
    """

    id: str
    method: str
    began: float = Factory(time.perf_counter)
    route: str | None = None
    key: str | None = None
    key_id: str | None = None
    model: str | None = None
    call: CallRecord = Factory(CallRecord)
    status: int = 499
    error: str | None = None
    first_byte: float | None = None
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    left: bool = False
    cost: int | None = None
    hides_usage: bool = False
    share: Share | None = None

    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.began


def record_in(scope: Scope) -> RequestRecord:
    """The record of a request's scope."""
    record: RequestRecord = scope["state"]["record"]
    return record


def record_of(request: Request) -> RequestRecord:
    """The record of a request."""
    return record_in(request.scope)
