"""Vendors that are particular: without keys, with files that go ahead to a place of their own, with jobs that end empty."""

from __future__ import annotations

from typing import Any

import pytest
from callsheet_acme import STATES, Acme
from callsheet_acme.wire import AcmeWire
from core.tests.kit_runner import bench_of, complaint

import callsheet as cs
from callsheet.testing import FAKE_KEY, JSON, Answer, Fault, Refusal, Seen, document, route
from callsheet.testing.checks import check, text

PICTURES = ("image/png", "image/jpeg")


class Open(Acme):
    """Acme on one's own machine: whoever reaches it may use it."""

    auth = None  # type: ignore[assignment]  # Acme says no more of its own than that it is an ApiKey


class OpenWire(AcmeWire):
    keys = ()


class Careful(Acme):
    """Acme with pictures, for which it first gives a place, and with an idempotency key."""

    @cs.hookimpl
    async def generate_video(self, request: cs.GenerateVideo, io: cs.IO) -> cs.Video:
        request.only("prompt", "input_reference")
        order: dict[str, Any] = {"text": request.prompt, **request.options}
        if request.model:
            order["model"] = request.model
        if isinstance(request.input_reference, cs.Upload):
            order["picture"] = await self._bring(request.input_reference, io)
        elif request.input_reference is not None:
            raise cs.BadRequestError("Acme fetches no pictures", param="input_reference")
        headers = {"idempotency-key": io.idempotency_key}
        return self._video(await io.send(cs.Request("POST", "/jobs", headers, body=cs.Body.json(order))))

    async def _bring(self, file: cs.Upload, io: cs.IO) -> str:
        asked = cs.Request("POST", "/pictures", body=cs.Body.json({"type": file.content_type}), billable=False)
        place = (await io.send(asked)).document()
        body = cs.Body([file], file.content_type)
        await io.send(cs.Request("PUT", place["address"], body=body, auth=None, billable=False))
        return str(place["picture"])


class CarefulWire(AcmeWire):
    job_states = ("queued", "in_progress", "completed", "failed", "empty")

    @route("POST", "/pictures", takes=JSON)
    def place(self, seen: Seen) -> Answer:
        check(seen.document, {"type": text(1)}, ["type"])
        return document({"picture": "p1", "address": self.address(seen, "/pictures/p1")})

    @route("PUT", "/pictures/{id}", takes=PICTURES, public=True)
    def keep(self, seen: Seen, id: str) -> Answer:
        self.state.kept[id] = seen.body
        return document({"picture": id})

    @route("POST", "/jobs", takes=JSON)
    def start(self, seen: Seen) -> Answer:
        order = check(seen.document, {"text": text(1), "model": text(1), "picture": text(1)}, ["text"])
        if order.get("picture", "p1") not in self.state.kept and "picture" in order:
            raise Refusal("There is no such picture.", 404)
        job = self.begin_job(seen, order["text"])
        return document({"job": job.id, "state": "waiting"})


class Hasty(Careful):
    """Reads what it brings whole."""

    async def _bring(self, file: cs.Upload, io: cs.IO) -> str:
        whole = await file.read(io.run, 1 << 40, "input_reference")
        return await super()._bring(cs.Upload.of((file.filename, whole)), io)


class Trusting(Careful):
    """Takes every job that is done for one that has a film."""

    @staticmethod
    def _video(reply: cs.Reply) -> cs.Video:
        job = reply.document()
        return cs.Video(id=job["job"], status="completed" if job["state"] == "empty" else STATES[job["state"]])


class Reading(Careful):
    """Reads on where the vendor says that nothing was made."""

    @staticmethod
    def _video(reply: cs.Reply) -> cs.Video:
        job = reply.document()
        if job["state"] != "empty":
            return Careful._video(reply)
        return cs.Video(id=job["job"], status="failed", error=cs.VideoError(code="empty", message="nothing was made"))


def client_of(kind: type[cs.Provider], wire: Any, **settings: Any) -> cs.Client:
    registry = cs.Registry()
    registry.register("acme", kind)
    transport = wire.blocking_transport()
    return cs.Client("acme/film-1", registry=registry, base_url="http://127.0.0.1/v1", transport=transport, **settings)


def said_of(kind: type[cs.Provider], wire: Any, id: str) -> str | None:
    bench = bench_of(kind, wire)
    try:
        return complaint(bench, id)
    finally:
        bench.close()


@pytest.mark.parametrize("id", ["S03", "S10", "W01", "W02", "W03", "W12", "W15", "E01", "E06"])
def test_a_vendor_without_keys_is_checked_like_any(id):
    assert said_of(Open, OpenWire, id) is None


def test_a_vendor_without_keys_is_shown_none():
    class Showing(Open):
        async def auth_headers(self, request: cs.Request, io: cs.IO) -> dict[str, str]:
            return {"x-acme-key": "sk-from-somewhere"}

    said = said_of(Showing, OpenWire, "W01")
    assert said is not None
    assert "A key was shown where none belongs." in said


def test_who_needs_a_key_and_has_none_is_told_so():
    registry, wire = cs.Registry(), OpenWire()
    registry.register("acme", Acme)
    with (
        cs.Client(
            "acme/film-1", registry=registry, base_url="http://acme.test/v1", transport=wire.blocking_transport()
        ) as client,
        pytest.raises(cs.MissingCredentials),
    ):
        client.generate_video(prompt="A fox")


@pytest.mark.parametrize("id", ["W01", "W06", "W07", "W08", "W15", "E01", "L01"])
def test_a_file_may_go_ahead_to_a_place_of_its_own(id):
    assert said_of(Careful, CarefulWire, id) is None


def test_a_file_that_goes_ahead_is_streamed_too():
    said = said_of(Hasty, CarefulWire, "W08")
    assert said is not None
    assert "are held in memory" in said


def test_a_job_that_ends_without_a_result_has_not_been_completed():
    said = said_of(Trusting, CarefulWire, "W10")
    assert said is not None
    assert "a job that is empty is told as 'completed'" in said
    assert said_of(Reading, CarefulWire, "W10") is None


def test_an_idempotency_key_is_the_calls():
    """New for each call, the same for each attempt at it."""

    class Certain(Careful):
        rejects_before_accepting = frozenset({429})

    wire = CarefulWire()
    with client_of(Certain, wire, api_key=FAKE_KEY) as client:
        wire.fail("POST /jobs", Fault.status(429, retry_after=0))
        client.generate_video(prompt="A fox")
        client.generate_video(prompt="A fox")
    shown = [seen.headers["idempotency-key"] for seen in wire.seen]
    assert len(shown) == 3
    assert shown[0] == shown[1] != shown[2]
