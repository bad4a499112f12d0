"""What was spent, told to who may know it; budgets and limits over HTTP and on the command line."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define
from click.testing import CliRunner
from gateway.tests.odd import Odd, over
from pydantic import SecretStr

from callsheet.cli.app import callsheet
from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.spend import moment_of
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
ADMIN = {"authorization": f"Bearer {MASTER}"}
DAY = 1_800_000_000 // 86400 * 86400  # 2027-01-15
PRICES = {"input_cost_per_token": 0.00001, "output_cost_per_token": 0.0001}


def written(into: State, **values: Any) -> None:
    """A row of the ledger."""
    [[count]] = into.database.read("SELECT COUNT(*) FROM charges")
    row = {
        "id": f"c{count}", "created_at": DAY, "operation": "responses", "process": "p", "state": "settled", "key": "k1",
        "key_name": "shop", "owner": "a", "model": "m", "account": "acc", "provider": "odd", **values,
    }  # fmt: skip
    sql = f"INSERT INTO charges ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    into.database.write((sql, [*row.values()])).result()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state")
    written(opened, cost=1_500_000, settled_at=DAY)
    written(opened, cost=250, settled_at=DAY + 90_000, created_at=DAY + 86_399.5)
    written(opened, cost=None, settled_at=DAY, created_at=DAY + 86_400)
    written(opened, state="running", reserved=700_000, operation="generate_video", model="film")
    written(opened, state="begun", reserved=None)
    written(opened, state="unknown", reserved=30, key="k2", key_name="other key")
    written(opened, state="void", reserved=99, cost=0)
    written(opened, cost=9_000_000, owner="b", key="k3", key_name="theirs")
    written(opened, cost=40, owner="", key=None, key_name="master")
    yield opened
    opened.close()


def run(folder: Path, *words: str, where: str = "--data-dir", code: int = 0) -> str:
    done = CliRunner().invoke(callsheet, [*words, where, str(folder)], prog_name="callsheet")
    assert done.exit_code == code, (done.output, done.stderr, done.exception)
    return done.stdout if code == 0 else done.stderr


def test_the_table(state: State) -> None:
    lines = [line.split() for line in run(state.folder, "spend", "--by", "owner,model").splitlines()]
    assert lines == [
        ["OWNER", "MODEL", "CALLS", "DOLLARS", "RUNNING", "SET", "ASIDE", "UNKNOWN", "AT", "MOST", "UNPRICED"],
        ["-", "m", "1", "0.000040", "0", "0.000000", "0", "0.000000", "0"],
        ["a", "film", "1", "0.000000", "1", "0.700000", "0", "0.000000", "0"],
        ["a", "m", "6", "1.500250", "1", "0.000000", "1", "0.000030", "2"],
        ["b", "m", "1", "9.000000", "0", "0.000000", "0", "0.000000", "0"],
        ["total", "-", "9", "10.500290", "2", "0.700000", "1", "0.000030", "2"],
    ]


def test_days_are_utcs_and_filters_narrow_it(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    days = json.loads(run(state.folder, "spend", "--by", "day", "--owner", "a", "--json"))["data"]
    assert [(one["day"], one["calls"], one["cost"]) for one in days] == [
        ("2027-01-15", 6, "1.500250"), ("2027-01-16", 1, "0.000000"),
    ]  # fmt: skip

    def calls(*words: str) -> int:
        return int(json.loads(run(state.folder, "spend", "--json", *words))["total"]["calls"])

    assert calls("--since", "2027-01-16") == 1
    assert calls("--until", "2027-01-15") == 8
    assert calls("--since", "2027-01-15", "--until", "2027-01-16") == 9
    assert calls("--key", "k2") == 1
    assert calls("--key", "k2", "--owner", "b") == 0
    assert calls("--owner", "' OR 1=1 --") == 0


def test_a_table_holds_no_formula_and_nothing_that_steers(state: State) -> None:
    names = ['=HYPERLINK("x")', "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\x1b[31mred\x07\x9b", "m-1", "a=b"]
    for name in names:
        written(state, model=name, operation="edit", owner="names")
    rows = list(csv.DictReader(io.StringIO(run(state.folder, "spend", "--owner", "names", "--csv"))))
    told = {'\'=HYPERLINK("x")', "'+1", "'-1", "'@SUM(1)", "'=1", "[31mred", "m-1", "a=b"}
    assert {row["model"] for row in rows} == told


def test_csv_and_keys(state: State) -> None:
    rows = list(csv.DictReader(io.StringIO(run(state.folder, "spend", "--by", "key,operation", "--csv"))))
    assert [(row["key"], row["key_name"], row["operation"], row["cost"]) for row in rows] == [
        ("", "master", "responses", "0.000040"), ("k1", "shop", "generate_video", "0.000000"),
        ("k1", "shop", "responses", "1.500250"), ("k2", "other key", "responses", "0.000000"),
        ("k3", "theirs", "responses", "9.000000"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["--by", "secret"], ["--by", "model,model"], ["--since", "yesterday"], ["--until", "2027-02-30"], ["--csv", "--json"],
     ["--since", "999999999w"]],
)  # fmt: skip
def test_what_the_command_does_not_understand(state: State, words: list[str]) -> None:
    folder = state.folder
    if "999999999w" in words:
        run(folder, "spend", *words)  # long ago
    else:
        assert "rror" in run(folder, "spend", *words, code=2)


def test_moments() -> None:
    assert moment_of("7d", 1_000_000) == 1_000_000 - 7 * 86400
    assert moment_of("1970-01-02", 0) == 86400
    assert moment_of("1970-01-02", 0, end=True) == 2 * 86400
    assert moment_of("9999-12-31", 0, end=True) > 0


@define
class House:
    """A gateway over a vendor on loopback, whose model has a price."""

    http: httpx.Client
    state: State

    def key(self, **fields: Any) -> tuple[dict[str, str], str]:
        made = self.http.post("/keys", json={"name": "k", "owner": "acme", **fields}, headers=ADMIN)
        assert made.status_code == 201, made.text
        return {"authorization": f"Bearer {made.json()['key']}"}, made.json()["id"]

    def ask(self, headers: dict[str, str], model: str = "talk", tokens: int = 10) -> httpx.Response:
        asked = {"model": model, "max_completion_tokens": tokens, "messages": [{"role": "user", "content": "Hi"}]}
        return self.http.post("/chat/completions", json=asked, headers=headers)


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    state = State(folder)
    with FakeUpstream().serve() as url:
        params = {"api_base": url, "api_key": FAKE_KEY}
        models = [
            {"model_name": "talk", "litellm_params": {"model": "openai/gpt-5.4", **params}, "model_info": PRICES},
            {"model_name": "nameless", "litellm_params": {"model": "openai/some-model-of-nobodys", **params}},
        ]
        with over(Odd, make_client({"model_list": models}), state, master_key=SecretStr(MASTER)) as http:
            yield House(http, state)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path / "state") as house:
        yield house


def soon(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_budget_holds_over_http(house: House) -> None:
    headers, id = house.key(budget={"amount": "0.01", "period": "30d"})
    answer = house.ask(headers)
    assert answer.status_code == 200, answer.text
    shown = house.http.get(f"/keys/{id}", headers=ADMIN).json()["budget"]
    usage = answer.json()["usage"]
    cost = usage["prompt_tokens"] * 10 + usage["completion_tokens"] * 100
    assert (shown["spent"], shown["reserved"]) == (f"0.{cost:06}", "0.000000")
    assert (shown["amount"], shown["period"]) == ("0.010000", "30d")
    refused = house.ask(headers, tokens=1000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert "this key has a budget of 0.010000 dollars for each 30d" in refused.json()["error"]["message"]
    assert house.ask(headers).status_code == 200  # a smaller one fits
    house.http.post(f"/keys/{id}/budget", json={"amount": 1, "period": "30d"}, headers=ADMIN)
    assert house.ask(headers, tokens=1000).status_code == 200
    house.http.post(f"/keys/{id}/budget", json={"amount": 0.000001, "period": "30d"}, headers=ADMIN)
    assert house.ask(headers).status_code == 429
    lifted = house.http.post(f"/keys/{id}/budget", json={"amount": None}, headers=ADMIN)
    assert lifted.json()["budget"] is None
    assert house.ask(headers).status_code == 200

    def spent() -> Any:
        return house.http.get("/spend", headers=headers).json()

    soon(lambda: spent()["total"]["cost"] == f"0.{4 * cost:06}")
    [(model, calls, running)] = [(one["model"], one["calls"], one["running"]) for one in spent()["data"]]
    assert (model, calls, running) == ("talk", 4, 0)


def test_many_at_once_spend_no_more_than_there_is_nor_does_a_restart_forget(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as house, ThreadPoolExecutor(12) as pool:
        headers, id = house.key(budget={"amount": "0.012"})
        statuses = list(pool.map(lambda _: house.ask(headers, tokens=50).status_code, range(30)))
        assert set(statuses) == {200, 429}
        before = house.http.get(f"/keys/{id}", headers=ADMIN).json()["budget"]
        assert before["reserved"] == "0.000000"
        assert "0.000000" < before["spent"] <= "0.012000"
    with opened(tmp_path / "state") as house:
        assert house.http.get(f"/keys/{id}", headers=ADMIN).json()["budget"] == before


def test_an_owners_budget_binds_all_his_keys(house: House) -> None:
    one, two = house.key()[0], house.key()[0]
    answer = house.http.post("/owners/acme/budget", json={"amount": "0"}, headers=ADMIN)
    assert answer.json()["budget"]["amount"] == "0.000000"
    assert [house.ask(headers).status_code for headers in (one, two)] == [429, 429]
    assert house.ask(house.key(owner="other")[0]).status_code == 200
    assert house.ask(ADMIN).status_code == 200
    shown = house.http.get("/owners/acme/budget", headers=ADMIN).json()
    assert (shown["owner"], shown["budget"]["spent"]) == ("acme", "0.000000")
    assert house.http.get("/owners/nobody/budget", headers=ADMIN).status_code == 404


def test_what_has_no_price_is_refused_where_there_is_a_budget(house: House) -> None:
    bound, free = house.key(budget={"amount": 100})[0], house.key(owner="free")[0]
    refused = house.ask(bound, "nameless")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "price_unknown")
    assert house.ask(free, "nameless").status_code != 403


@pytest.mark.parametrize(
    "budget",
    [{"amount": -1}, {"amount": "1.1234567"}, {"amount": True}, {"amount": "1e3"}, {"amount": 1e-7}, {"amount": 10**9},
     {"amount": 1, "period": 5}, {"amount": 1, "period": "1y"}, {"amount": 1, "period": "0d"}, {}, 5, {"amount": 1, "x": 1},
     {"amount": 1, "period": "999999999w"}],
)  # fmt: skip
def test_budgets_that_can_not_be(house: House, budget: Any) -> None:
    _, id = house.key()
    for path, body in (
        (f"/keys/{id}/budget", budget),
        ("/owners/acme/budget", budget),
        ("/keys", {"name": "a", "budget": budget}),
    ):
        answer = house.http.post(path, json=body, headers=ADMIN)
        assert answer.status_code == 400, (path, answer.text)
    assert house.state.budgets.shown("key", id) is None
    assert [key.name for key in house.state.keys.every()] == ["k"]


def test_who_may_see_and_set_what(house: House) -> None:
    """Spending is shown to its owner and to the master key; budgets are set by the master key alone."""
    acme, id = house.key()
    colleague, _ = house.key(name="colleague")
    other, _ = house.key(owner="other")
    for headers in (acme, colleague, other, ADMIN):
        assert house.ask(headers).status_code == 200

    def calls(headers: dict[str, str], **query: str) -> int:
        answer = house.http.get("/spend", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"]["calls"] == sum(one["calls"] for one in answer.json()["data"])
        return int(answer.json()["total"]["calls"])

    soon(lambda: calls(ADMIN) == 4)  # what was asked stands in the ledger in a moment
    everybody = {"acme": 2, "other": 1}
    assert [calls(headers) for headers in (acme, colleague, other, ADMIN)] == [2, 2, 1, 4]
    for owner, count in everybody.items():
        assert calls(ADMIN, owner=owner) == count
        assert calls(acme, owner=owner) == (2 if owner == "acme" else 0)
        assert calls(other, owner=owner) == (1 if owner == "other" else 0)
    assert (calls(acme, key=id), calls(ADMIN, key=id), calls(other, key=id)) == (1, 1, 0)
    assert calls(acme, since="1d", until="2099-01-01", group_by="key,day,model") == 2
    assert calls(acme, until="2020-01-01") == 0
    for path in (f"/keys/{id}/budget", f"/keys/{id}/limits", "/owners/acme/budget"):
        assert house.http.post(path, json={"amount": 5}, headers=acme).status_code == 403
        assert house.http.post(path, json={"amount": 5}).status_code == 401
    assert house.http.get("/owners/acme/budget", headers=acme).status_code == 403
    assert house.http.get("/spend").status_code == 401
    for query in (
        {"group_by": "secret"},
        {"group_by": "key,key"},
        {"since": "x"},
        {"limit": "5"},
        {"until": "2020-99-99"},
    ):
        assert house.http.get("/spend", params=query, headers=acme).status_code == 400
    assert house.http.get("/spend?owner=a&owner=b", headers=acme).status_code == 400


def test_keys_on_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    words = [
        "--owner",
        "acme",
        "--rpm",
        "60",
        "--tpm",
        "9000",
        "--max-parallel",
        "2",
        "--budget",
        "25.50",
        "--per",
        "30d",
    ]
    made = json.loads(run(folder, "keys", "create", "shop", *words, "--json"))
    assert {name: made[name] for name in ("rpm", "tpm", "max_parallel_requests")} == {
        "rpm": 60, "tpm": 9000, "max_parallel_requests": 2,
    }  # fmt: skip
    assert made["budget"]["amount"] == "25.500000"
    id = made["id"]
    state = State(folder)
    written(state, key=id, owner="acme", cost=1_000_000, settled_at=state.clock())
    written(state, key=id, owner="acme", state="running", reserved=500_000)
    state.close()
    table = run(folder, "keys", "list")
    assert "60 requests a minute, 9000 tokens a minute, 2 at once" in table
    assert "1.000000 spent, 0.500000 set aside of 25.500000 per 30d, until 20" in table
    assert json.loads(run(folder, "keys", "limits", id, "--rpm", "none", "--json"))["rpm"] is None
    assert "may have: 5 tokens a minute, 2 at once." in run(folder, "keys", "limits", id, "--tpm", "5")
    assert run(folder, "keys", "budget", id, "3").strip() == f"{id}: 0.000000 spent, 0.500000 set aside of 3.000000"
    assert "100.000000 per 1d" in run(folder, "keys", "budget", "--owner", "acme", "100", "--per", "1d")
    listed = json.loads(run(folder, "keys", "list", "--json"))
    assert listed["owner_budgets"][0]["subject"] == "acme"
    assert listed["keys"][0]["budget"]["amount"] == "3.000000"
    assert "acme" in run(folder, "keys", "list").splitlines()[-1]
    assert "no budget any more" in run(folder, "keys", "budget", id, "none")
    assert json.loads(run(folder, "keys", "rotate", id, "--json"))["budget"] is None
    assert json.loads(run(folder, "keys", "disable", id, "--json"))["disabled_at"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["create", "a", "--per", "1d"], 2, "--per is about a --budget"),
        (["create", "a", "--budget", "-1"], 2, "dollars are wanted"),
        (["create", "a", "--rpm", "0"], 2, "no limit"),
        (["limits", "key_none", "--rpm", "5"], 3, "there is no key"),
        (["limits", "key_none"], 2, "say which limit"),
        (["budget", "key_none", "5"], 3, "there is no key"),
        (["budget", "5"], 2, "name a key and an amount"),
        (["budget", "--owner", "a", "key", "5"], 2, "name a key and an amount"),
        (["budget", "--owner", "nobody", "5"], 3, "no key is of an owner"),
        (["budget", "key_none", "none", "--per", "1d"], 2, "--per is about an amount"),
    ],
)
def test_what_keys_do_not_understand(tmp_path: Path, words: list[str], code: int, says: str) -> None:
    folder = tmp_path / "data"
    State(folder).close()
    assert says in run(folder, "keys", *words, code=code)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CALLSHEET_GATEWAY_DIR", raising=False)
    file = tmp_path / "config.yaml"
    file.write_text(
        "model_list:\n- model_name: film\n  litellm_params: {model: local/motion-1}\n"
        "- model_name: talk-*\n  litellm_params: {model: local/*}\ngateway: {data_dir: kept}\n"
    )
    return file


def test_a_config_says_where(config: Path) -> None:
    made = json.loads(run(config, "keys", "create", "a", "--model", "film", "--json", where="--config"))
    assert (config.parent / "kept" / "gateway.db").exists()
    assert made["id"] in run(config, "keys", "list", where="--config")
    assert "total" in run(config, "spend", where="--config")
    run(config.parent / "no.yaml", "keys", "list", where="--config", code=5)


def test_a_key_for_a_model_that_there_is_not(config: Path) -> None:
    for model, known in (("film", True), ("talk-scribe-1", True), ("talk-*", True), ("flim", False)):
        words = ["keys", "create", "a", "--model", model, "--config", str(config)]
        done = CliRunner().invoke(callsheet, words, prog_name="callsheet")
        assert done.exit_code == 0, done.output
        assert ("there is no model" in done.stderr) != known
