"""Budgets: what is set aside and what is spent, and that nobody spends more than he has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from callsheet import BadRequestError
from callsheet_gateway.amounts import dollars_text, duration_text, micros_of, seconds_of
from callsheet_gateway.budgets import Budgets, Kind
from callsheet_gateway.database import Database
from callsheet_gateway.errors import Refused, error_response

DOLLAR = 1_000_000
NOW = 1_800_000_000.0


@define
class House:
    """A database with budgets, and what time it is there."""

    database: Database
    budgets: Budgets
    now: list[float]

    def figures(self, kind: Kind = "key", subject: str = "k") -> tuple[object, object]:
        shown = self.budgets.shown(kind, subject)
        assert shown is not None
        return shown["spent"], shown["reserved"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database, now = Database(tmp_path / "gateway.db"), [NOW]
    yield House(database, Budgets(database, lambda: now[0]), now)
    database.close()


def written(database: Database, id: str, **values: Any) -> None:
    """A row of the ledger."""
    row = {"id": id, "created_at": NOW, "operation": "responses", "owner": "o", "process": "p", "key": "k", **values}
    names = ", ".join(row)
    sql = f"INSERT OR REPLACE INTO charges ({names}) VALUES ({', '.join('?' * len(row))})"
    database.write((sql, [*row.values()])).result()


def refused(budgets: Budgets, amount: int | None, key: str | None = "k", owner: str = "o") -> Refused:
    with pytest.raises(Refused) as caught:
        budgets.reserve(key, owner, amount)
    return caught.value


def test_what_is_set_aside_and_what_is_spent_are_never_more_than_the_budget(house: House) -> None:
    budgets = house.budgets
    budgets.set("key", "k", 10 * DOLLAR, None)
    first, second = budgets.reserve("k", "o", 6 * DOLLAR), budgets.reserve("k", "o", 4 * DOLLAR)
    assert house.figures() == ("0.000000", "10.000000")
    refusal = refused(budgets, 1)
    assert (refusal.status_code, refusal.code, refusal.retry_after) == (429, "budget_exceeded", None)
    assert error_response(refusal).headers["x-should-retry"] == "false"
    assert "has a budget of 10.000000 dollars: 0.000000 are spent, 10.000000 are set aside" in refusal.message
    assert "this one may cost 0.000001" in refusal.message
    budgets.reserve("k", "o", 0).settle(0)  # used up exactly
    first.settle(DOLLAR)
    for cost in (5 * DOLLAR, None, 0):
        first.settle(cost)  # only the first word counts
    assert house.figures() == ("1.000000", "4.000000")
    second.settle(None)
    assert house.figures() == ("5.000000", "0.000000")
    budgets.reserve("k", "o", 5 * DOLLAR)
    assert refused(budgets, 1).code == "budget_exceeded"


def test_a_call_that_costs_more_than_was_thought_possible_is_counted(house: House) -> None:
    house.budgets.set("key", "k", 10, None)
    house.budgets.reserve("k", "o", 5).settle(50)
    assert house.figures()[0] == "0.000050"
    assert refused(house.budgets, 0).code == "budget_exceeded"


def test_both_budgets_count_and_a_refusal_sets_nothing_aside(house: House) -> None:
    budgets = house.budgets
    budgets.set("key", "k", 10, None)
    budgets.set("owner", "o", 15, None)
    budgets.reserve("k", "o", 8)
    assert "this owner has" in refused(budgets, 10, "other").message
    assert house.figures("owner", "o") == ("0.000000", "0.000008")
    assert "this key has" in refused(budgets, 5).message
    budgets.reserve("other", "o", 7)
    assert "this owner has" in refused(budgets, 1, "other").message
    budgets.reserve("other", "p", 10**12)  # another's
    assert refused(budgets, 1, None).code == "budget_exceeded"  # the master key, in an owner's name
    budgets.reserve(None, "", 10**12)


def test_what_has_no_price(house: House) -> None:
    unbound = house.budgets.reserve("k", "o", None)
    house.budgets.set("owner", "o", 10, None)
    refusal = refused(house.budgets, None)
    assert (refusal.status_code, refusal.code) == (403, "price_unknown")
    assert "can give the model's price in its config" in refusal.message
    unbound.settle(None)
    assert house.figures("owner", "o") == ("0.000000", "0.000000")


def test_what_was_not_known_may_become_known(house: House) -> None:
    house.budgets.set("key", "k", 100, 3600)
    first, second = house.budgets.reserve("k", "o", 40), house.budgets.reserve("k", "o", 40)
    first.settle(None)
    first.settle(None)
    second.settle(None)
    assert house.figures() == ("0.000080", "0.000000")
    first.settle(10)
    assert house.figures() == ("0.000050", "0.000000")
    house.now[0] += 3600
    second.settle(30)  # it is spent now, as its row says
    assert house.figures() == ("0.000030", "0.000000")


def test_windows(house: House) -> None:
    budgets = house.budgets
    house.now[0] += 0.9
    budgets.set("key", "k", 100, 3600)
    budgets.reserve("k", "o", 60).settle(60)
    long = budgets.reserve("k", "o", 30)
    refusal = refused(budgets, 20)
    assert refusal.message.endswith("the next one begins at 2027-01-15 09:00:00 UTC")
    house.now[0] = NOW + 3599.9
    refused(budgets, 20)
    house.now[0] = NOW + 3600
    budgets.reserve("k", "o", 70).settle(0)
    refused(budgets, 71)  # what is under way is not forgotten
    long.settle(30)
    assert house.figures() == ("0.000030", "0.000000")
    shown = budgets.shown("key", "k") or {}
    assert (shown["started_at"], shown["ends_at"], shown["period"]) == (NOW + 3600, NOW + 7200, "1h")
    house.now[0] = NOW + 100 * 3600 + 5
    assert house.figures() == ("0.000000", "0.000000")
    assert (budgets.shown("key", "k") or {})["started_at"] == NOW + 100 * 3600
    house.now[0] -= 5 * 3600  # a clock that goes back begins no window
    budgets.reserve("k", "o", 100).settle(100)
    refused(budgets, 1)


def test_a_budget_that_is_changed_goes_on(house: House) -> None:
    budgets = house.budgets
    budgets.set("key", "k", 100, 3600)
    budgets.reserve("k", "o", 60).settle(60)
    under_way = budgets.reserve("k", "o", 30)
    house.now[0] += 10
    budgets.set("key", "k", 50, 3600)
    refused(budgets, 0)
    assert house.figures() == ("0.000060", "0.000030")
    budgets.set("key", "k", 50, None)  # another period begins now, and what is under way counts
    assert house.figures() == ("0.000000", "0.000030")
    under_way.settle(25)
    assert house.figures() == ("0.000025", "0.000000")
    budgets.remove("key", "k")
    assert budgets.shown("key", "k") is None
    budgets.reserve("k", "o", 10**9)


def test_another_process_is_heard_of(house: House) -> None:
    Budgets(house.database, house.budgets.clock).set("key", "k", 10, None)
    house.budgets.reserve("k", "o", 11).settle(11)  # not yet
    house.budgets._looked -= 0.25  # so much later
    assert house.figures() == ("0.000011", "0.000000")  # it was spent after the budget was set
    refused(house.budgets, 0)


def test_a_budget_begins_with_the_second_in_which_it_was_set(house: House) -> None:
    """As the rows say it: a look in between, which finds nothing new, changes nothing of that."""
    elsewhere = Budgets(house.database, house.budgets.clock)
    house.budgets.reserve("k", "o", 5).settle(5)
    house.now[0] += 0.5
    house.budgets._look()
    elsewhere.set("key", "k", 10, 3600)
    house.budgets._look()
    assert house.figures() == ("0.000005", "0.000000")
    house.now[0] += 10
    elsewhere.remove("key", "k")  # and given again, before anybody looks: it begins anew
    elsewhere.set("key", "k", 10, 3600)
    house.budgets._look()
    assert house.figures() == ("0.000000", "0.000000")


def test_rows_are_read_at_the_start(house: House) -> None:
    house.budgets.set("key", "k", 1000, 3600)
    house.budgets.set("owner", "o", 1000, None)
    earlier = NOW - 5000
    rows: list[dict[str, Any]] = [
        {"state": "settled", "settled_at": NOW + 1, "reserved": 500, "cost": 100},
        {"state": "settled", "settled_at": NOW + 1, "cost": None},
        {"state": "settled", "settled_at": earlier, "cost": 7, "created_at": earlier},
        {"state": "unknown", "settled_at": NOW + 2, "reserved": 20},
        {"state": "unknown", "reserved": 3},  # will be looked at again
        {"state": "void", "settled_at": NOW + 1, "reserved": 400, "cost": 0},
        {"state": "begun", "reserved": 1, "created_at": earlier},
        {"state": "running", "reserved": 2},
        {"state": "running", "reserved": None},
        {"state": "settled", "settled_at": NOW + 1, "cost": 5, "key": "other"},
        {"state": "settled", "settled_at": NOW + 1, "cost": 9, "key": None, "owner": ""},
    ]
    for number, row in enumerate(rows):
        written(house.database, str(number), **row)
    house.now[0] += 10
    house.budgets = Budgets(house.database, house.budgets.clock)
    assert house.figures() == ("0.000120", "0.000006")
    assert house.figures("owner", "o") == ("0.000125", "0.000006")
    house.budgets.resume("k", "o", 2).settle(1)
    assert house.figures() == ("0.000121", "0.000004")


@pytest.mark.parametrize(("amount", "period"), [(-1, None), (10**16, None), (1, 0), (1, -5), (1, 10**10)])
def test_budgets_that_can_not_be(house: House, amount: int, period: int | None) -> None:
    with pytest.raises(BadRequestError):
        house.budgets.set("key", "k", amount, period)
    assert house.budgets.shown("key", "k") is None


@pytest.mark.parametrize(
    ("value", "micros"),
    [("25", 25 * DOLLAR), ("12.50", 12_500_000), (0.1, 100_000), (1e-6, 1), (5, 5 * DOLLAR), (25.0, 25 * DOLLAR),
     ("0.000001", 1), (123456789.123456, 123456789_123456)],
)  # fmt: skip
def test_dollars_are_exact(value: object, micros: int) -> None:
    assert micros_of(value) == micros
    assert micros_of(dollars_text(micros)) == micros


@pytest.mark.parametrize(
    "value", [True, None, "", "-1", -1, "1.1234567", 1e-7, math.nan, math.inf, "1e3", 10**9, "٣", ".5", "1,5", [1]]
)
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError, match="dollars are wanted"):
        micros_of(value)


def test_durations() -> None:
    for text in ("90s", "15m", "12h", "30d", "1s"):
        assert duration_text(seconds_of(text)) == text
    assert duration_text(seconds_of("2w")) == "14d"
    with pytest.raises(ValueError, match="is no duration"):
        seconds_of("1y")
