"""The ledger of jobs in any order of orders, answers, losses, looks and crashes: nothing is lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from callsheet import NotFoundError, ProviderSettings, Video, VideoList
from callsheet.account import Account
from callsheet.models import GenerateVideo, GetVideo
from callsheet.pricing import Price
from callsheet.routing import CallRecord, Deployment, Models
from callsheet_gateway.amounts import Amount
from callsheet_gateway.ledger import Charge, Ledger
from callsheet_gateway.ledger.billing import Billing
from callsheet_gateway.ledger.charge import MAY_FOLLOW
from callsheet_gateway.ledger.jobs import Jobs
from callsheet_gateway.ledger.reconciler import Reconciler
from callsheet_gateway.owned_ids import OwnedIds
from callsheet_gateway.principal import Principal
from callsheet_gateway.records import recorded
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.state import State

ACCOUNT = Account("vendor", ProviderSettings(), "vendor-1")
PRICE = Price(other_videos=Fraction(100_000), default_seconds=4)
ENDS = st.sampled_from(["completed", "completed", "failed"])
HOW = st.sampled_from(["answered", "answered", "lost", "refused"])
PROMPTS, OWNERS, SECONDS = st.sampled_from("abcd"), st.sampled_from("xy"), st.sampled_from([None, "4", "8"])


@define
class Job:
    """What the vendor has begun, by whose order, and how it will end."""

    video: Video
    ends: str
    owner: str

    @property
    def bill(self) -> int:
        return 0 if self.ends == "failed" else 100_000 * int(self.video.seconds or 0)


@define(eq=False)
class Order:
    """A call that is under way: its charge is written down; `job` is there once it was accepted."""

    billing: Billing
    request: GenerateVideo
    job: Job | None = None
    sent: bool = False


class Purse:
    """What is set aside, and what is spent, of each owner."""

    def __init__(self, open_rows: list[Charge]) -> None:
        self.aside = Counter[str]()
        for row in open_rows:
            self.aside[row.owner] += row.reserved or 0

    def reserve(self, key: str | None, owner: str, amount: Amount) -> Any:
        amount = amount() if callable(amount) else amount
        self.aside[owner] += amount or 0
        return self.resume(key, owner, amount)

    def resume(self, key: str | None, owner: str, reserved: int | None) -> Any:
        left = [reserved or 0]

        def settle(_cost: int | None) -> None:
            self.aside[owner] -= left.pop() if left else 0

        return SimpleNamespace(settle=settle)


class Machine(RuleBasedStateMachine):
    folder: Path
    runner: asyncio.Runner
    state: State

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.state = Machine.state
        for table in ("charges", "resources"):
            self.state.database.write((f"DELETE FROM {table}", ())).result()
        self.jobs: dict[str, Job] = {}
        self.numbers = itertools.count()
        self.ended: dict[str, tuple[str, int | None]] = {}
        self.seen: dict[str, str] = {}
        self.answered: list[str] = []
        self.start()

    def start(self) -> None:
        """A run of the gateway, over what the one before has left."""
        self.orders: list[Order] = []
        self.counted = Counter[str]()
        models = SimpleNamespace(models=Models(), at=lambda *_: None, call=self.vendor)
        of_accounts = SimpleNamespace(of_provider=lambda _: ACCOUNT)
        asked_for: dict[str, Any] = {"of": lambda _: PRICE, "at": lambda *_: PRICE, "repriced": lambda *_: False}
        prices: Any = SimpleNamespace(router=models, **asked_for)
        rows = Ledger(self.state.database).rows
        left = [
            charge for state in ("begun", "running", "unknown") for charge in rows.waiting(state, ["generate_video"])
        ]
        self.purse = Purse(left)
        self.ledger = Ledger(self.state.database, lambda: self.now, self.purse, self.count)
        self.later = Jobs(self.ledger, prices)
        client = SimpleNamespace(router=models, accounts=of_accounts, transport=None)
        face: Any = SimpleNamespace(
            client=client, router=models, state=self.state, ledger=self.ledger, prices=prices, jobs=self.later,
            drain=SimpleNamespace(over=False),
        )  # fmt: skip
        self.prices = prices
        self.reconciler = Reconciler(face, 15.0)
        self.run(self.recover())

    async def recover(self) -> None:
        self.ledger.recover()
        await self.written()

    def count(self, charge: Charge) -> None:
        self.counted[charge.id] += 1
        assert self.counted[charge.id] == 1

    async def written(self) -> None:
        self.ledger.flush()
        await self.state.database.written(("UPDATE counters SET value = value WHERE name = 'keys'", ()))
        await asyncio.sleep(0)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def vendor(self, name: str, request: Any, _transport: Any, **how: Any) -> Any:
        """The vendor, as the router leads to it."""
        if name == "list_videos":
            newest = sorted(self.jobs.values(), key=lambda job: (job.video.created_at, int(job.video.id)), reverse=True)
            return VideoList(data=[job.video.model_copy() for job in newest])
        managed = how["ids"].decode(request.video_id, "video")
        how["record"].attempts = 1
        if managed.upstream not in self.jobs:
            raise NotFoundError("it is gone")
        return self.as_told(self.jobs[managed.upstream], how["ids"])

    def as_told(self, job: Job, ids: OwnedIds) -> Video:
        return job.video.model_copy(update={"id": ids.encode("video", ACCOUNT.tag, job.video.id)})

    def ids(self, owner: str) -> OwnedIds:
        return OwnedIds(self.state.codecs, self.state.resources, Principal(owner, owner))

    # What happens

    @rule(prompt=PROMPTS, owner=OWNERS, seconds=SECONDS)
    def begin(self, prompt: str, owner: str, seconds: str | None) -> None:
        """An order: its intent is on the disk when this is over."""
        request, record = GenerateVideo(prompt=prompt, seconds=seconds), RequestRecord("req", "POST")
        billing = Billing(
            self.ledger,
            self.prices,
            "generate_video",
            request,
            Principal(owner, owner, key="k"),
            self.ids(owner),
            record,
        )
        self.run(billing.admit(Deployment(ACCOUNT, "film")))
        self.orders.append(Order(billing, request))

    @precondition(lambda self: any(not order.sent for order in self.orders))
    @rule(data=st.data(), accepted=st.booleans(), ends=ENDS)
    def send(self, data: st.DataObject, accepted: bool, ends: str) -> None:
        """It leaves, and arrives, or does not."""
        self._send(data.draw(st.sampled_from([order for order in self.orders if not order.sent])), accepted, ends)

    @rule(prompt=PROMPTS, owner=OWNERS, accepted=st.booleans(), ends=ENDS, how=HOW, flush=st.booleans())
    def all_at_once(self, prompt: str, owner: str, accepted: bool, ends: str, how: str, flush: bool) -> None:
        self.begin(prompt, owner, None)
        order = self.orders.pop()
        self._send(order, accepted, ends)
        self._answer(order, how)
        if flush:
            self.flush()

    def _send(self, order: Order, accepted: bool, ends: str) -> None:
        order.sent, order.billing.record.call.outcome = True, "maybe"
        if accepted:
            id, request = f"{next(self.numbers)}", order.request
            video = Video(
                id=id, status="queued", model="film", prompt=request.prompt, seconds=request.seconds or "4",
                created_at=int(self.now),
            )  # fmt: skip
            order.job = self.jobs[id] = Job(video, ends, order.billing.ids.owner)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), how=HOW)
    def answer(self, data: st.DataObject, how: str) -> None:
        """What became of it, as the gateway hears it, is written down with the job, or a moment later."""
        order = data.draw(st.sampled_from(self.orders))
        self.orders.remove(order)
        self._answer(order, how)

    def _answer(self, order: Order, how: str) -> None:
        billing = order.billing
        if how == "answered" and order.job is not None:
            video = self.as_told(order.job, billing.ids)
            self.run(
                recorded(self.state.resources, "generate_video", order.request, video, "film", billing.ids, billing)
            )
            self.answered.append(video.id)
            return
        if how == "refused" and order.job is None:
            billing.record.call.outcome = "rejected"
        if not order.sent:
            billing.record.call.outcome = "not_sent"

        async def fails() -> None:
            billing.failed()

        self.run(fails())

    @rule()
    def flush(self) -> None:
        self.run(self.written())

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """A job is over at the vendor's."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        job.video.status = job.ends

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def poll(self, data: st.DataObject) -> None:
        """Somebody looks at his job."""
        id = data.draw(st.sampled_from(self.answered))

        async def look() -> None:
            for owner in "xy":
                ids, request = self.ids(owner), GetVideo(video_id=id)
                try:
                    video = await self.vendor("get_video", request, None, ids=ids, record=CallRecord())
                except NotFoundError:
                    continue
                self.later.seen("get_video", request, video, ids, CallRecord())
            await self.written()

        self.run(look())

    @rule()
    def crash(self) -> None:
        """kill -9: what was in memory is gone, calls that were under way are cut off."""
        if self.ledger._timer is not None:
            self.ledger._timer.cancel()
        self.state.database.write(("UPDATE counters SET value = value", ())).result()  # the dead don't write later
        self.start()

    @rule(seconds=st.sampled_from([1.0, 6.0, 30.0]))
    def reconcile(self, seconds: float) -> None:
        self.now += seconds

        async def look() -> None:
            await self.reconciler.finder.look()
            await self.written()
            await self.reconciler.look()
            await self.written()

        self.run(look())

    @rule()
    def audit(self) -> None:
        """After a restart and some time all is known, or it is shown that it is not."""
        self.crash()
        for job in self.jobs.values():
            job.video.status = job.ends
        for _ in range(3):
            self.reconcile(700.0)
        charges = self.charges()
        assert all(charge.state in {"settled", "void"} or charge.settled_at is not None for charge in charges)
        unknown = [charge for charge in charges if charge.state == "unknown"]
        kept = {charge.place for charge in charges if charge.place}
        assert len(kept) == len([charge for charge in charges if charge.place])
        of_rows = [row["place"] for row in self.state.database.read("SELECT place FROM resources")]
        assert sorted(of_rows) == sorted(kept)
        owners = {f"{ACCOUNT.tag.hex()}:{id.encode().hex()}": job.owner for id, job in self.jobs.items()}
        assert all(owners[charge.place] == charge.owner for charge in charges if charge.place)
        missing = [job for id, job in self.jobs.items() if f"{ACCOUNT.tag.hex()}:{id.encode().hex()}" not in kept]
        settled = sum(charge.cost or 0 for charge in charges if charge.state == "settled")
        book = sum(job.bill for job in self.jobs.values())
        assert settled == book - sum(job.bill for job in missing)
        assert settled + sum(charge.reserved or 0 for charge in unknown) >= book
        assert not missing or unknown
        if not unknown:
            assert settled == book
            assert len(kept) == len(self.jobs)
        alone = Counter(charge.asked["prompt"] for charge in charges)
        assert all(alone[charge.asked["prompt"]] > 1 for charge in unknown), "it could have been found"
        assert not +self.purse.aside, "nothing is set aside for ever"

    def teardown(self) -> None:
        self.audit()

    def charges(self) -> list[Charge]:
        return list(self.ledger.rows._found("1 = 1"))

    @invariant()
    def an_end_is_an_end(self) -> None:
        for charge in self.charges():
            before = self.seen.get(charge.id)
            assert before is None or before == charge.state or charge.state in MAY_FOLLOW[before]
            self.seen[charge.id] = charge.state
            if charge.id in self.ended:
                assert self.ended[charge.id] == (charge.state, charge.cost)
            elif charge.state in {"settled", "void"}:
                self.ended[charge.id] = charge.state, charge.cost


def test_the_ledger_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet_gateway.ledger.ledger.SOON", 1000.0)  # what is written when is a rule's to say
    memory = Path("/dev/shm")  # thousands of writes, each of which would wait for the disk
    place = memory if memory.is_dir() else None
    with asyncio.Runner() as Machine.runner, tempfile.TemporaryDirectory(dir=place) as folder:
        Machine.state = State(Path(folder))
        run_state_machine_as_test(Machine, settings=settings(max_examples=200, stateful_step_count=50, deadline=None))
        Machine.state.close()


@pytest.mark.parametrize("before", MAY_FOLLOW)
@pytest.mark.parametrize("after", MAY_FOLLOW)
def test_the_states(before: Any, after: Any) -> None:
    charge = evolve(Charge("c", 0.0, "edit", "o", "p"), state=before)
    if after in MAY_FOLLOW[before]:
        charge.turn(after, 1.0, 5)
        assert (charge.state, charge.cost) == (after, 0 if after == "void" else 5)
    else:
        with pytest.raises(ValueError, match=f"that is {before} can't become {after}"):
            charge.turn(after, 1.0)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Ledger]:
    state = State(tmp_path)
    yield Ledger(state.database)
    state.close()


@pytest.mark.parametrize("count", [1, 7, 8, 63, 64, 65, 200])
def test_many_at_once(rows: Ledger, count: int) -> None:
    """New ones, the same ones changed, and ones that have come to their end meanwhile."""
    charges = [Charge(f"c{number}", float(number), "chat_completions", "o", "p") for number in range(count)]
    rows.database.write(*rows.rows.statements(charges)).result()
    for charge in charges:
        charge.turn("settled", 2.0, 7)
    rows.database.write(*rows.rows.statements(charges)).result()
    late = [evolve(charge, state="unknown", cost=None, settled_at=None) for charge in charges]
    rows.database.write(*rows.rows.statements(late)).result()
    found = rows.database.read("SELECT state, cost, settled_at FROM charges")
    assert [tuple(row) for row in found] == [("settled", 7, 2.0)] * count
    assert rows.rows.open() == {"begun": 0, "running": 0, "unknown": 0}


def test_the_questions_use_their_indexes(rows: Ledger) -> None:
    plans = {
        "charges_open": "SELECT * FROM charges WHERE state IN ('begun', 'running', 'unknown') AND state = 'running'",
        "charges_of_place": "SELECT * FROM charges WHERE place = 'x' AND state IN ('begun', 'running', 'unknown')",
    }
    for index, sql in plans.items():
        [plan, *_] = rows.database.read(f"EXPLAIN QUERY PLAN {sql}")
        assert index in plan["detail"], plan["detail"]
