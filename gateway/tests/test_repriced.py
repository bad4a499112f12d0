"""Words of a request by which the vendor charges another price: what such a call costs is not known, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from gateway.tests.test_ledger_later import ring
from gateway.tests.till import ASKED, CHAT, MASTER, Till, soon, till

from callsheet_gateway.ledger.prices import Prices
from callsheet_openai import OpenAIProvider

FAST: dict[str, Any] = {"service_tier": "priority"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path) as made, made.open(reconcile_seconds=0.2):
        yield made


@pytest.mark.parametrize(("path", "document"), [("/chat/completions", CHAT), ("/responses", ASKED)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_faster_answer_has_no_known_price(house: Till, path: str, document: dict[str, Any], stream: bool) -> None:
    more = {"stream_options": {"include_usage": True}} if stream and document is CHAT else {}
    answer = house.post(path, {**document, **FAST, **more, "stream": stream})
    assert answer.status_code == 200
    assert "x-callsheet-cost" not in answer.headers
    row = house.one("settled")
    assert (row["cost"], row["usage"] is not None) == (None, True)
    house.post(path, {**document, "service_tier": "default"})
    soon(lambda: house.states() == ["settled"] * 2)
    assert house.charges()[1]["cost"] > 0


def test_it_is_refused_to_who_has_a_budget(house: Till) -> None:
    admin = {"authorization": f"Bearer {MASTER}"}
    [id] = [key["id"] for key in house.http.get("/keys", headers=admin).json()["data"] if key["name"] == "ours"]
    house.http.post(f"/keys/{id}/budget", json={"amount": "5", "period": "1d"}, headers=admin).raise_for_status()
    refused = house.post("/chat/completions", {**CHAT, **FAST})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "price_unknown")
    assert house.charges() == []
    assert house.wire.seen == []
    assert house.post("/chat/completions", CHAT).status_code == 200


def test_what_is_settled_later_has_none_either(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIProvider, "repriced_by", {"service_tier": ("default",), "seconds": ("4",)})
    house.post("/responses", {**ASKED, **FAST, "background": True})
    house.film(seconds="8")
    house.film(seconds="4")
    soon(lambda: house.states() == ["settled"] * 3)
    assert [row["cost"] for row in house.charges()] == [None, None, 400_000]


def test_what_fails_at_once_is_not_free_where_failures_are_paid(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIProvider, "repriced_by", {"seconds": ("4",)})
    of = Prices.of
    monkeypatch.setattr(Prices, "of", lambda self, one: (price := of(self, one)) and evolve(price, charges_failed=True))
    house.wire.polls_until_done = 0
    house.wire.fail_job()
    house.film(seconds="8")
    assert house.one("settled")["cost"] is None


def test_a_call_that_was_repriced_has_no_price_when_it_is_hung_up(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIProvider, "repriced_by", {"session": ()})
    id = ring(house)
    house.now[0] += 60
    assert house.ask("POST", f"/realtime/calls/{id}/hangup").status_code == 200
    row = house.one("settled")
    assert (row["cost"], row["asked"]["seconds"] >= 60) == (None, True)
