"""What is under way in this run of the gateway, and how it gets written down.

Calls of jobs are written down before they are sent, each on its own. All others are kept in memory for a moment and written
together, off their way: `put` costs a call next to nothing, and a call that is over by then has one row, with its outcome.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from attrs import define, field

from callsheet.pricing.charges import VIDEO
from callsheet_gateway.database import Database, Statement
from callsheet_gateway.errors import not_writable
from callsheet_gateway.ledger.budgets import Budgets, NoBudgets, Reservation
from callsheet_gateway.ledger.charge import Charge
from callsheet_gateway.ledger.store import Charges

__all__ = ["FAILURES", "LOOKED_FOR", "Ledger"]

log = logging.getLogger("callsheet.gateway")

SOON = 0.02
"""Seconds that a charge waits for others before they are written."""
AGAIN = 0.5
"""Seconds until what could not be written is tried again."""
LOOKED_FOR = frozenset({*VIDEO, "relay_sdp"})
"""The operations of which more can be known later, where nobody knows what became of a call."""
FAILURES = (sqlite3.Error, OSError, OverflowError)
"""What writing may fail with."""


@define(eq=False)
class Ledger:
    """The charges of one gateway. `clock` tells the Unix time in seconds.

    `counted` is told of each charge that has come to its end, once, by its account, cost and provider; and of one that stays
    unknown, if not even what it can cost at most is known.
    """

    database: Database
    clock: Callable[[], float] = time.time
    budgets: Budgets = field(factory=NoBudgets)
    counted: Callable[[Charge], None] = field(default=lambda _: None, repr=False)
    process: str = field(factory=lambda: secrets.token_hex(8), init=False)
    rows: Charges = field(init=False)
    broken: bool = field(default=False, init=False)
    """Whether what was to be written last could not be: nothing that costs money is begun then."""
    _given: int = field(default=0, init=False)
    _reserved: dict[str, Reservation] = field(factory=dict, init=False, repr=False)
    _resumed: dict[str, Reservation] = field(factory=dict, init=False, repr=False)
    """What was set aside for the calls of earlier runs, once it has been given back: no other time."""
    _changed: dict[str, Charge] = field(factory=dict, init=False, repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.rows = Charges(self.database)

    def new_id(self) -> str:
        """An id that no charge has."""
        self._given += 1
        return f"chg_{self.process}_{self._given:x}"

    def reserve(self, charge: Charge) -> None:
        """Set aside what a charge can cost at most. Refused (429) where there is too little."""
        if self.broken:
            raise not_writable()
        self._reserved[charge.id] = self.budgets.reserve(charge.key, charge.owner, charge.most)

    def release(self, charge: Charge, cost: int | None) -> bool:
        """Nothing is set aside for a charge any more, but what it cost. Whether something was."""
        id, first = charge.id, True
        if (reservation := self._reserved.pop(id, None)) is None:
            if charge.process == self.process:
                return False
            first = id not in self._resumed
            if first:
                self._resumed[id] = self.budgets.resume(charge.key, charge.owner, charge.most())
            reservation = self._resumed[id]
        reservation.settle(cost)
        return first

    def recover(self) -> None:
        """At the start: nobody knows what became of calls that an earlier run had begun, and not seen the end of."""
        now = self.clock()
        for charge in self.rows.left_behind(self.process):
            charge.turn("unknown", now)
            if charge.operation not in LOOKED_FOR:
                charge.settled_at = now
            self.settle(charge)

    def put(self, charge: Charge) -> None:
        """Have a charge written down as it is in a moment. From the event loop only."""
        self._changed[charge.id] = charge
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON, self.flush)

    def finish(self, charge: Charge, state: str, cost: int | None = None, *, final: bool = True) -> None:
        """Let a charge of this run go over to a state. An `unknown` one that is not `final` will be looked at again."""
        now = self.clock()
        charge.turn(state, now, cost)  # type: ignore[arg-type]  # it looks itself
        if state == "unknown" and final:
            charge.settled_at = now
        first = final and self.release(charge, charge.cost)
        if state in {"settled", "void"} or (first and charge.most() is None):
            self.counted(charge)

    def accepted(self, charge: Charge) -> None:
        """What was made for a charge of this run could not be taken down: who looks after the charges finds it."""
        if charge.state == "begun" and charge.resource is not None and charge.operation in VIDEO:
            charge.turn("running", self.clock())
        elif charge.state == "begun":
            charge.asked["ended"] = self.clock()
            self.finish(charge, "unknown", final=charge.operation not in LOOKED_FOR)
        self.put(charge)

    async def begin(self, charge: Charge) -> None:
        """Write a charge down before it is sent. Refused (503) if that can't be done: nothing may be sent then."""
        try:
            await self.write([charge])
        except FAILURES as error:
            log.critical("the database can't be written: %s", type(error).__name__)
            raise not_writable() from None

    async def write(self, charges: Iterable[Charge], *also: Statement) -> None:
        """Write charges down as they are now, and more along with them, in one transaction."""
        await self.database.written(*also, *self.rows.statements([*charges]))

    def settle(self, charge: Charge, *also: Statement, was_final: bool = False) -> Future[int]:
        """Write down that a charge that was read from its row has gone over to a state, unless it had come to its end.

        `was_final`: it was unknown, and nothing is set aside for it any more. The future gives whether it was written.
        """
        [statement] = self.rows.statements([charge])
        told = self.database.write(*also, statement)
        loop = asyncio.get_running_loop()

        def written(done: Future[int]) -> None:
            if (error := done.exception()) is not None:
                log.critical("what became of %s could not be written down: %s", charge.id, type(error).__name__)
            elif done.result():
                loop.call_soon_threadsafe(self._ended, charge, was_final)

        told.add_done_callback(written)
        return told

    def flush(self) -> None:
        """Hand over to the writer what has changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not (changed := self._changed):
            return
        self._changed = {}
        charges = [*changed.values()]
        loop = asyncio.get_running_loop()

        def written(done: Future[int]) -> None:
            error = done.exception()
            if error is not None or self.broken:
                loop.call_soon_threadsafe(self._heard, error, changed)

        self.database.write(*self.rows.statements(charges)).add_done_callback(written)

    def is_waiting(self, id: str) -> bool:
        """Whether a charge has changed since its row was handed over."""
        return id in self._changed

    def _ended(self, charge: Charge, was_final: bool) -> None:
        first = charge.settled_at is not None and not was_final and self.release(charge, charge.cost)
        if charge.state in {"settled", "void"}:
            if not was_final or charge.cost is not None or charge.most() is not None:  # else it was counted as unknown
                self.counted(charge)
        elif first and charge.most() is None:
            self.counted(charge)

    def _heard(self, error: BaseException | None, charges: dict[str, Charge]) -> None:
        if error is not None and not isinstance(error, FAILURES):
            log.error("%d charges can't be written down: %s", len(charges), type(error).__name__)  # a bug; not for ever
            return
        self.broken = error is not None
        if error is None:
            return
        log.critical("%d charges could not be written down yet: %s", len(charges), type(error).__name__)
        self._changed = charges | self._changed
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN, self.flush)
