"""What is settled later: jobs that nobody asks about, lost answers, calls; over restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from core.tests.offers import OFFER
from gateway.tests.till import ASKED, CHAT, Till, soon, till

from callsheet.testing import FAKE_KEY, Fault
from callsheet_gateway.ledger.ledger import Ledger

LOST = Fault.reset_before_headers(after_accept=True)
OFTEN = {"reconcile_seconds": 0.2}


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path) as made:
        yield made


@pytest.fixture
def house(shut: Till) -> Iterator[Till]:
    with shut.open(**OFTEN):
        yield shut


def lose(house: Till, prompt: str, who: str = "ours", **more: Any) -> None:
    """Order a video whose answer gets lost after it was accepted."""
    house.wire.fail("POST /videos", Fault.reset_before_headers(after_accept=True))
    assert house.film(prompt, who, **more).status_code >= 500


def crash(house: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this run of the gateway writes nothing of the ledger any more."""
    monkeypatch.setattr(Ledger, "flush", lambda _: None)


def test_a_job_that_nobody_asks_about(house: Till) -> None:
    id = house.film(seconds="8").json()["id"]
    assert house.one("settled")["cost"] == 800_000
    looks = [seen for seen in house.wire.seen if seen.method == "GET"]
    assert len(looks) == 2
    assert house.ask("GET", "/videos").json()["data"][0]["status"] == "completed"
    assert house.ask("GET", f"/videos/{id}").json()["id"] == id
    time.sleep(0.5)
    assert len([seen for seen in house.wire.seen if seen.method == "GET"]) == 3  # nobody looks at what is settled


def test_jobs_of_an_earlier_run(shut: Till) -> None:
    with shut.open():
        shut.film("a")
        shut.wire.fail_job()
        shut.film("b")
        shut.post("/responses", {**ASKED, "background": True})
    with shut.open(**OFTEN):
        soon(lambda: shut.states() == ["settled", "void", "settled"])
        assert shut.sum() == shut.wire.book.bill()


def test_responses_in_the_background_whose_stream_broke(house: Till) -> None:
    """They go on; whoever follows them again, or asks, or nobody, they are settled."""
    for _ in range(2):
        house.wire.fail("POST /responses", Fault.reset_in_stream(after_content=True))
        house.post("/responses", {**ASKED, "background": True, "stream": True})
    soon(lambda: house.states() == ["settled", "settled"])
    assert house.sum() == house.wire.book.bill()


def test_who_follows_a_response_again_settles_it(shut: Till) -> None:
    with shut.open():
        answer = shut.post("/responses", {**ASKED, "background": True})
        shut.one("running")
        assert (
            "response.completed" in shut.ask("GET", f"/responses/{answer.json()['id']}", params={"stream": "true"}).text
        )
        assert shut.one("settled")["cost"] == shut.wire.book.bill() > 0


def test_a_job_that_is_gone_costs_what_was_asked(house: Till) -> None:
    house.film()
    house.wire.state.jobs.clear()
    assert house.one("settled")["cost"] == 400_000


def test_a_job_that_is_deleted_before_anybody_saw_its_end(tmp_path: Path) -> None:
    with till(tmp_path, polls_until_done=1) as house, house.open():
        id = house.film().json()["id"]
        house.wire.look_at(house.wire.book.entries[0].id)
        assert house.ask("DELETE", f"/videos/{id}").status_code == 200
        assert house.one("settled")["cost"] == 400_000


def test_a_lost_answer_is_found(house: Till) -> None:
    lose(house, "A fox", seconds="8")
    row = house.one("settled")
    assert row["cost"] == 800_000 == house.wire.book.bill()
    [video] = house.ask("GET", "/videos").json()["data"]
    assert (video["prompt"], video["model"], video["seconds"]) == ("A fox", "film", "8")
    assert video["id"] == row["resource"]
    assert house.ask("GET", f"/videos/{video['id']}/content").status_code == 200
    assert house.ask("GET", "/videos", "other").json()["data"] == []


def test_what_never_arrived_is_void(house: Till) -> None:
    house.wire.fail("POST /videos", Fault.reset_before_headers())
    assert house.film().status_code >= 500
    assert house.one("void")["cost"] == 0
    assert house.wire.book.entries == []


def test_as_many_as_there_are(house: Till) -> None:
    """Of three lost answers with one prompt all are found, and none that was answered."""
    house.film("A fox")
    for _ in range(3):
        lose(house, "A fox")
    soon(lambda: house.states() == ["settled"] * 4)
    assert house.sum() == house.wire.book.bill() == 4 * 400_000
    assert len({row["place"] for row in house.charges()}) == 4
    assert len(house.ask("GET", "/videos").json()["data"]) == 4


def test_what_the_list_leaves_open_stays_open(house: Till) -> None:
    """Two owners with one idea, or one job for two orders: nobody gets what may be another's, and both count."""
    lose(house, "A fox")
    lose(house, "A fox", "other")
    lose(house, "A hare")
    house.wire.fail("POST /videos", Fault.reset_before_headers())
    assert house.film("A hare").status_code >= 500
    soon(lambda: [row["settled_at"] is not None for row in house.charges()] == [True] * 4)
    assert house.states() == ["unknown"] * 4
    assert [row["reserved"] for row in house.charges()] == [400_000] * 4
    lists = len([seen for seen in house.wire.seen if seen.path.endswith("/videos") and seen.method == "GET"])
    time.sleep(0.6)
    assert len([seen for seen in house.wire.seen if seen.path.endswith("/videos") and seen.method == "GET"]) == lists
    assert house.figures()['callsheet_charges{state="unknown"}'] == 4


def test_others_jobs_are_not_taken(house: Till) -> None:
    """Of another time, model or length; and the list goes over pages."""
    with httpx.Client(base_url=house.url, headers={"authorization": f"Bearer {FAKE_KEY}"}, trust_env=False) as vendor:
        for more in ({"model": "sora-2-pro"}, {"seconds": "12"}, {"size": "1280x720"}):
            asked = {"model": "sora-2", "seconds": "4", "size": "720x1280", "prompt": "A fox", **more}
            assert vendor.post("/videos", json=asked).status_code == 200
        lose(house, "A fox", seconds="4", size="720x1280")
        for number in range(150):
            vendor.post("/videos", json={"model": "sora-2", "prompt": f"{number}"})
    row = house.one("settled")
    assert house.wire.book.entries[3].id in house.wire.state.jobs
    assert row["cost"] == 400_000


def test_a_job_too_many_leaves_it_open(house: Till) -> None:
    """Somebody else, at the same account, had the same idea at the same time."""
    with httpx.Client(base_url=house.url, headers={"authorization": f"Bearer {FAKE_KEY}"}, trust_env=False) as vendor:
        vendor.post("/videos", json={"model": "sora-2", "prompt": "A fox"})
    lose(house, "A fox")
    soon(lambda: house.charges()[0]["settled_at"] is not None)
    assert house.states() == ["unknown"]


def test_what_is_still_under_way_is_nobody_elses(house: Till) -> None:
    """A job whose answer is on its way is in the list, and its charge has no place yet."""
    house.wire.fail("POST /videos", Fault.reset_before_headers())
    house.wire.fail("POST /videos", Fault.slow_headers(0.002, after_accept=True))
    assert house.film("A fox").status_code >= 500
    assert house.film("A fox").status_code == 200
    soon(lambda: house.states() == ["void", "settled"])
    assert house.sum() == house.wire.book.bill() == 400_000


def test_a_list_that_fails_is_asked_for_again(house: Till) -> None:
    house.wire.fail("GET /videos", Fault.status(400), times=2)
    lose(house, "A fox")
    assert house.one("settled")["cost"] == 400_000


def test_a_vendor_without_a_list(tmp_path: Path) -> None:
    from callsheet_gemini.wire import GeminiWire

    wire = GeminiWire()
    with wire.serve() as url:
        params = {"model": "gemini/veo-3.1-generate-preview", "api_base": url, "api_key": FAKE_KEY}
        house = Till(tmp_path / "house", wire, url)  # type: ignore[arg-type]  # another vendor's
        house.config = {
            "model_list": [
                {
                    "model_name": "film",
                    "litellm_params": params,
                    "model_info": {"base_model": "veo-3.1-generate-preview"},
                }
            ]
        }
        with house.open(**OFTEN):
            wire.fail(None, Fault.reset_before_headers(after_accept=True))
            assert house.film(seconds="8").status_code >= 500
            row = soon(
                lambda: house.charges(state="unknown") and house.charges()[0]["settled_at"] and house.charges()[0]
            )
            assert row["reserved"] > 0


def test_a_crash_between_intent_and_outcome(shut: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run finds what was begun; of text it knows the most that it can have cost."""
    with monkeypatch.context() as dying, shut.open():
        shut.wire.fail("POST /responses", Fault.slow_headers(0.002))

        async def dies(*_: Any) -> None:
            raise OSError("the disk is gone")

        from callsheet_gateway.resources import Resources

        dying.setattr(Resources, "keep", dies)
        dying.setattr("callsheet_gateway.ledger.billing.Billing.not_kept", lambda _: None)
        dying.setattr("callsheet_gateway.ledger.billing.Billing.answered", _nothing)
        assert shut.film("A fox").status_code == 200
        shut.post("/responses", ASKED)
        soon(lambda: shut.states() == ["begun", "begun"])
    with shut.open(**OFTEN):
        soon(lambda: shut.states() == ["settled", "unknown"])
        film, text = shut.charges()
        assert film["cost"] == 400_000 == shut.wire.book.bill("video")
        assert text["reserved"] >= shut.wire.book.bill("response")
        assert [video["prompt"] for video in shut.ask("GET", "/videos").json()["data"]] == ["A fox"]


async def _nothing(*_: Any) -> None:
    pass


CALL = {"content-type": "application/sdp"}


def ring(house: Till) -> str:
    form = {
        "sdp": (None, OFFER, "application/sdp"),
        "session": (None, json.dumps({"type": "realtime", "model": "talk"})),
    }
    answer = house.ask("POST", "/realtime/calls", files=form)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


def test_a_call_costs_its_duration(house: Till) -> None:
    id = ring(house)
    row = house.one("running")
    assert row["reserved"] == 96_000 * 60  # an hour
    house.now[0] += 90
    assert house.ask("POST", f"/realtime/calls/{id}/hangup").status_code == 200
    row = house.one("settled")
    seconds = row["asked"]["seconds"]
    assert 90 <= seconds < 92
    assert abs(row["cost"] - 96_000 * seconds / 60) <= 1


def test_a_call_that_nobody_ends_costs_its_longest(house: Till) -> None:
    ring(house)
    house.one("running")
    house.now[0] += 3599
    time.sleep(0.2)
    assert house.states() == ["running"]
    house.now[0] += 2
    assert house.one("settled")["cost"] == 96_000 * 60


def test_a_call_whose_answer_was_lost(house: Till) -> None:
    house.wire.fail("POST /realtime/calls", Fault.reset_before_headers(after_accept=True))
    with pytest.raises(AssertionError):
        ring(house)
    assert house.one("unknown")["settled_at"] is None
    house.now[0] += 3605
    assert house.one("settled")["cost"] == 96_000 * 60


def test_a_secret_costs_nothing(house: Till) -> None:
    answer = house.post("/realtime/client_secrets", {"model": "talk"})
    assert answer.status_code == 200
    answer = house.http.post(
        "/realtime/calls", content=OFFER, headers={**CALL, "authorization": f"Bearer {answer.json()['value']}"}
    )
    assert answer.status_code == 201
    row = house.one("running")
    assert (row["model"], row["upstream_model"], row["reserved"]) == ("talk", "gpt-realtime", 5_760_000)


def test_who_gives_up_a_call(house: Till) -> None:
    house.wire.fail("POST /realtime/calls", Fault.stall_after_headers(after_accept=True))
    form = {"sdp": (None, OFFER, "application/sdp"), "session": (None, '{"type": "realtime", "model": "talk"}')}
    with pytest.raises(httpx.ReadTimeout):
        house.ask("POST", "/realtime/calls", files=form, timeout=0.3)
    assert house.one("unknown")["reserved"] == 5_760_000


def test_the_end_of_the_gateway_writes_all(shut: Till) -> None:
    with shut.open():
        for _ in range(200):
            shut.post("/chat/completions", CHAT)
    with shut.open():
        assert shut.states() == ["settled"] * 200
        assert shut.sum() == shut.wire.book.bill()
