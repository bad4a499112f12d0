"""Whatever goes wrong on the way: each call has its row, each row comes to its end, and the vendor's bill is covered.

Oracle O5 of the fault matrix, over the gateway; the matrix itself is played with the library (tests/faults).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway.tests.till import ASKED, CHAT, Till, entries, soon, till

from callsheet.testing import Fault

FINAL = {"settled", "void", "unknown"}
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("POST /chat/completions", "/chat/completions", CHAT),
    "chat stream": ("POST /chat/completions", "/chat/completions", {**CHAT, "stream": True}),
    "response": ("POST /responses", "/responses", {**ASKED, "store": False}),
    "stored response": ("POST /responses", "/responses", ASKED),
    "response stream": ("POST /responses", "/responses", {**ASKED, "stream": True}),
    "video": ("POST /videos", "/videos", {"model": "film", "prompt": "A fox", "seconds": "8"}),
    "edit": ("POST /videos/edits", "/videos/edits", {"prompt": "At night"}),
    "extension": ("POST /videos/extensions", "/videos/extensions", {"prompt": "It runs on", "seconds": "4"}),
}


def faults(streams: bool) -> Iterator[Fault]:
    """All kinds, before and after acceptance where both can be."""
    for status in (400, 401, 404, 429):
        yield Fault.status(status)
    for after in (False, True):
        for status in (408, 500, 503):
            yield Fault.status(status, after_accept=after)
        yield Fault.reset_before_headers(after_accept=after)
        yield Fault.stall_after_headers(after_accept=after)
        yield Fault.reset_in_body(after_accept=after)
        yield Fault.bad_json(after_accept=after)
        yield Fault.html(after_accept=after)
        yield Fault.truncated_gzip(after_accept=after)
        yield Fault.redirect(after_accept=after)
    if streams:
        yield Fault.reset_in_stream(after_content=True)
        yield Fault.reset_in_stream(after_content=False)
        yield Fault.stream_without_end()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Till]:
    with till(tmp_path, polls_until_done=1) as made:
        models = entries(made.url)
        for model in models:
            model["litellm_params"]["timeout"] = 0.5
        made.config = {"model_list": models, "routing": {"retries": 1}}
        with made.open(reconcile_seconds=0.2):
            yield made


def told(answer: httpx.Response) -> bool:
    """Whether an answer is whole, or says in OpenAI's envelope what is wrong."""
    if answer.is_success:
        return "text/event-stream" not in answer.headers["content-type"] or "data:" in answer.text
    error = answer.json()["error"]
    return set(error) >= {"message", "type", "param", "code"}


@pytest.mark.parametrize("call", CALLS)
def test_each_call_has_its_row_and_the_bill_is_covered(house: Till, call: str) -> None:
    route, path, document = CALLS[call]
    if call in {"edit", "extension"}:
        document = {**document, "video": {"id": house.film("The first one").json()["id"]}}
        soon(lambda: house.states() == ["settled"])
    before, asked = len(house.charges()), 0
    for number, fault in enumerate(faults("stream" in call)):
        house.wire.fail(route, fault)
        mine = {**document, "prompt": f"{document['prompt']} {number}"} if "prompt" in document else document
        answer = house.post(path, mine)
        assert told(answer), (fault.name, answer.text)
        assert fault.happened, fault.name
        asked += 1

    def all_final() -> bool:
        rows = house.charges()[before:]
        over = all(row["state"] in FINAL and row["settled_at"] is not None for row in rows)
        return over and len({row["request_id"] for row in rows}) == asked

    soon(all_final, 30.0)
    rows = house.charges()[before:]
    if document.get("store", True) and "messages" not in document:
        assert len(rows) == asked  # nothing that may have begun was sent again: one row each
    bill, settled = house.wire.book.bill(), house.sum()
    open_ends = sum(row["reserved"] for row in rows if row["state"] == "unknown")
    assert settled <= bill <= settled + open_ends
    for row in rows:
        assert (row["cost"] is None) == (row["state"] == "unknown")
        assert row["state"] != "void" or row["cost"] == 0
    if "prompt" in document:
        assert settled == bill  # whatever was lost is found in the vendor's list, or is not there
