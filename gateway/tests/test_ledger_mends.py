"""Where the ledger was wrong once: jobs that are late in the list, jobs of two owners, what is given back twice, hooks that
refuse, deletions that were half written down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.odd import Odd, over
from gateway.tests.till import ASKED, CHAT, Till, entries, soon, till

from callsheet import UnsupportedOperation, Video
from callsheet.testing import FAKE_KEY, FakeUpstream, Fault
from callsheet_gateway.budgets import Budgets
from callsheet_gateway.ledger.charge import Charge
from callsheet_gateway.ledger.jobs import Jobs
from callsheet_gateway.ledger.ledger import Ledger
from callsheet_gateway.ledger.reconciler import Reconciler
from callsheet_gateway.state import State

OFTEN = {"reconcile_seconds": 0.2}


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path) as made:
        yield made


def lose(house: Till, prompt: str = "A fox", who: str = "ours", *, arrives: bool = True) -> None:
    """Order a video whose answer gets lost; it was accepted if the order `arrives`."""
    house.wire.fail("POST /videos", Fault.reset_before_headers(after_accept=arrives))
    assert house.film(prompt, who).status_code >= 500


def at_the_vendor(house: Till, prompt: str, **more: str) -> None:
    """Order a video past the gateway."""
    headers = {"authorization": f"Bearer {FAKE_KEY}"}
    order = {"model": "sora-2", "prompt": prompt, **more}
    assert httpx.post(f"{house.url}/videos", json=order, headers=headers, trust_env=False).status_code == 200


def lists(house: Till) -> int:
    return len([one for one in house.wire.seen if one.path.endswith("/videos") and one.method == "GET"])


def listed(house: Till, times: int) -> None:
    """Wait until the vendor's list was asked for so often."""
    soon(lambda: lists(house) >= times)


def final(house: Till) -> list[str]:
    """The states of all charges, once nobody looks for any of them any more."""
    soon(lambda: all(row["settled_at"] is not None for row in house.charges()), 8)
    return house.states()


def test_a_job_that_is_late_is_found(shut: Till) -> None:
    """The first lists have nothing: the vendor takes its time to accept what it has read."""
    with shut.open(**OFTEN):
        lose(shut, arrives=False)
        listed(shut, 2)
        assert shut.states() == ["unknown"]
        at_the_vendor(shut, "A fox")
        assert shut.one("settled")["cost"] == 400_000 == shut.wire.book.bill()


def test_a_job_is_looked_for_for_most_of_a_minute(shut: Till) -> None:
    """By the settings that gateways have: not before 45 seconds are over, and within the minute."""
    with shut.open(reconcile_seconds=15.0):
        lose(shut, arrives=False)
        for seconds, least in ((6, 1), (15, 2), (23, 2)):
            shut.now[0] += seconds
            listed(shut, least)
            time.sleep(0.1)
            assert shut.states() == ["unknown"], shut.now
        shut.now[0] += 6
        assert shut.one("void")["cost"] == 0


def test_one_list_is_not_enough(shut: Till) -> None:
    with shut.open():
        lose(shut, arrives=False)
    with shut.open(**OFTEN):
        shut.now[0] += 1000
        assert shut.one("void")["cost"] == 0
        assert lists(shut) == 2


@pytest.mark.parametrize("behind", [10.0, 300.0, -900.0])
def test_the_vendors_clock_is_wrong(shut: Till, behind: float) -> None:
    shut.wire.clock = lambda: time.time() - behind
    with shut.open(**OFTEN):
        lose(shut)
        assert final(shut) == ["unknown"]
        assert shut.charges()[0]["reserved"] == 400_000 == shut.wire.book.bill()


class Trims(FakeUpstream):
    def annotate(self, kind: str, value: Any) -> Any:
        return {**value, "prompt": value["prompt"].strip()} if kind == "video" else super().annotate(kind, value)


def test_the_vendor_changes_the_prompt(tmp_path: Path) -> None:
    wire = Trims()
    with wire.serve() as url:
        house = Till(tmp_path / "house", wire, url)
        with house.open(**OFTEN):
            lose(house, "A fox ")
            assert final(house) == ["unknown"]


def test_anothers_job_of_long_ago_is_not_taken_for_it(shut: Till) -> None:
    shut.wire.clock = lambda: time.time() - 2000
    at_the_vendor(shut, "A fox")
    at_the_vendor(shut, "A hare")
    with shut.open(**OFTEN):
        lose(shut, arrives=False)
        assert shut.one("void")["cost"] == 0


def test_anothers_lost_answer_is_not_taken_for_it(shut: Till) -> None:
    """A job that another order may have made says nothing of this one: found, or left unknown because there are two."""
    with shut.open(**OFTEN):
        lose(shut, "A fox")
        lose(shut, "A hare")
        lose(shut, "A hare", "other")
        lose(shut, "A bear", arrives=False)
        assert final(shut) == ["settled", "unknown", "unknown", "void"]


def test_a_job_is_not_given_to_the_next_owner(shut: Till) -> None:
    """Of two orders one has arrived, nobody knows which: it stays theirs, whoever has the same idea after that."""
    with shut.open(**OFTEN):
        lose(shut)
        lose(shut, arrives=False)
        assert final(shut) == ["unknown", "unknown"]
        lose(shut, "A fox", "other", arrives=False)
        assert final(shut) == ["unknown"] * 3
        assert shut.ask("GET", "/videos", "other").json()["data"] == []
        assert [row["place"] for row in shut.charges()] == [None] * 3


def test_a_list_is_not_asked_for_all_the_time(shut: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """One order could be found by now, another of the same prompt has only just ended."""

    async def all_the_time(_: Reconciler, work: Callable[[], Awaitable[int]]) -> None:
        while True:
            await asyncio.sleep(0.005)
            await work()

    monkeypatch.setattr(Reconciler, "_again_and_again", all_the_time)
    with shut.open(reconcile_seconds=15.0):
        for _ in range(6):
            lose(shut, arrives=False)
            shut.now[0] += 4
            time.sleep(0.05)
        assert 2 <= lists(shut) <= 5
        for _ in range(15):
            shut.now[0] += 1
            time.sleep(0.05)
        assert lists(shut) <= 5 + 4


# What is set aside


def charge_of(ledger: Ledger, state: Any = "running", most: int = 100) -> Charge:
    charge = Charge(ledger.new_id(), ledger.clock(), "responses", "a", ledger.process, state, key="k", reserved=most)
    ledger.database.write(*ledger.rows.statements([charge])).result()
    return charge


@pytest.mark.parametrize("states", [("unknown", "unknown"), ("unknown", "settled")])
def test_what_an_earlier_run_set_aside_is_given_back_once(tmp_path: Path, states: tuple[str, str]) -> None:
    """Several ask at once, and each finds the same row before another's word is written."""
    state = State(tmp_path)
    id, other = (charge_of(Ledger(state.database)).id for _ in range(2))
    budgets = Budgets(state.database)
    budgets.set("key", "k", 1000, None)
    ledger = Ledger(state.database, budgets=budgets)

    async def both() -> None:
        for after in states:
            charge = Charge.of_row(state.database.read("SELECT * FROM charges WHERE id = ?", id)[0])
            charge.state = "running"
            charge.turn(after, ledger.clock(), 30 if after == "settled" else None)  # type: ignore[arg-type]
            charge.settled_at = ledger.clock()
            await asyncio.wrap_future(ledger.settle(charge))
        await asyncio.sleep(0.05)

    asyncio.run(both())
    shown = budgets.shown("key", "k")
    assert shown is not None
    assert shown["reserved"] == "0.000100"  # the other one's
    assert shown["spent"] == ("0.000030" if "settled" in states else "0.000100")
    assert ledger.rows.by_id(other) is not None
    state.close()


def test_what_is_set_aside_is_never_below_nothing(tmp_path: Path) -> None:
    state = State(tmp_path)
    budgets = Budgets(state.database)
    budgets.set("key", "k", 1000, None)
    budgets.resume("k", "a", 100).settle(100)
    shown = budgets.shown("key", "k")
    assert shown is not None
    assert shown["reserved"] == "0.000000"
    state.close()


# Hooks and what comes after them


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Any], tuple[int, dict[str, Any]]]]:
    """Make a request where the hooks are the test's; the answer's status, and the charge."""
    state = State(tmp_path)
    with over(Odd, state=state, reconcile_seconds=1000.0) as http:

        def ask(path: str, document: Any) -> tuple[int, dict[str, Any]]:
            status = http.post(path, json={"model": "odd/m", **document}).status_code
            time.sleep(0.1)
            [row] = state.database.read("SELECT * FROM charges")
            return status, dict(row)

        yield ask


@pytest.mark.parametrize(
    ("operation", "path", "document"),
    [("generate_video", "/videos", {"prompt": "x"}), ("chat_completions", "/chat/completions", {"messages": []})],
)
def test_a_hook_that_refuses(odd: Any, monkeypatch: Any, operation: str, path: str, document: Any) -> None:
    def refuses(_: Any) -> None:
        raise UnsupportedOperation("odd", operation)

    monkeypatch.setitem(Odd.does, operation, refuses)
    status, row = odd(path, document)
    assert status >= 400
    assert (row["state"], row["cost"]) == ("void", 0)


def test_an_answer_that_can_not_be_taken_down(odd: Any, monkeypatch: Any) -> None:
    """It was accepted: it is no less paid for because something is wrong with us."""
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued"))
    monkeypatch.setattr("callsheet_gateway.records._document", _breaks)
    status, row = odd("/videos", {"prompt": "x"})
    assert status >= 500
    assert (row["state"], row["settled_at"]) == ("unknown", None)


def test_a_job_whose_row_can_not_be_written(odd: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v", status="queued"))
    monkeypatch.setattr("callsheet_gateway.resources.Resources.keep", _breaks)
    status, row = odd("/videos", {"prompt": "x"})
    assert status >= 500
    assert row["state"] == "running"
    assert row["resource"].startswith("video_")


def _breaks(*_: object) -> None:
    raise RuntimeError("a bug")


def test_what_has_no_price_and_stays_unknown_is_told_of(shut: Till, caplog: pytest.LogCaptureFixture) -> None:
    with shut.open(), caplog.at_level(logging.WARNING):
        shut.wire.fail("POST /responses", Fault.reset_in_stream(after_content=True))
        shut.post("/responses", {**ASKED, "model": "riddle", "stream": True})
        assert shut.one("unknown")["reserved"] is None
        assert shut.figures()['callsheet_unpriced_calls_total{provider="openai"}'] == 1
        assert "nobody-knows" in caplog.text
        # What can be counted with the most is no such call.
        shut.wire.fail("POST /responses", Fault.reset_in_stream(after_content=True))
        shut.post("/responses", {**ASKED, "stream": True})
        soon(lambda: shut.states() == ["unknown", "unknown"])
        assert shut.figures()['callsheet_unpriced_calls_total{provider="openai"}'] == 1
        assert shut.post("/chat/completions", CHAT).status_code == 200


# Deletions that were half written down


def test_a_deletion_without_what_it_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was killed after it had written down the one, and before the other."""
    with till(tmp_path, polls_until_done=1) as house:
        with house.open():
            id = house.film().json()["id"]
            house.wire.look_at(house.wire.book.entries[0].id)
            with monkeypatch.context() as dying:
                dying.setattr(Jobs, "seen", _breaks)
                assert house.ask("DELETE", f"/videos/{id}").status_code == 500
            assert house.states() == ["running"]
        with house.open(**OFTEN):
            assert house.one("settled")["cost"] == 400_000
            assert house.ask("DELETE", f"/videos/{id}").status_code == 404


def test_a_job_whose_account_is_gone_stays(shut: Till) -> None:
    """More may be known of it when the account is back."""
    with shut.open():
        shut.film()
    shut.config = {"model_list": entries(f"{shut.url}/elsewhere")}
    with shut.open(**OFTEN):
        time.sleep(0.6)
        assert shut.states() == ["running"]
