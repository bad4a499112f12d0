"""What each call costs, and that the vendor's own book says the same."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.till import ASKED, CHAT, CLIP, Till, entries, soon, till

from callsheet.testing import FakeUpstream, Fault
from callsheet_gateway.amounts import Amount
from callsheet_gateway.errors import Refused
from callsheet_gateway.ledger import Ledger


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path) as made, made.open():
        yield made


def cost(answer: httpx.Response) -> int | None:
    assert answer.status_code in {200, 201}, answer.text
    said = answer.headers.get("x-callsheet-cost")
    return None if said is None else round(float(said) * 1_000_000)


def test_a_job_is_written_down_before_it_is_sent(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the most that it can cost; whoever reads the file at that moment finds it."""
    begin, found = FakeUpstream.begin_job, list[Any]()

    def watched(fake: FakeUpstream, *words: Any, **facts: Any) -> Any:
        with sqlite3.connect(house.folder / "gateway.db") as file:
            found.extend(file.execute("SELECT state, reserved, cost, model, upstream_model, owner FROM charges"))
        return begin(fake, *words, **facts)

    monkeypatch.setattr(FakeUpstream, "begin_job", watched)
    answer = house.film(seconds="8", size="1280x720")
    assert found == [("begun", 800_000, None, "film", "sora-2", "a")]
    assert answer.headers["x-callsheet-cost"] == "0.800000"
    [row] = house.charges()
    assert (row["state"], row["reserved"], row["cost"], row["resource"]) == (
        "running",
        800_000,
        None,
        answer.json()["id"],
    )
    assert (row["key_name"], row["request_id"]) == ("ours", answer.headers["x-request-id"])
    assert "A fox" not in json.dumps(row)


def test_a_job_is_settled_by_who_sees_its_end(house: Till) -> None:
    id = house.film(seconds="8").json()["id"]
    assert house.ask("GET", f"/videos/{id}").json()["status"] == "in_progress"
    assert house.states() == ["running"]
    assert house.ask("GET", f"/videos/{id}").json()["status"] == "completed"
    row = house.one("settled")
    assert row["cost"] == 800_000 == house.wire.book.bill()
    assert row["settled_at"] >= row["created_at"]
    house.ask("GET", f"/videos/{id}")
    figures = house.figures()
    assert [value for name, value in figures.items() if name.startswith("callsheet_cost_microdollars_total")] == [
        800_000
    ]
    assert figures['callsheet_charges{state="running"}'] == 0


def test_by_its_events_and_by_its_bytes(house: Till) -> None:
    first, second = (house.film(prompt).json()["id"] for prompt in "ab")
    assert "video.completed" in house.ask("GET", f"/videos/{first}/events").text
    soon(lambda: house.states() == ["settled", "running"])
    for _ in range(2):
        house.wire.look_at(house.wire.book.entries[1].id)
    assert house.ask("GET", f"/videos/{second}/content").status_code == 200
    soon(lambda: house.states() == ["settled", "settled"])
    assert house.sum() == house.wire.book.bill() == 800_000


def test_a_failed_job_costs_nothing(house: Till) -> None:
    house.wire.fail_job()
    id = house.film().json()["id"]
    for _ in range(2):
        house.ask("GET", f"/videos/{id}")
    assert house.one("void")["cost"] == 0 == house.wire.book.bill()


def test_what_is_made_of_videos(tmp_path: Path) -> None:
    """An extension costs what it adds, an edit and a remix the whole; a larger film costs more; all of it is in the book."""
    with till(tmp_path, polls_until_done=0) as house, house.open():
        first = house.post("/videos", {"model": "big-film", "prompt": "A", "seconds": "4", "size": "1792x1024"})
        id = first.json()["id"]
        assert cost(first) == 2_000_000
        assert cost(house.post("/videos/extensions", {"video": {"id": id}, "prompt": "B", "seconds": "8"})) == 4_000_000
        assert cost(house.post("/videos/edits", {"video": {"id": id}, "prompt": "C"})) == 2_000_000
        assert cost(house.post(f"/videos/{id}/remix", {"prompt": "D"})) == 2_000_000
        assert [row["model"] for row in house.charges()] == ["big-film"] * 4
        assert house.states() == ["settled"] * 4  # they were done when they were answered
        assert house.sum() == house.wire.book.bill() == 10_000_000


def test_a_character(house: Till, caplog: pytest.LogCaptureFixture) -> None:
    """Its price stands nowhere: unknown, which is not 0."""
    files = {"video": ("a.mp4", CLIP, "video/mp4")}
    for _ in range(2):
        made = house.ask("POST", "/videos/characters", data={"name": "Luna", "model": "film"}, files=files)
        assert cost(made) is None
    rows = house.charges()
    assert [(row["state"], row["cost"], row["reserved"]) for row in rows] == [("settled", None, None)] * 2
    assert len([record for record in caplog.records if "is not known" in record.getMessage()]) == 1
    assert house.figures()['callsheet_unpriced_calls_total{provider="openai"}'] == 2


@pytest.mark.parametrize(("path", "document"), [("/chat/completions", CHAT), ("/responses", ASKED)])
def test_text(house: Till, path: str, document: dict[str, Any]) -> None:
    answer = house.post(path, document)
    row = house.one("settled")
    assert cost(answer) == row["cost"] == house.wire.book.bill() > 0
    assert json.loads(row["usage"])["input_tokens"] in {19, 36}
    assert (row["account"], row["key_name"], row["owner"], row["model"]) == (row["account"], "ours", "a", "text")


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}),
        ("/responses", {**ASKED, "stream": True}),
    ],
)
def test_streams(house: Till, path: str, document: dict[str, Any]) -> None:
    answer = house.post(path, document)
    assert "x-callsheet-cost" not in answer.headers
    assert house.one("settled")["cost"] == house.wire.book.bill() > 0


@pytest.mark.parametrize(
    "fault", [Fault.reset_in_stream(after_content=True), Fault.stream_without_end()], ids=["reset", "unfinished"]
)
def test_a_stream_that_breaks_costs_at_most_its_bound(house: Till, fault: Fault) -> None:
    house.wire.fail("POST /responses", fault)
    house.post("/responses", {**ASKED, "stream": True})
    row = house.one("unknown")
    assert row["reserved"] >= house.wire.book.bill() > 0
    assert row["cost"] is None
    assert row["settled_at"] is not None
    assert house.figures()['callsheet_charges{state="unknown"}'] == 1


def test_who_leaves_in_the_middle(house: Till) -> None:
    house.wire.fail("POST /responses", Fault.stall_after_headers())
    with pytest.raises(httpx.ReadTimeout):
        house.http.post("/responses", json=ASKED, headers=house.headers(), timeout=0.3)
    row = house.one("unknown")
    assert row["reserved"] > 0


def test_a_long_call_has_a_row_while_it_runs(house: Till) -> None:
    house.wire.fail("POST /chat/completions", Fault.slow_headers(0.01))
    started = time.monotonic()
    answers = list[httpx.Response]()
    thread = threading.Thread(target=lambda: answers.append(house.post("/chat/completions", CHAT)))
    thread.start()
    row = house.one("begun")
    assert time.monotonic() - started < 0.3
    assert row["reserved"] > 0
    thread.join(20)
    assert house.one("settled")["id"] == row["id"]


def test_refusals_are_void_and_lost_answers_are_not(house: Till) -> None:
    house.wire.fail("POST /chat/completions", Fault.status(400))
    assert house.post("/chat/completions", CHAT).status_code == 400
    assert house.one("void")["cost"] == 0
    house.wire.fail("POST /videos", Fault.status(400))
    assert house.film().status_code == 400
    soon(lambda: house.states() == ["void", "void"])
    house.wire.fail("POST /chat/completions", Fault.reset_before_headers(after_accept=True))
    assert cost(house.post("/chat/completions", CHAT)) == 198  # tried again, since it leaves nothing behind
    soon(lambda: house.states() == ["void", "void", "unknown", "settled"])
    lost, done = house.charges()[2:]
    assert lost["reserved"] + done["cost"] >= house.wire.book.bill("chat") == 2 * 198
    assert lost["request_id"] == done["request_id"]


def test_another_deployment_is_another_account(tmp_path: Path) -> None:
    """A call that was turned away at one and done at the other is one charge, at the other."""
    with till(tmp_path) as house, FakeUpstream().serve() as other:
        house.config = {"model_list": [*entries(house.url, {"film": "sora-2"}), *entries(other, {"film": "sora-2"})]}
        house.wire.fail("POST /videos", Fault.status(429), times=None)
        with house.open():
            for _ in range(4):
                assert house.film().status_code == 200
            assert house.states() == ["running"] * 4
            accounts = {row["account"] for row in house.charges()}
            assert len(accounts) == 1
            assert house.wire.book.entries == []


def test_what_no_table_knows(house: Till, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert cost(house.post("/chat/completions", {**CHAT, "model": "riddle"})) is None
    soon(lambda: house.states() == ["settled"] * 3)
    assert [(row["cost"], row["reserved"]) for row in house.charges()] == [(None, None)] * 3
    assert house.charges()[0]["usage"] is not None
    said = [
        record
        for record in caplog.records
        if record.levelno == logging.WARNING and "nobody-knows" in record.getMessage()
    ]
    assert len(said) == 1
    assert house.figures()['callsheet_unpriced_calls_total{provider="openai"}'] == 3


def test_own_prices_win(tmp_path: Path) -> None:
    with till(tmp_path) as house:
        [entry] = entries(house.url, {"text": "my-own"})
        entry["model_info"] = {"input_cost_per_token": 0.001, "output_cost_per_token": "0.01"}
        house.config = {"model_list": [entry]}
        with house.open():
            assert cost(house.post("/chat/completions", CHAT)) == 119_000  # 19 and 10 tokens


def test_money_that_is_not_there_is_not_spent(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches over budgets hears of a charge before anything is sent, and of what became of it."""
    heard = list[Any]()

    class Purse:
        def reserve(self, key: str | None, owner: str, amount: Amount) -> Any:
            amount = amount() if callable(amount) else amount
            if amount is not None and amount > 500_000:
                raise Refused(429, "too dear", "budget_exceeded")
            heard.append((owner, amount))
            return self

        def resume(self, key: str | None, owner: str, reserved: int | None) -> Any:
            raise AssertionError

        def settle(self, cost: int | None) -> None:
            heard.append(cost)

    monkeypatch.setattr(Ledger, "budgets", Purse())
    refused = house.film(seconds="8")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")
    assert house.wire.book.entries == [] == house.charges()
    id = house.film().json()["id"]
    assert heard == [("a", 400_000)]
    for _ in range(2):
        house.ask("GET", f"/videos/{id}")
    soon(lambda: heard == [("a", 400_000), 400_000])
    house.post("/chat/completions", {**CHAT, "max_completion_tokens": 50})
    soon(lambda: heard[-1] == 198)


def test_in_the_background(house: Till) -> None:
    answer = house.post("/responses", {**ASKED, "background": True})
    assert cost(answer) is None
    row = house.one("running")
    assert row["resource"] == answer.json()["id"]
    for _ in range(4):
        seen = house.ask("GET", f"/responses/{answer.json()['id']}").json()
    assert seen["status"] == "completed"
    assert house.one("settled")["cost"] == house.wire.book.bill() > 0


@pytest.mark.parametrize("name", ["\ud800", "x" * 3000, "a\0b"])
def test_odd_names_hold_up_nobody(tmp_path: Path, name: str) -> None:
    with till(tmp_path, extra_fields=()) as house:
        house.config = {"model_list": entries(house.url, {"*": "*", "text": "gpt-5.4"})}
        with house.open():
            headers = {**house.headers(), "content-type": "application/json"}
            house.http.post("/chat/completions", content=json.dumps({**CHAT, "model": name}), headers=headers)
            assert house.post("/chat/completions", CHAT).status_code == 200
            soon(lambda: "settled" in house.states(model="text"))


def test_a_database_that_fails_later(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charges wait in memory until they can be written; nothing that costs is begun meanwhile."""
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.1)
    with house.state.database.alone():
        pass
    house.state.database.write(("PRAGMA busy_timeout = 50", ())).result()
    with house.state.database.alone():
        assert house.post("/chat/completions", CHAT).status_code == 200
        soon(lambda: house.post("/chat/completions", CHAT).status_code == 503)
        done = len(house.wire.book.entries)
        assert house.post("/responses", ASKED).json()["error"]["code"] == "not_writable"
        assert len(house.wire.book.entries) == done
    soon(lambda: house.states(state="settled") == ["settled"] * done)
    assert house.post("/responses", ASKED).status_code == 200


def test_chat_streams_are_asked_for_their_usage(tmp_path: Path) -> None:
    """By the gateway, where the provider takes it; the client sees none of it that it has not asked for."""
    with till(tmp_path) as house:
        house.config = {
            "model_list": [*entries(house.url, {"text": "gpt-5.4"}), *entries(house.url, {"plain": "gpt-5.4"})]
        }
        house.config["model_list"][0]["litellm_params"] |= {"stream_usage": True}
        house.config["model_list"][1]["litellm_params"] |= {"organization": "another account"}
        with house.open():
            asked = house.post("/chat/completions", {**CHAT, "stream": True}).text
            assert house.one("settled")["cost"] == house.wire.book.bill() > 0
            assert '"usage":{' not in asked
            assert asked.endswith("data: [DONE]\n\n")
            told = house.post(
                "/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
            ).text
            assert '"usage":{' in told
            refused = {**CHAT, "stream": True, "stream_options": {"include_usage": False}}
            assert '"usage"' not in house.post("/chat/completions", refused).text
            plain = house.post("/chat/completions", {**CHAT, "stream": True, "model": "plain"}).text
            assert '"usage"' not in plain
            assert asked.count("data: ") == plain.count("data: ")
            soon(lambda: house.states() == ["settled", "settled", "unknown", "unknown"])
