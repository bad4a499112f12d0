"""Where the finder of lost orders was wrong once: two accounts with one list, orders that are written down as it reads, lists
that hang, jobs that can't be taken down."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gateway.tests.till import Till, soon, till

from callsheet import ProviderSettings, Video
from callsheet.account import Account
from callsheet.ids import ManagedId
from callsheet.testing import FAKE_KEY, Fault
from callsheet_gateway.database import Database
from callsheet_gateway.ledger import finder, turns
from callsheet_gateway.ledger.charge import Charge, place_of
from callsheet_gateway.ledger.reconciler import Reconciler
from callsheet_gateway.ledger.siblings import Siblings
from callsheet_gateway.ledger.store import Charges
from callsheet_gateway.ledger.turns import Turns
from callsheet_gateway.resources import Resources

OFTEN = {"reconcile_seconds": 0.2}


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path) as made:
        yield made


def lose(house: Till, prompt: str, who: str = "ours", model: str = "film", *, arrives: bool) -> None:
    """Order a video whose answer gets lost; it was accepted if the order `arrives`."""
    house.wire.fail("POST /videos", Fault.reset_before_headers(after_accept=arrives))
    assert house.post("/videos", {"model": model, "prompt": prompt}, who).status_code >= 500


def final(house: Till, seconds: float = 8) -> list[str]:
    """The states of all charges, once nobody looks for any of them any more."""
    soon(lambda: all(row["settled_at"] is not None for row in house.charges()), seconds)
    return house.states()


def prompts(house: Till, who: str) -> list[str]:
    return [video["prompt"] for video in house.ask("GET", "/videos", who).json()["data"]]


# Two accounts with one list


@pytest.fixture
def keys(shut: Till, monkeypatch: pytest.MonkeyPatch) -> Till:
    """Of a house whose models are at accounts of their own, with three keys of one project: film, film1 and film2."""
    entries = []
    for name in ("film", "film1", "film2"):
        monkeypatch.setenv(f"KEY_OF_{name.upper()}", FAKE_KEY)
        params = {"api_base": shut.url, "api_key": f"os.environ/KEY_OF_{name.upper()}"}
        entries.append(
            {
                "model_name": name,
                "litellm_params": {"model": "openai/sora-2", **params},
                "model_info": {"base_model": "sora-2"},
            }
        )
    shut.config = {"model_list": entries}
    return shut


@pytest.mark.parametrize("second", ["ours", "other"])
def test_what_another_key_of_the_project_ordered_is_not_free(keys: Till, second: str) -> None:
    with keys.open(**OFTEN):
        lose(keys, "A fox", arrives=False)
        assert keys.post("/videos", {"model": "film1", "prompt": "A fox"}, second).status_code == 200
        assert final(keys) == ["void", "settled"]
        assert keys.sum() == keys.wire.book.bill() == 400_000
        assert prompts(keys, second) == ["A fox"]


def test_another_keys_jobs_leave_nothing_open(keys: Till) -> None:
    with keys.open(**OFTEN):
        lose(keys, "A fox", arrives=False)
        assert keys.post("/videos", {"model": "film1", "prompt": "A hare"}, "other").status_code == 200
        assert final(keys) == ["void", "settled"]


@pytest.mark.parametrize("second", ["ours", "other"])
def test_a_job_that_two_accounts_may_have_ordered_is_nobodys(keys: Till, second: str) -> None:
    with keys.open(**OFTEN):
        lose(keys, "A fox", arrives=False)
        lose(keys, "A fox", second, "film1", arrives=True)
        assert final(keys) == ["unknown", "unknown"]
        assert [row["place"] for row in keys.charges()] == [None, None]
        # Nor is it the next one's, though nobody looks for it any more.
        lose(keys, "A fox", second, "film2", arrives=False)
        assert final(keys) == ["unknown"] * 3
        assert prompts(keys, "ours") == prompts(keys, "other") == []


def test_what_is_under_way_by_another_key_is_not_free(keys: Till) -> None:
    with keys.open(**OFTEN):
        keys.wire.fail("POST /videos", Fault.reset_before_headers())
        keys.wire.fail("POST /videos", Fault.slow_headers(0.002, after_accept=True))
        assert keys.film("A fox").status_code >= 500
        assert keys.post("/videos", {"model": "film1", "prompt": "A fox"}, "other").status_code == 200
        assert final(keys) == ["void", "settled"]
        assert prompts(keys, "ours") == []


def test_lost_orders_of_several_keys_are_found(keys: Till) -> None:
    """With prompts of their own: what the one key's job is called says that it is not the other's."""
    with keys.open(**OFTEN):
        lose(keys, "A fox", arrives=True)
        lose(keys, "A hare", "other", "film1", arrives=True)
        lose(keys, "A bear", "other", "film2", arrives=False)
        assert final(keys) == ["settled", "settled", "void"]
        assert (prompts(keys, "ours"), prompts(keys, "other")) == (["A fox"], ["A hare"])


def account(id: str, url: str | None, provider: str = "acme") -> Account:
    return Account.of(provider, ProviderSettings, {"base_url": url}, id=id, environ={})


@pytest.mark.parametrize(
    ("url", "provider", "near"),
    [
        ("https://a.example/v1", "acme", True),
        ("HTTPS://A.example:443/v1/", "acme", True),
        ("https://a.example/v2", "acme", False),
        ("https://a.example:444/v1", "acme", False),
        ("https://b.example/v1", "acme", False),
        ("http://a.example/v1", "acme", False),
        ("https://[a/v1", "acme", False),
        (None, "acme", False),
        ("https://a.example/v1", "other", False),
    ],
)
def test_who_sees_the_same_list(url: str | None, provider: str, near: bool) -> None:
    one, other = account("one", "https://a.example/v1"), account("two", url, provider)
    siblings = Siblings.of(one, [other, one])
    assert siblings.ordered(Charge("c", 0.0, "remix", "a", "p", provider=provider, account="two")) is near
    assert siblings.ordered(Charge("c", 0.0, "remix", "a", "p", provider="acme", account="one"))
    assert siblings.ordered(Charge("c", 0.0, "remix", "a", "p", provider="acme", account="gone"))
    assert siblings.places("v") == [place_of(each.tag, "v") for each in ([one, other] if near else [one])]


def test_accounts_without_an_address_may_be_one() -> None:
    assert len(Siblings.of(account("one", None), [account("two", None)]).places("v")) == 2
    assert len(Siblings.of(account("one", "https://[a"), [account("two", "https://[a")]).places("v")) == 2


def test_whose_a_place_is_is_not_searched_for(tmp_path: Path) -> None:
    """There may be any number of charges, and it is asked for each job of a list."""
    plans: list[str] = []

    class Watched(Database):
        def read(self, sql: str, *values: Any) -> list[Any]:
            plans.extend(row["detail"] for row in super().read(f"EXPLAIN QUERY PLAN {sql}", *values))
            return super().read(sql, *values)

    database = Watched(tmp_path / "gateway.db")
    rows = Charges(database)
    database.write(*rows.statements([Charge(f"{n}", n, "remix", "a", "p", place=f"{n}") for n in range(500)])).result()
    assert (rows.claimed("x", "7"), rows.claimed("x", "y"), rows.deleted("7")) == (True, False, False)
    assert len([plan for plan in plans if plan.startswith("SEARCH")]) == 5
    assert not [plan for plan in plans if plan.startswith("SCAN")]
    database.close()


# What is written down as it reads


@pytest.mark.parametrize("second", ["ours", "other"])
def test_an_order_that_is_written_down_while_the_finder_reads(
    shut: Till, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """The writer is a thread: it does so after somebody was asked whose the job is, and before the next question."""
    keep, claimed = Resources.keep, Charges.claimed
    held, asked = list[Any](), threading.Event()

    async def held_up(self: Resources, *row: Any) -> None:
        if len(held) or not armed.is_set():
            await keep(self, *row)
            return
        *made, also = row
        held.append([self.kept(*made), *also])
        while not asked.is_set():
            await asyncio.sleep(0.005)

    def written_then(self: Charges, *places: str) -> bool:
        found = claimed(self, *places)
        if held and not found and not asked.is_set():
            self.database.write(*held[0]).result()
            asked.set()
        return found

    armed = threading.Event()
    monkeypatch.setattr(Resources, "keep", held_up)
    monkeypatch.setattr(Charges, "claimed", written_then)
    with shut.open(**OFTEN):
        lose(shut, "A fox", arrives=False)
        armed.set()
        assert shut.film("A fox", second).status_code == 200
        assert final(shut) == ["void", "settled"]
        assert shut.sum() == shut.wire.book.bill() == 400_000
        assert prompts(shut, second) == ["A fox"]


# Accounts that hang


def test_a_list_that_hangs_holds_up_no_other(keys: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, slow = finder.Finder._list, set[str]()

    async def hangs(self: finder.Finder, account: Account, since: float) -> list[Video]:
        if account.id in slow:
            await asyncio.sleep(1000)
        return await listed(self, account, since)

    monkeypatch.setattr(finder.Finder, "_list", hangs)
    monkeypatch.setattr(turns, "A_MOMENT", 0.1)
    with keys.open(**OFTEN):
        for model in ("film1", "film2"):
            lose(keys, model, model=model, arrives=False)
            slow.add(keys.charges()[-1]["account"])
        lose(keys, "A fox", arrives=False)
        soon(lambda: keys.states() == ["unknown", "unknown", "void"])
        lose(keys, "A hare", arrives=True)
        soon(lambda: keys.states() == ["unknown", "unknown", "void", "settled"])


def test_looks_that_hang_hold_up_no_other_account(keys: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at, slow, begun = Reconciler._look_at, set[str](), list[str]()

    async def hangs(self: Reconciler, charge: Charge) -> None:
        if charge.account in slow:
            begun.append(charge.id)
            await asyncio.sleep(1000)
        await look_at(self, charge)

    monkeypatch.setattr(Reconciler, "_look_at", hangs)
    monkeypatch.setattr(turns, "A_MOMENT", 0.1)
    with keys.open():
        for _ in range(6):
            assert keys.post("/videos", {"model": "film1", "prompt": "A fox"}).status_code == 200
        slow.add(keys.charges()[-1]["account"])
        assert keys.film("A hare").status_code == 200
    keys.now[0] += 1  # all are due
    with keys.open(**OFTEN):
        soon(lambda: keys.states() == ["running"] * 6 + ["settled"])
        assert len(begun) == 4


def test_turns(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One at each account, eight at all; and who was not on for longest is first."""
    monkeypatch.setattr(turns, "A_MOMENT", 0.05)
    order, free = list[str](), asyncio.Event()

    def work(name: str) -> Any:
        async def do() -> None:
            order.append(name)
            if name.startswith("slow"):
                await free.wait()
            if name.startswith("odd"):
                raise RuntimeError("whatever stands here")

        return do

    async def play() -> None:
        taken = Turns()
        everybody = {name: work(name) for name in (*(f"slow{n}" for n in range(7)), "a", "odd", "b")}
        await taken.take(everybody)
        await taken.take(everybody)
        assert order == [*(f"slow{n}" for n in range(7)), "a", "odd"]
        free.set()
        await asyncio.sleep(0)
        await taken.take(everybody)
        assert order[9:12] == ["b", "slow0", "slow1"]
        await asyncio.sleep(0)
        free.clear()
        await taken.take({"slow7": work("slow7")})
        [task] = taken._running.values()
        await taken.end()
        assert task.cancelled()

    asyncio.run(play())
    assert "RuntimeError" in caplog.text
    assert "whatever" not in caplog.text


def test_what_hangs_ends_with_the_gateway() -> None:
    async def play() -> None:
        ledger = SimpleNamespace(clock=lambda: 0.0)
        face: Any = SimpleNamespace(client=None, state=None, ledger=ledger, prices=None)
        reconciler = Reconciler(face, 15.0)
        run, ended = asyncio.create_task(reconciler.run()), list[str]()

        def work(name: str) -> Any:
            async def hangs() -> None:
                try:
                    await asyncio.sleep(1000)
                finally:
                    ended.append(name)

            return hangs

        begun = [reconciler._turns.take({"a": work("looks")}), reconciler.finder.turns.take({"a": work("lists")})]
        await asyncio.wait([asyncio.create_task(each) for each in begun], timeout=0.05)
        run.cancel()
        await asyncio.wait([run])
        assert ended == ["looks", "lists"]

    asyncio.run(play())


# Jobs that can't be taken down, lists that can't be read


def test_a_job_that_can_not_be_taken_down_holds_up_no_other(
    shut: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No managed id holds one so long. It was made, and counts; the others are found, or were never begun."""
    listed = finder.Finder._list

    async def long_ids(self: finder.Finder, account: Account, since: float) -> list[Video]:
        found = await listed(self, account, since)
        return [one.model_copy(update={"id": one.id + "x" * 360}) if one.prompt == "odd" else one for one in found]

    monkeypatch.setattr(finder.Finder, "_list", long_ids)
    with shut.open(**OFTEN), caplog.at_level(logging.ERROR):
        lose(shut, "odd", arrives=True)
        lose(shut, "A fox", arrives=True)
        lose(shut, "A hare", arrives=False)
        assert final(shut) == ["unknown", "settled", "void"]
        odd = shut.charges()[0]
        assert (odd["reserved"], odd["place"], odd["resource"]) == (400_000, None, None)
        assert "can't be told: " in caplog.text
        assert "xxx" not in caplog.text


def test_of_two_jobs_one_of_which_is_odd_none_is_taken_down(shut: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, seen = ManagedId, list[str]()

    def fails_once(kind: Any, tag: bytes, id: str) -> Any:
        seen.append(id)
        if len(seen) == 2:
            raise ValueError("odd")
        return encode(kind, tag, id)

    with shut.open():
        lose(shut, "A fox", arrives=True)
        lose(shut, "A fox", arrives=True)
    monkeypatch.setattr(finder, "ManagedId", fails_once)
    with shut.open(**OFTEN):
        assert final(shut) == ["unknown", "unknown"]
        assert [row["place"] for row in shut.charges()] == [None, None]
        assert prompts(shut, "ours") == []


def test_a_list_that_nobody_can_read_is_not_asked_for_for_ever(
    shut: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def odd(*_: object) -> list[Video]:
        raise RuntimeError("whatever stands here")

    monkeypatch.setattr(finder.Finder, "_list", odd)
    with shut.open(**OFTEN):
        lose(shut, "A fox", arrives=True)
        shut.now[0] += 86500
        assert final(shut) == ["unknown"]
        assert "RuntimeError" in caplog.text
        assert "whatever" not in caplog.text


@pytest.mark.parametrize("second", ["ours", "other"])
def test_what_was_ordered_with_a_key_that_was_changed_since(
    shut: Till, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """Another key is another account; the job of the first is nobody else's for that."""
    for number, name in enumerate(("old", "new")):
        monkeypatch.setenv(f"KEY_{number}", FAKE_KEY)
        params = {"model": "openai/sora-2", "api_base": shut.url, "api_key": f"os.environ/KEY_{number}"}
        entry = {"model_name": name, "litellm_params": params, "model_info": {"base_model": "sora-2"}}
        shut.config = {"model_list": [entry]}
        with shut.open(**OFTEN):
            if name == "old":
                assert shut.post("/videos", {"model": "old", "prompt": "A fox"}, second).status_code == 200
                continue
            shut.wire.fail("POST /videos", Fault.reset_before_headers())
            assert shut.post("/videos", {"model": "new", "prompt": "A fox"}).status_code >= 500
            soon(lambda: shut.charges()[1]["state"] == "void", 15.0)
            assert [row["place"] is None for row in shut.charges()] == [False, True]
