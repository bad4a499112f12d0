"""One paid call's entry in the ledger.

    begun -> running | settled | void | unknown        running -> settled | void | unknown
    unknown -> running | settled | void                settled and void are the end of it

`begun`: it is about to be sent. `running`: the provider has accepted it, and goes on with it. `settled`: it is over, and
`cost` is what it came to, NULL where the price is not known. `void`: provably nothing is paid for; `cost` is 0. `unknown`:
nobody knows, and `reserved` is the most that it can have cost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import asdict, define, field, fields

__all__ = ["COLUMNS", "MAY_FOLLOW", "OPEN", "Charge", "State", "id_at", "place_of"]

State = Literal["begun", "running", "settled", "void", "unknown"]
OPEN = frozenset({"begun", "running", "unknown"})
"""The states that another one may follow."""
MAY_FOLLOW: Mapping[str, frozenset[str]] = {
    "begun": frozenset({"begun", "running", "settled", "void", "unknown"}),
    "running": frozenset({"running", "settled", "void", "unknown"}),
    "unknown": frozenset({"unknown", "running", "settled", "void"}),
    "settled": frozenset(),
    "void": frozenset(),
}


@define(eq=False)
class Charge:
    """A row. Times are Unix time in seconds, amounts micro-dollars.

    `model` is what callers call the model, `upstream_model` what the provider does. `resource` is the managed id of what
    came of it, `place` where that is; `usage` the provider's own count of tokens. `asked` is what it takes to find the work
    at the provider, and to settle it later. `process` is the run of the gateway that began it. `settled_at` is when it
    reached a state that nobody will look at again: of an `unknown` one, too.
    """

    id: str
    created_at: float
    operation: str
    owner: str
    process: str
    state: State = "begun"
    settled_at: float | None = None
    model: str | None = None
    provider: str | None = None
    account: str | None = None
    upstream_model: str | None = None
    key: str | None = None
    key_name: str | None = None
    request_id: str | None = None
    resource: str | None = None
    place: str | None = None
    reserved: int | None = None
    cost: int | None = None
    usage: Mapping[str, Any] | None = None
    asked: dict[str, Any] = field(factory=dict)
    bound: Callable[[], int | None] | None = None
    """What tells `reserved`, where that was not needed yet: most calls are over before."""

    def most(self) -> int | None:
        """`reserved`: what it can cost at most; None if nobody knows."""
        if self.bound is not None:
            self.reserved, self.bound = self.bound(), None
        return self.reserved

    def turn(self, state: State, now: float, cost: int | None = None) -> None:
        """Go over to a state. ValueError if it can't follow the one before."""
        if state not in MAY_FOLLOW[self.state]:
            raise ValueError(f"a charge that is {self.state} can't become {state}")
        self.state, self.cost = state, 0 if state == "void" else cost
        self.settled_at = now if state in {"settled", "void"} else None

    def values(self) -> tuple[Any, ...]:
        """The row's values, by COLUMNS."""
        if self.state in OPEN:
            self.most()
        usage = None if self.usage is None else json.dumps(self.usage)
        asked = json.dumps(self.asked) if self.asked else None
        return (
            self.id, self.created_at, self.operation, self.owner, self.process, self.state, self.settled_at, self.model,
            self.provider, self.account, self.upstream_model, self.key, self.key_name, self.request_id, self.resource,
            self.place, self.reserved, self.cost, usage, asked,
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Charge:
        said = {name: row[name] for name in COLUMNS}
        for name in ("usage", "asked"):
            said[name] = None if said[name] is None else json.loads(said[name])
        return cls(**{**said, "asked": said["asked"] or {}})

    def document(self) -> dict[str, Any]:
        """All of it, for reports."""
        self.most()
        return asdict(self, filter=lambda one, _: one.name != "bound")


COLUMNS = tuple(one.name for one in fields(Charge) if one.name != "bound")


def place_of(account: bytes, upstream: str) -> str:
    """Where something lives, and what it is called there: an account's tag, and the provider's id."""
    return f"{account.hex()}:{upstream.encode('utf-8', 'surrogatepass').hex()}"


def id_at(place: str | None) -> str:
    """The part of a place that is the provider's id."""
    return (place or "").partition(":")[2]
