"""The fake upstream's two doors, server and transports, lead to the same place."""

from __future__ import annotations

import subprocess
import sys

import pytest
from core.tests.fake_kit import AUTH, WAYS, fresh, tour

from callsheet import APITimeoutError
from callsheet.drive import finish
from callsheet.exchange import Outgoing
from callsheet.testing import ROUTES


def walked(way_name, **options):
    """A tour of a fake: the answers, and the fake."""
    fake = fresh(**options)
    with WAYS[way_name](fake) as way:
        found = way.run(tour(way.send))
    assert not fake.problems
    return found, fake


@pytest.fixture(scope="module")
def by_tcp():
    return walked("tcp")


def test_the_tour_leads_past_every_route(by_tcp):
    assert {name for name, _ in by_tcp[0]} == {route.name for route in ROUTES}


@pytest.mark.parametrize("way", ["blocking", "asyncio", "trio"])
def test_both_doors_give_equal_answers(way, by_tcp):
    expected, served = by_tcp
    found, fake = walked(way)
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (name, got), (_, other) in zip(found, expected, strict=True):
        assert (got.status, got.body) == (other.status, other.body), name
        assert got.headers == other.headers, name
    for here, there in zip(fake.seen, served.seen, strict=True):
        assert (here.method, here.path, here.query, here.body) == (there.method, there.path, there.query, there.body)
        assert (here.document, here.form, here.route, here.key) == (there.document, there.form, there.route, there.key)
    assert fake.book == served.book


def test_another_seed_gives_other_ids(by_tcp):
    mine = {entry.id for entry in walked("blocking", seed="b")[1].book.entries}
    assert not mine & {entry.id for entry in by_tcp[1].book.entries}


def test_every_answer_says_who_and_how_much(by_tcp):
    for number, (name, got) in enumerate(by_tcp[0]):
        assert got.headers["x-request-id"] == f"req_{number:032x}", name
        assert got.headers["x-ratelimit-reset-tokens"] == "6m0s"


def test_connections_end_with_the_server():
    fake = fresh()
    with WAYS["tcp"](fake) as way:
        way.ask("GET", "/videos")
        way.ask("GET", "/videos")
        assert fake.connections == 1
    assert fake.connections == 0


def test_two_servers_before_one_fake():
    fake = fresh()
    with WAYS["tcp"](fake) as one, WAYS["tcp"](fake) as two:
        id = one.ask("POST", "/videos", {"prompt": "a cat"}).json()["id"]
        assert two.ask("GET", f"/videos/{id}").json()["id"] == id


def test_no_time_left_is_not_sent():
    fake = fresh()
    with pytest.raises(APITimeoutError) as caught:
        finish(fake.blocking_transport().open(Outgoing("GET", "https://a.example/v1/videos", AUTH, None, 0.0)))
    assert caught.value.sent is False
    assert not fake.seen


def test_callsheet_imports_nothing_of_it():
    code = "import sys, callsheet; sys.exit(any(name.startswith('callsheet.testing') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, callsheet.testing; sys.exit(bool({'anyio', 'httpx', 'asyncio'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
