"""Keys and budgets by Hypothesis: whatever is done in whatever order, memory says what the ledger's rows say, and nobody
spends more than he has.

There are no rules for keys of keys: in Callsheet a key has an owner, and no keys under it.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

from attrs import define
from gateway.tests.test_budgets import NOW, refused, written
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callsheet_gateway.amounts import dollars_text
from callsheet_gateway.budgets import Budgets, Kind, Reservation
from callsheet_gateway.database import Database
from callsheet_gateway.keys import Keys
from callsheet_gateway.spend import Asked, sums


@define
class Row:
    """The ledger's, as the model has it."""

    id: str
    key: str
    owner: str
    reserved: int | None
    reservation: Reservation
    state: str = "begun"
    cost: int | None = None
    settled_at: float | None = None

    def of(self, kind: Kind, subject: str) -> bool:
        return subject == (self.key if kind == "key" else self.owner)


AMOUNTS = st.one_of(st.integers(0, 60), st.none())
SUBJECTS = st.sampled_from([("key", 0), ("key", 1), ("owner", 0), ("owner", 1)])
PERIODS = st.sampled_from([None, 10, 60])


class KeysAndBudgets(RuleBasedStateMachine):
    """Keys and budgets as the database and the ledger's rows say they are, beside what is in memory."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.now = NOW
        self.database = Database(Path(self.folder.name) / "gateway.db")
        self.keys = Keys(self.database, lambda: self.now)
        self.budgets = Budgets(self.database, lambda: self.now)
        self.elsewhere = Budgets(self.database, lambda: self.now)
        self.numbers = itertools.count()
        self.secrets: list[tuple[str, str, str]] = []
        self.good: set[str] = set()
        self.gone: list[str] = []
        self.rows: list[Row] = []
        self.given: dict[tuple[Kind, str], tuple[int, int | None, int]] = {}
        self.known = dict(self.given)
        """The budgets that the gateway has heard of."""
        self.hear()
        self.mint(0)
        self.mint(1)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()

    @precondition(lambda self: len(self.secrets) < 4)
    @rule(owner=st.integers(0, 1))
    def mint(self, owner: int) -> None:
        key, secret = self.keys.create("key", owner=f"o{owner}")
        self.secrets.append((key.id, key.owner, secret))
        self.good.add(key.id)

    @precondition(lambda self: len(self.good) > 1)
    @rule(number=st.integers(0, 3))
    def revoke(self, number: int) -> None:
        id, _, secret = self.secrets[number % len(self.secrets)]
        self.keys.disable(id)
        self.good.discard(id)
        assert self.keys.find(secret) is None

    @rule(number=st.integers(0, 3))
    def rotate(self, number: int) -> None:
        number %= len(self.secrets)
        id, owner, secret = self.secrets[number]
        if id in self.good:
            self.gone.append(secret)
            self.secrets[number] = (id, owner, self.keys.rotate(id)[1])

    @rule(subject=SUBJECTS, amount=st.integers(0, 150), period=PERIODS, here=st.booleans())
    def set_budget(self, subject: tuple[Kind, int], amount: int, period: int | None, here: bool) -> None:
        named = self._named(subject)
        (self.budgets if here else self.elsewhere).set(*named, amount, period)
        before = self.given.get(named)
        goes_on = before is not None and before[1] == period
        self.given[named] = (amount, period, before[2] if goes_on and before else int(self.now))
        if here:
            self.hear()

    @rule(subject=SUBJECTS, here=st.booleans())
    def lift_budget(self, subject: tuple[Kind, int], here: bool) -> None:
        named = self._named(subject)
        (self.budgets if here else self.elsewhere).remove(*named)
        self.given.pop(named, None)
        if here:
            self.hear()

    @rule()
    def hear(self) -> None:
        self.budgets._look()
        self.budgets._looked, self.known = math.inf, dict(self.given)  # nobody looks again before this says so

    @rule(number=st.integers(0, 3), amount=AMOUNTS)
    def reserve(self, number: int, amount: int | None) -> None:
        id, owner, secret = self.secrets[number % len(self.secrets)]
        key = self.keys.find(secret)
        assert (key is not None) == (id in self.good)
        if key is None:
            return
        subjects: list[tuple[Kind, str]] = [("key", id), ("owner", owner)]
        bound = [named for named in subjects if named in self.known]
        over = any(
            amount is None or sum(self._sums(named, self.known)) + amount > self.known[named][0] for named in bound
        )
        if over:
            code = refused(self.budgets, amount, id, owner).code
            assert code == ("price_unknown" if amount is None else "budget_exceeded")
            return
        reservation = self.budgets.reserve(id, owner, amount)
        row = Row(f"c{next(self.numbers)}", id, owner, amount, reservation)
        self.rows.append(row)
        self._write(row)

    @rule(
        data=st.data(), how=st.sampled_from(["lower", "equal", "above", "unpriced", "void", "unknown", "not yet known"])
    )
    def settle(self, data: st.DataObject, how: str) -> None:
        if not (waiting := [row for row in self.rows if row.settled_at is None]):
            return
        row = data.draw(st.sampled_from(waiting))
        most = row.reserved or 0
        if how == "not yet known":
            row.state = "unknown"
        elif how in {"unknown", "unpriced"}:
            row.state, row.settled_at = "unknown" if how == "unknown" else "settled", self.now
            row.reservation.settle(None)
        else:
            costs = {"lower": most // 2, "equal": most, "above": most + 1, "void": 0}
            row.state, row.cost, row.settled_at = "void" if how == "void" else "settled", costs[how], self.now
            row.reservation.settle(row.cost)
            row.reservation.settle(data.draw(AMOUNTS))
        self._write(row)

    @rule(seconds=st.sampled_from([0.25, 1, 5, 9.75, 10, 61]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.keys = Keys(self.database, lambda: self.now)
        self.now += 1  # it takes its time
        self.budgets = Budgets(self.database, lambda: self.now)
        self.hear()
        for row in self.rows:
            if row.settled_at is None:
                row.reservation = self.budgets.resume(row.key, row.owner, row.reserved)

    @invariant()
    def memory_is_what_the_rows_say(self) -> None:
        if not hasattr(self, "database"):
            return
        for account in self.budgets._accounts.values():
            assert account.settled >= 0
            assert account.reserved >= 0
        if self.known == self.given:
            for kind, subject in self.given:
                spent, reserved = self._sums((kind, subject), self.given)
                shown = self.budgets.shown(kind, subject)
                assert shown is not None
                assert (shown["spent"], shown["reserved"]) == (dollars_text(spent), dollars_text(reserved))

    @invariant()
    def no_secret_that_is_gone_is_good(self) -> None:
        if hasattr(self, "database"):
            assert not [secret for secret in self.gone[-2:] if self.keys.find(secret) is not None]

    @rule()
    def the_report_is_the_sum(self) -> None:
        _, whole = sums(self.database, Asked())
        settled = [row for row in self.rows if row.state == "settled"]
        unknown = [row.reserved or 0 for row in self.rows if row.state == "unknown"]
        begun = [row.reserved or 0 for row in self.rows if row.state == "begun"]
        assert (whole.calls, whole.cost) == (len(self.rows), sum(row.cost or 0 for row in settled))
        assert (whole.unknown, whole.unknown_at_most) == (len(unknown), sum(unknown))
        assert (whole.running, whole.reserved) == (len(begun), sum(begun))

    def _named(self, subject: tuple[Kind, int]) -> tuple[Kind, str]:
        kind, number = subject
        return kind, self.secrets[number][0] if kind == "key" else f"o{number}"

    def _sums(self, named: tuple[Any, str], budgets: dict[Any, tuple[int, int | None, int]]) -> tuple[int, int]:
        """What is spent in the window, and what is set aside, by the rows."""
        _, period, started_at = budgets[named]
        start = started_at if period is None else started_at + (int(self.now) - started_at) // period * period
        rows = [row for row in self.rows if row.of(*named)]
        over = [row for row in rows if row.settled_at is not None and row.settled_at >= start]
        spent = sum((row.reserved if row.cost is None else row.cost) or 0 for row in over)
        return spent, sum(row.reserved or 0 for row in rows if row.settled_at is None)

    def _write(self, row: Row) -> None:
        written(
            self.database, row.id, key=row.key, owner=row.owner, reserved=row.reserved, state=row.state, cost=row.cost,
            settled_at=row.settled_at, created_at=self.now,
        )  # fmt: skip


TestKeysAndBudgets = KeysAndBudgets.TestCase
TestKeysAndBudgets.settings = settings(max_examples=200, stateful_step_count=50, deadline=None, database=None)
