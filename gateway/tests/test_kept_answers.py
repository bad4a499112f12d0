"""What is kept of answers: a model of it in any order of asking, ending, restarts and days; what it may take; its seals."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from callsheet_gateway import kept_answers
from callsheet_gateway.database import Database
from callsheet_gateway.errors import Refused
from callsheet_gateway.kept_answers import DAY, Answer, Answers, Claim, place_of
from callsheet_gateway.root_keys import RootKeys
from callsheet_gateway.state import State

KEYS, BODIES = st.sampled_from("abc"), st.sampled_from("xy")


def said(number: int) -> Answer:
    return Answer(
        200 + number % 9, [("content-type", "text/plain"), ("x-callsheet-number", f"{number}")], b"%d" % number
    )


class Machine(RuleBasedStateMachine):
    """The store beside dicts of what must be known: `known` is an answer, or the status and the code of a refusal."""

    folder: Path
    runner: asyncio.Runner
    root = RootKeys()

    def __init__(self) -> None:
        super().__init__()
        self.now, self.number = 1_800_000_000.0, 0
        self.start()
        self.database.write(("DELETE FROM answers", ())).result()
        self.under_way: dict[str, Claim] = {}
        self.bodies: dict[str, str] = {}
        self.known: dict[str, Answer | str] = {}
        self.began: dict[str, float] = {}

    def start(self) -> None:
        self.database = Database(self.folder / "gateway.db")
        self.answers = Answers.of(self.database, self.root, lambda: self.now)

    def teardown(self) -> None:
        self.database.close()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def ask(self, key: str, body: str) -> Claim | Answer | str:
        try:
            answer: Claim | Answer = self.run(self.answers.begin(key, body))
        except Refused as refusal:
            return f"{refusal.status_code} {refusal.code}"
        return answer

    def expected(self, key: str, body: str) -> Answer | str | None:
        """What must be answered; None for who is the first."""
        if key not in self.bodies or (key not in self.under_way and self.began[key] <= int(self.now) - DAY):
            return None
        if self.bodies[key] != body:
            return "422 idempotency_key_reused"
        return "409 idempotency_key_in_use" if key in self.under_way else self.known[key]

    @rule(key=KEYS, body=BODIES, times=st.integers(1, 3))
    def asks(self, key: str, body: str, times: int) -> None:
        for _ in range(times):
            expected, got = self.expected(key, body), self.ask(key, body)
            if expected is not None:
                assert got == expected
                continue
            assert isinstance(got, Claim)
            self.under_way[key], self.bodies[key], self.began[key] = got, body, int(self.now)
            self.known.pop(key, None)

    @rule(key=KEYS, bodies=st.lists(BODIES, min_size=2, max_size=5))
    def ask_at_once(self, key: str, bodies: list[str]) -> None:
        known = {body: self.expected(key, body) for body in "xy"}

        async def all_of_them() -> list[Any]:
            asking = [self.answers.begin(key, body) for body in bodies]
            return await asyncio.gather(*asking, return_exceptions=True)

        answers = self.run(all_of_them())
        claims = [answer for answer in answers if isinstance(answer, Claim)]
        assert len(claims) == (1 if known["x"] is None else 0)
        if claims:
            self.under_way[key], self.bodies[key], self.began[key] = claims[0], claims[0].body, int(self.now)
            self.known.pop(key, None)
            known = {body: self.expected(key, body) for body in "xy"}
        for body, answer in zip(bodies, answers, strict=True):
            if not isinstance(answer, Claim):
                got = f"{answer.status_code} {answer.code}" if isinstance(answer, Refused) else answer
                assert got == known[body]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["success", "error", "nothing", "lost", "bug"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.under_way)))
        claim, answers = self.under_way.pop(key), self.answers
        self.number += 1
        if how == "nothing":
            self.run(answers.free(claim))
            del self.bodies[key]
        elif how == "lost":
            self.run(answers.keep(claim, None))
            self.known[key] = "409 idempotency_answer_lost"
        elif how == "bug":
            answers.leave(claim)
            self.known[key] = "409 idempotency_outcome_unknown"
        else:
            answer = said(self.number) if how == "success" else Answer(502, [("x-should-retry", "false")], b"{}")
            self.run(answers.keep(claim, answer))
            self.known[key] = answer

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.start()
        for key in self.under_way:
            self.known[key] = "409 idempotency_outcome_unknown"
        self.under_way.clear()

    @rule(share=st.sampled_from([0.3, 0.999, 1.0]))
    def time_passes(self, share: float) -> None:
        """A day at most; what is under way is over by then, as with any real server."""
        for key in list(self.under_way):
            claim = self.under_way.pop(key)
            self.run(self.answers.free(claim))
            del self.bodies[key]
        self.now += share * DAY


def test_the_same_key_and_body_get_the_same_answer() -> None:
    memory = Path("/dev/shm")  # thousands of writes, each of which would wait for the disk
    place = memory if memory.is_dir() else None
    with asyncio.Runner() as Machine.runner, tempfile.TemporaryDirectory(dir=place) as folder:
        Machine.folder = Path(folder)
        run_state_machine_as_test(Machine, settings=settings(max_examples=200, stateful_step_count=50, deadline=None))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state")
    yield opened
    opened.close()


def outcomes(state: State) -> list[tuple[str, str]]:
    return [(row["id"], row["outcome"]) for row in state.database.read("SELECT * FROM answers ORDER BY number")]


async def keep(answers: Answers, id: str, body: bytes) -> Claim:
    claim = await answers.begin(id, "body")
    assert isinstance(claim, Claim)
    await answers.keep(claim, Answer(200, [], body))
    return claim


def test_answers_are_sealed_each_in_its_place(state: State) -> None:
    secret = b"sk-cs-a-key-that-nobody-may-see"

    async def check() -> None:
        for id in "ab":
            await keep(state.answers, id, secret + id.encode())
        kept = b"".join(file.read_bytes() for file in state.folder.glob("gateway.db*"))
        assert secret not in kept
        [[sealed]] = state.database.read("SELECT answer FROM answers WHERE id = 'a'")
        await state.database.written(("UPDATE answers SET answer = ? WHERE id = 'b'", (sealed,)))
        assert isinstance(await state.answers.begin("a", "body"), Answer)
        with pytest.raises(Refused, match="not kept"):
            await state.answers.begin("b", "body")
        await state.database.written(("UPDATE answers SET answer = ? WHERE id = 'a'", (sealed[:-1] + b"x",)))
        with pytest.raises(Refused, match="not kept"):
            await state.answers.begin("a", "body")

    asyncio.run(check())


def test_an_answer_outlives_a_rotation_and_is_lost_with_its_root_key(state: State) -> None:
    async def check() -> None:
        await keep(state.answers, "a", b"early")
        rotated = state.root.rotated()
        later = Answers.of(state.database, rotated)
        await keep(later, "b", b"late")
        assert [getattr(await later.begin(id, "body"), "body", b"") for id in "ab"] == [b"early", b"late"]
        without = Answers.of(state.database, RootKeys({1: rotated.keys[1]}, 1))
        assert getattr(await without.begin("b", "body"), "body", b"") == b"late"
        with pytest.raises(Refused, match="not kept"):
            await without.begin("a", "body")

    asyncio.run(check())


def test_what_is_too_much_is_forgotten_and_nobody_refused(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "MOST", 1000)
    monkeypatch.setattr(kept_answers, "MOST_BYTES", 5000)

    async def check() -> None:
        await keep(state.answers, "long", b"x" * 1001)
        assert outcomes(state) == [("long", "lost")]
        for number in range(30):
            await keep(state.answers, place_of("a", f"{number:02}"), b"x" * 900)
            [[total]] = state.database.read("SELECT sum(length(answer)) FROM answers")
            assert total <= 5000
        kept = [id for id, outcome in outcomes(state) if outcome == "kept"]
        assert kept == [place_of("a", f"{number}") for number in range(25, 30)]
        monkeypatch.setattr(kept_answers, "MOST_ROWS", 10)
        for number in range(30, 35):
            await keep(state.answers, place_of("a", f"{number}"), b"x")
        last = [place_of("a", f"{number}") for number in range(26, 35)]
        assert [id for id, _ in outcomes(state)] == ["long", *last]
        assert isinstance(await state.answers.begin(place_of("a", "00"), "body"), Claim)

    asyncio.run(check())


def test_nobody_pushes_out_what_others_have(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by what is refused, and takes no row for long, nor by many rows, nor by long answers."""
    monkeypatch.setattr(kept_answers, "MOST_ROWS", 20)
    monkeypatch.setattr(kept_answers, "MOST_BYTES", 20_000)
    ours = [place_of("ours", f"{number}") for number in range(5)]

    async def check() -> None:
        for id in ours:
            await keep(state.answers, id, b"ours")
        for number in range(100):
            claim = await state.answers.begin(place_of("other", f"refused {number}"), "body")
            assert isinstance(claim, Claim)
            await state.answers.free(claim)
        assert [id for id, _ in outcomes(state)] == ours
        for number in range(100):
            await keep(state.answers, place_of("other", f"{number}"), b"x" * 3000)
            assert len(outcomes(state)) <= 20
        [[total]] = state.database.read("SELECT sum(length(answer)) FROM answers")
        assert total <= 20_000
        for id in ours:
            assert getattr(await state.answers.begin(id, "body"), "body", b"") == b"ours"

    asyncio.run(check())


def test_what_is_older_than_a_day_is_deleted_little_by_little(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    state = State(tmp_path, lambda: now[0])

    async def check() -> None:
        await asyncio.gather(*(keep(state.answers, f"{number}", b"x") for number in range(250)))
        now[0] += DAY
        await keep(state.answers, "a", b"x")
        assert len(outcomes(state)) == 151
        assert isinstance(await state.answers.begin("249", "another body"), Claim)
        await keep(state.answers, "b", b"x")
        assert {id for id, _ in outcomes(state)} == {"a", "249", "b"}

    asyncio.run(check())
    state.close()


def test_who_is_cancelled_while_he_asks_leaves_the_key_free(state: State) -> None:
    async def check() -> None:
        for _ in range(20):
            asking = asyncio.create_task(state.answers.begin("a", "body"))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            while state.answers._under_way:
                await asyncio.sleep(0.001)
        assert isinstance(await state.answers.begin("a", "other body"), Claim)

    asyncio.run(check())


def test_while_the_answer_is_written_down_the_first_is_still_under_way(state: State) -> None:
    """Never is it told that nobody knew what became of it."""

    async def check() -> None:
        for number in range(50):
            claim = await state.answers.begin(f"{number}", "body")
            assert isinstance(claim, Claim)
            keeping = asyncio.create_task(state.answers.keep(claim, said(number)))
            told: list[Any] = []
            while not told or told[-1] == "idempotency_key_in_use":
                await asyncio.sleep(0)
                [got] = await asyncio.gather(state.answers.begin(claim.id, claim.body), return_exceptions=True)
                told.append(getattr(got, "code", got))
            assert told[-1] == said(number)
            await keeping

    asyncio.run(check())


def test_two_processes_do_it_once(tmp_path: Path) -> None:
    """Or two gateways over one directory: each knows of what the other has written."""
    states = [State(tmp_path), State(tmp_path)]
    claims: list[Any] = []

    def ask(state: State) -> None:
        async def all_of_them() -> list[Any]:
            asking = [state.answers.begin(f"{number}", "body") for number in range(100)]
            return await asyncio.gather(*asking, return_exceptions=True)

        claims.extend(asyncio.run(all_of_them()))

    threads = [threading.Thread(target=ask, args=(state,)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claim.id for claim in claims if isinstance(claim, Claim)) == sorted(str(n) for n in range(100))
    assert {claim.code for claim in claims if not isinstance(claim, Claim)} == {"idempotency_outcome_unknown"}
    for state in states:
        state.close()


def test_an_answer_that_can_not_be_written_down_is_logged(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.05)
    other = State(state.folder)

    async def check() -> None:
        claim = await other.answers.begin("a", "body")
        assert isinstance(claim, Claim)
        with state.database.alone():
            await other.answers.keep(claim, said(1))
            with pytest.raises(Refused, match="nothing was done"):
                await other.answers.begin("b", "body")
        with pytest.raises(Refused, match="nobody knows"):
            await other.answers.begin("a", "body")
        assert isinstance(await other.answers.begin("b", "body"), Claim)

    asyncio.run(check())
    other.close()
    assert {record.levelname for record in caplog.records} == {"CRITICAL"}
