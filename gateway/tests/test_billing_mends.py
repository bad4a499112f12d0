"""What a review found wrong with money: whose model prices a changed video, amounts beyond reason, what is looked at every
second, and two gateways on one data directory.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gateway.tests.serving import MASTER, launched
from gateway.tests.till import CHAT, Till, soon, till
from gateway.tests.till import MASTER as MASTER_OF_TILL

from callsheet import ConfigurationError
from callsheet.testing import Fault
from callsheet_gateway import make_client
from callsheet_gateway.database import _VERSIONS, Database
from callsheet_gateway.ledger.charge import Charge
from callsheet_gateway.ledger.costs import fitting
from callsheet_gateway.ledger.prices import Prices
from callsheet_gateway.ledger.store import Charges
from callsheet_gateway.state import State, alone_in

BILLION = 10**15
ADMIN = {"authorization": f"Bearer {MASTER_OF_TILL}"}
CALLSHEET = str(Path(sys.executable).parent / "callsheet")


def source(house: Till, model: str = "big-film") -> str:
    """A video that is done."""
    made = house.post("/videos", {"model": model, "prompt": "A fox", "size": "1280x720", "seconds": "4"})
    return finished(house, made.json()["id"])


def finished(house: Till, id: str) -> str:
    soon(lambda: house.ask("GET", f"/videos/{id}").json()["status"] == "completed")
    return id


def change(house: Till, operation: str, id: str, **more: Any) -> Any:
    if operation == "remix":
        return house.post(f"/videos/{id}/remix", {"prompt": "Again", **more})
    extra = {"seconds": "8"} if operation == "extend" else {}
    path = "/videos/extensions" if operation == "extend" else "/videos/edits"
    return house.post(path, {"video": {"id": id}, "prompt": "Again", **extra, **more})


@pytest.mark.parametrize("operation", ["edit", "extend", "remix"])
@pytest.mark.parametrize("asked", [{"model": "film"}, {"target_model_names": "film"}, {}])
def test_a_changed_video_is_priced_by_its_own_model(tmp_path: Path, operation: str, asked: dict[str, str]) -> None:
    with till(tmp_path, extra_fields=("model", "target_model_names")) as house, house.open():
        answer = change(house, operation, source(house), **asked)
        assert answer.status_code == 200, answer.text
        bill = house.wire.book.bill(operation)
        assert bill == {"edit": 1_200_000, "extend": 2_400_000, "remix": 1_200_000}[operation]
        assert answer.headers["x-callsheet-cost"] == f"{bill / 10**6:.6f}"
        finished(house, answer.json()["id"])
        charge = house.one("settled", operation=operation)
        assert charge["cost"] == bill
        assert (charge["upstream_model"], charge["model"]) == ("sora-2-pro", "big-film")


def test_what_was_made_of_it_is_priced_so_too(tmp_path: Path) -> None:
    """The row of the first edit may bear the name that was asked for."""
    with till(tmp_path) as house, house.open():
        id = source(house)
        for _ in range(3):
            answer = change(house, "edit", id, model="film")
            assert answer.headers["x-callsheet-cost"] == "1.200000"
            id = finished(house, answer.json()["id"])
        soon(lambda: house.sum() == house.wire.book.bill())


def test_a_cheaper_name_does_not_get_past_a_budget(tmp_path: Path) -> None:
    with till(tmp_path) as house, house.open():
        id = source(house)
        [key] = [key["id"] for key in house.http.get("/keys", headers=ADMIN).json()["data"] if key["name"] == "ours"]
        given = house.http.post(f"/keys/{key}/budget", json={"amount": "2.20"}, headers=ADMIN)
        assert given.status_code == 200
        for more in ({}, {"model": "film"}):
            answer = change(house, "extend", id, **more)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "budget_exceeded")
        assert house.wire.book.bill("extend") == 0


def test_the_model_that_the_answer_names_prices(tmp_path: Path) -> None:
    with till(tmp_path) as house, house.open():
        id = source(house, "film")
        [job] = house.wire.state.jobs.values()
        job.model = "sora-2-pro"  # what the provider goes on with
        answer = change(house, "edit", id)
        assert answer.headers["x-callsheet-cost"] == "1.200000"
        finished(house, answer.json()["id"])
        charge = house.one("settled", operation="edit")
        assert (charge["cost"], charge["upstream_model"], charge["model"]) == (1_200_000, "sora-2-pro", "big-film")


@pytest.mark.parametrize(
    ("ours", "said", "other"),
    [
        ("sora-2", "sora-2", False),
        ("sora-2", "sora-2-2025-12-08", False),  # a snapshot of it
        ("sora-2", "sora-2-pro", True),
        ("sora-2", "nobody-knows", False),
        ("my-own", "sora-2-pro", False),  # the operator's name for it, of which the provider knows nothing
        ("my-own", "yours", True),
    ],
)
def test_what_another_model_is(ours: str, said: str, other: bool) -> None:
    key = "sk-of-nobody-0123456789"
    priced = {"output_cost_per_video_per_second": 0.02}
    config = [
        {"model_name": name, "litellm_params": {"model": f"openai/{model}", "api_key": key}, "model_info": info}
        for name, model, info in (("film", "sora-2", {}), ("mine", "my-own", priced), ("thine", "yours", priced))
    ]
    client = make_client({"model_list": config})
    [deployment] = client.router.models.deployments("film")
    found = Prices(client.router).of_another("openai", deployment.account.id, ours, said)
    assert (found is not None) is other


def test_own_prices_keep_the_limits_of_the_vendors_table() -> None:
    params = {"model": "openai/sora-2", "api_key": "sk-of-nobody-0123456789"}
    own = {**params, "output_cost_per_video_per_second": 0.02}
    client = make_client(
        {"model_list": [{"model_name": "a", "litellm_params": own}, {"model_name": "b", "litellm_params": params}]}
    )
    prices = Prices(client.router)
    mine, vendors = (prices.of(client.router.models.deployments(name)[0]) for name in "ab")
    assert mine is not None
    assert vendors is not None
    assert mine.video("8", "1280x720") == 160_000
    limits = ("default_seconds", "extend_seconds", "max_seconds", "default_size")
    assert [getattr(mine, name) for name in limits] == [getattr(vendors, name) for name in limits]
    assert mine.default_seconds is not None


def test_amounts_beyond_reason_are_none() -> None:
    assert [fitting(one) for one in (0, BILLION, BILLION + 1, 2**62, -1, None)] == [0, BILLION, None, None, None, None]


def test_sums_hold_whatever_was_asked_for(tmp_path: Path) -> None:
    with till(tmp_path) as house:
        with house.open():
            house.wire.fail("POST /chat/completions", Fault.reset_before_headers(after_accept=False), times=9)
            for _ in range(4):
                house.post("/chat/completions", {**CHAT, "n": 1_400_000_000_000, "store": True})
            soon(lambda: house.states() == ["unknown"] * 4)
            assert house.http.get("/spend", headers=ADMIN).json()["total"]["calls"] == 4
            assert house.ask("GET", "/spend").status_code == 200
        with sqlite3.connect(house.folder / "gateway.db") as database:  # as a kill leaves it
            database.execute("UPDATE charges SET state = 'begun', settled_at = NULL")
        database.close()
        with house.open():
            assert house.ask("GET", "/spend").status_code == 200


def test_rows_of_before_are_clamped(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "gateway.db")
    connection.executescript(f"{';'.join(_VERSIONS[:4])}; PRAGMA user_version = 4;")
    amounts = [(BILLION, 5), (4 * 10**18, 7), (3, 4 * 10**18), (4 * 10**18, 4 * 10**18), (4 * 10**18, None)]
    for number, (reserved, cost) in enumerate(amounts):
        for state in ("settled", "unknown", "begun"):
            connection.execute(
                "INSERT INTO charges (id, created_at, state, operation, owner, process, reserved, cost)"
                " VALUES (?, 1, ?, 'edit', 'a', 'p', ?, ?)",
                (f"{state}{number}", state, reserved, cost),
            )
    connection.commit()
    connection.close()
    opened = State(tmp_path)  # it sums up what is set aside
    rows = opened.database.read("SELECT reserved, cost FROM charges WHERE state = 'begun' ORDER BY id")
    assert [tuple(row) for row in rows] == [(BILLION, 5), (None, 7), (3, None), (None, None), (None, None)]
    opened.database.read("SELECT SUM(reserved), SUM(cost) FROM charges")
    opened.close()


class Watched(Database):
    """Keeps the plans of what is read."""

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        self.__dict__.setdefault("plans", []).extend(
            row["detail"] for row in super().read(f"EXPLAIN QUERY PLAN {sql}", *values)
        )
        return super().read(sql, *values)


def test_charges_that_nobody_looks_at_are_not_gone_through(tmp_path: Path) -> None:
    database = Watched(tmp_path / "gateway.db")
    charges = Charges(database)
    over = [Charge(f"over{n}", n, "chat_completions", "a", "p", "unknown", settled_at=1.0) for n in range(2000)]
    looked_at = [Charge(f"open{n}", -n, "edit", "a", "p", "unknown") for n in range(3)]
    begun = Charge("begun", 1, "edit", "a", "earlier", "begun")
    database.write(*charges.statements([*over, *looked_at, begun])).result()
    database.write(("ANALYZE", ())).result()
    assert [one.id for one in charges.waiting("unknown", ["edit", "remix"])] == ["open2", "open1", "open0"]
    assert charges.waiting("running", ["responses"]) == []
    assert [one.id for one in charges.left_behind("now")] == ["begun"]
    plans = database.__dict__["plans"]
    assert plans == ["SEARCH charges USING INDEX charges_waiting (state=?)"] * 3  # and nothing is sorted
    assert charges.open() == {"begun": 1, "running": 0, "unknown": 2003}
    assert "INDEX charges_open" in plans[-1]
    database.close()


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def second(data_dir: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    """`callsheet serve` on a data directory, which is not waited for."""
    return subprocess.Popen(
        [CALLSHEET, "serve", "--port", "0", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "CALLSHEET_LOCAL_DIR": str(data_dir),
            "CALLSHEET_GATEWAY_DIR": str(data_dir / "gateway"),
            "CALLSHEET_MASTER_KEY": MASTER,
            **env,
        },
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_second_gateway_waits_for_the_first(tmp_path: Path, how: signal.Signals) -> None:
    data = tmp_path / "data"
    first, said = launched(data, subprocess.DEVNULL, CALLSHEET_MASTER_KEY=MASTER)
    assert said
    other = second(data)
    try:
        assert other.stderr is not None
        assert other.stdout is not None
        line = other.stderr.readline()
        assert line == "another gateway serves this data directory: waiting until it has ended\n"
        for words in (["keys", "list"], ["spend"]):  # these two have nothing to wait for
            env = {**os.environ, "CALLSHEET_GATEWAY_DIR": str(data / "gateway")}
            subprocess.run([CALLSHEET, *words], env=env, check=True, capture_output=True, timeout=20)
        assert other.poll() is None
        assert first.poll() is None
        assert select.select([other.stdout], [], [], 0)[0] == []  # it has not said that it is ready
        first.send_signal(how)
        first.wait(20)
        assert '"base_url"' in other.stdout.readline()
    finally:
        end(first, other)
    assert other.returncode == 0


def test_who_connects_to_a_gateway_that_waits_is_served_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, said = launched(data, subprocess.DEVNULL, CALLSHEET_MASTER_KEY=MASTER)
    assert said
    other = second(data, "--port", str(port))
    try:
        assert other.stderr is not None
        other.stderr.readline()
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            with pytest.raises(TimeoutError):
                client.recv(1)
            first.send_signal(signal.SIGINT)
            client.settimeout(20)
            assert client.recv(12) == b"HTTP/1.1 200"
    finally:
        end(first, other)


def test_a_second_gateway_gives_up(tmp_path: Path) -> None:
    held = tmp_path / "house"
    told: list[float] = []
    with alone_in(held, 1, lambda: told.append(0)):
        assert told == []
        began = time.monotonic()
        with (
            pytest.raises(ConfigurationError, match="has not ended within 0.3 s: end it, or .* --data-dir"),
            alone_in(held, 0.3, lambda: told.append(time.monotonic())),
        ):
            raise AssertionError("there is one")
        assert told[0] - began < 0.2
        assert 0.3 <= time.monotonic() - began < 2
    with alone_in(held, 0, lambda: told.append(0)):
        assert len(told) == 1
    assert (held / "serving.lock").stat().st_mode & 0o777 == 0o600


def test_where_the_system_has_no_locks_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with alone_in(tmp_path, 0, pytest.fail), alone_in(tmp_path, 0, pytest.fail):
        pass


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be used"), alone_in(tmp_path / "file", 0, pytest.fail):
        pass
