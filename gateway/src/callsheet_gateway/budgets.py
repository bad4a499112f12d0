"""What keys and owners may spend: a budget for each, for ever or for each day, month, or whatever period.

What holds: when money is set aside for a call, what was spent in the window, what is set aside for all calls that are
under way, and the new amount are together not more than the budget. What is set aside is the most that a call can cost, so
neither what ends in a window nor what begins in it is more than the budget - unless a provider bills more than the most that
was thought possible: that is counted, too, and the next call is refused.

A call that is under way counts until it is over, whichever window it began in; what it cost counts in the window in which
it ended. So nothing is lost where a window ends, and nothing where a budget is changed in the middle of calls.

The sums are in memory, for the one process that serves a data directory: they are read from the ledger's rows at the
start. Like keys, budgets may be changed by other processes: a counter tells of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from attrs import define, field, frozen

from callsheet import BadRequestError
from callsheet_gateway.amounts import Amount, dollars_text, duration_text
from callsheet_gateway.database import Database, Statement
from callsheet_gateway.errors import Refused

__all__ = ["MOST", "Budget", "Budgets", "Kind", "Reservation", "check"]

Kind = Literal["key", "owner"]
MOST = 1_000_000_000 * 1_000_000
"""Micro-dollars: no budget can be larger."""
_LONGEST = 100 * 366 * 86400
_FRESH = 0.25
"""Seconds for which nobody looks whether budgets have changed."""
_CHANGED: Statement = ("UPDATE counters SET value = value + 1 WHERE name = 'budgets'", ())


@frozen
class Budget:
    """An amount in micro-dollars for each `period` of seconds, counted from `started_at`; without a period, for ever."""

    kind: Kind
    subject: str
    amount: int
    period: int | None
    started_at: int

    def window(self, now: float) -> tuple[int, int | None]:
        """The beginning and the end of the window that `now` is in."""
        if self.period is None:
            return self.started_at, None
        start = self.started_at + max(0, (int(now) - self.started_at) // self.period) * self.period
        return start, start + self.period

    def __str__(self) -> str:
        every = "" if self.period is None else f" for each {duration_text(self.period)}"
        return f"{dollars_text(self.amount)} dollars{every}"


@define(eq=False)
class _Account:
    """What one key, or one owner, has spent in the window, and what is set aside for calls that are under way."""

    budget: Budget | None = None
    start: int = 0
    end: int | None = None
    settled: int = 0
    reserved: int = 0

    def roll(self, now: float) -> None:
        """Begin a new window, where the old one is over."""
        if self.budget is not None and self.end is not None and now >= self.end:
            self.start, self.end = self.budget.window(now)
            self.settled = 0

    def check(self, amount: int | None, now: float) -> None:
        """Refused if an amount is more than is left."""
        if (budget := self.budget) is None:
            return
        whose = f"this {budget.kind}"
        if amount is None:
            raise Refused(
                403,
                f"{whose} has a budget, and what this call may cost is not known: who runs the gateway can give the model's"
                " price in its config",
                "price_unknown",
            )
        self.roll(now)
        if self.settled + self.reserved + amount > budget.amount:
            until = f"; the next one begins at {_moment(self.end)}" if self.end is not None else ""
            raise Refused(
                429,
                f"{whose} has a budget of {budget}: {dollars_text(self.settled)} are spent, {dollars_text(self.reserved)} are"
                f" set aside for calls under way, and this one may cost {dollars_text(amount)}{until}",
                "budget_exceeded",
            )


@define(eq=False)
class Reservation:
    """Money that is set aside for one call; `amount` is None where nobody knew how much."""

    amount: int | None
    _budgets: Budgets = field(repr=False)
    _accounts: tuple[_Account, ...] = field(repr=False)
    _known: bool = field(default=False, init=False)
    _kept: tuple[int, ...] | None = field(default=None, init=False)
    """The windows in which what was set aside was counted as spent, because nobody knew."""

    def settle(self, cost: int | None) -> None:
        """Say what the call came to; 0 if to nothing. None: nobody knows, and what was set aside counts as spent.

        Only the first word counts, except that what was not known may become known.
        """
        if self._known or (cost is None and self._kept is not None):
            return
        self._budgets._settle(self, cost)


@define(eq=False)
class Budgets:
    """The budgets in a database, and what is spent of them. `clock` tells the Unix time in seconds."""

    database: Database
    clock: Callable[[], float] = time.time
    _accounts: dict[tuple[Kind, str], _Account] = field(factory=dict, init=False, repr=False)
    _counter: int = field(default=-1, init=False)
    _looked: float = field(default=float("-inf"), init=False)
    _recent: deque[tuple[float, tuple[_Account, ...], int]] = field(factory=deque, init=False, repr=False)
    """What was settled since the last look, which a budget that is new by then may begin before."""

    def __attrs_post_init__(self) -> None:
        sql = (
            "SELECT key, owner, SUM(reserved) AS reserved FROM charges WHERE state IN ('begun', 'running', 'unknown')"
            " AND settled_at IS NULL AND reserved IS NOT NULL GROUP BY key, owner"
        )
        for key, owner, reserved in self.database.read(sql):
            for account in self._of(key, owner):
                account.reserved += reserved
        self._look()

    def reserve(self, key: str | None, owner: str, amount: Amount) -> Reservation:
        """Set money aside for a call, before it is begun. None: what it may cost is not known. Nobody who has no budget is
        asked: then nothing is set aside, and a budget that comes later counts what the call will have cost.

        Refused for more than the key's budget or the owner's has left (429), and for None where there is a budget (403).
        """
        self._heed()
        accounts, now = self._of(key, owner), self.clock()
        if callable(amount):
            amount = amount() if any(account.budget is not None for account in accounts) else None
        for account in accounts:
            account.check(amount, now)
        for account in accounts:
            account.reserved += amount or 0
        return Reservation(amount, self, accounts)

    def resume(self, key: str | None, owner: str, reserved: int | None) -> Reservation:
        """What was set aside for a call that another process had begun, by its row. It was counted at the start."""
        return Reservation(reserved, self, self._of(key, owner))

    def set(self, kind: Kind, subject: str, amount: int, period: int | None) -> None:
        """Give a budget. With the period that there was, the window goes on, and what was spent in it counts."""
        check(amount, period)
        sql = (
            "INSERT INTO budgets (kind, subject, amount, period, started_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, subject) DO UPDATE SET amount = excluded.amount, period = excluded.period, started_at ="
            " CASE WHEN period IS excluded.period THEN started_at ELSE excluded.started_at END"
        )
        self._change(sql, kind, subject, amount, period, int(self.clock()))

    def remove(self, kind: Kind, subject: str) -> None:
        """Let a key or an owner spend without limit."""
        self._change("DELETE FROM budgets WHERE kind = ? AND subject = ?", kind, subject)

    def shown(self, kind: Kind, subject: str) -> dict[str, object] | None:
        """A budget as answers show it, with what is spent of it; None if there is none. Amounts are dollars."""
        self._heed()
        account = self._accounts.get((kind, subject))
        return None if account is None else self._document(account)

    def owners(self) -> list[dict[str, object]]:
        """The budgets of owners, by their names."""
        self._heed()
        found = sorted(subject for kind, subject in self._accounts if kind == "owner")
        return [shown for subject in found if (shown := self._document(self._accounts["owner", subject])) is not None]

    def _document(self, account: _Account) -> dict[str, object] | None:
        if (budget := account.budget) is None:
            return None
        account.roll(self.clock())
        return {
            "object": "budget",
            "kind": budget.kind,
            "subject": budget.subject,
            "amount": dollars_text(budget.amount),
            "period": None if budget.period is None else duration_text(budget.period),
            "started_at": account.start,
            "ends_at": account.end,
            "spent": dollars_text(account.settled),
            "reserved": dollars_text(account.reserved),
        }

    def _of(self, key: str | None, owner: str) -> tuple[_Account, ...]:
        """The accounts that a call counts for. The master key has none, nor has it an owner of its own."""
        found: list[_Account] = []
        subjects: tuple[tuple[Kind, str | None], ...] = (("key", key), ("owner", owner))
        for kind, subject in subjects:
            if subject:
                if (account := self._accounts.get((kind, subject))) is None:
                    account = self._accounts[kind, subject] = _Account()
                found.append(account)
        return tuple(found)

    def _settle(self, reservation: Reservation, cost: int | None) -> None:
        now, accounts, aside = self.clock(), reservation._accounts, reservation.amount or 0
        spent = aside if cost is None else cost
        for account in accounts:
            account.roll(now)
        for account, kept in zip(accounts, reservation._kept or [None] * len(accounts), strict=True):
            if kept is None:
                # Whatever is wrong: what is below nothing would be more than the budget.
                account.reserved = max(0, account.reserved - aside)
                account.settled += spent
            else:  # what was not known has become known
                account.settled += spent - aside if account.start == kept else spent
        self._recent.append((now, accounts, spent if reservation._kept is None else spent - aside))
        reservation._known = cost is not None
        reservation._kept = tuple(account.start for account in accounts)

    def _change(self, sql: str, *values: object) -> None:
        self.database.write((sql, values), _CHANGED).result()
        self._looked = float("-inf")

    def _heed(self) -> None:
        if time.monotonic() - self._looked >= _FRESH:
            self._look()

    def _look(self) -> None:
        """Take up what was changed, by whichever process."""
        self._looked, now = time.monotonic(), self.clock()
        [[counter]] = self.database.read("SELECT value FROM counters WHERE name = 'budgets'")
        if counter != self._counter:
            rows = self.database.read("SELECT kind, subject, amount, period, started_at FROM budgets")
            budgets = {(row["kind"], row["subject"]): Budget(*row) for row in rows}
            for named in self._accounts.keys() | budgets.keys():
                self._take_up(self._accounts.setdefault(named, _Account()), budgets.get(named), now)
            self._counter = counter
        while self._recent and self._recent[0][0] < now - 1:  # a budget begins with the second in which it was set
            self._recent.popleft()

    def _take_up(self, account: _Account, budget: Budget | None, now: float) -> None:
        old, account.budget = account.budget, budget
        if budget is None or (old is not None and (old.started_at, old.period) == (budget.started_at, budget.period)):
            return
        account.start, account.end = budget.window(now)
        if self._counter < 0:
            account.settled = self._written(budget, account.start)
        else:
            account.settled = sum(s for at, whose, s in self._recent if at >= account.start and account in whose)

    def _written(self, budget: Budget, start: int) -> int:
        """What the ledger's rows say was spent since a window's beginning: of what has no cost, what was set aside."""
        sql = (
            "SELECT COALESCE(SUM(COALESCE(cost, reserved)), 0) FROM charges"  # noqa: S608
            f" WHERE {budget.kind} = ? AND settled_at >= ?"  # a word of ours
        )
        [[spent]] = self.database.read(sql, budget.subject, start)
        return int(spent)


def check(amount: int, period: int | None) -> None:
    """BadRequestError for a budget that can't be."""
    if not 0 <= amount <= MOST:
        raise BadRequestError(f"amount: 0 to {dollars_text(MOST)} dollars are wanted", param="amount")
    if period is not None and not 1 <= period <= _LONGEST:
        raise BadRequestError("period: 1s to 100 years are wanted", param="period")


def _moment(seconds: int | None) -> str:
    return f"{datetime.fromtimestamp(seconds or 0, UTC):%Y-%m-%d %H:%M:%S} UTC"
