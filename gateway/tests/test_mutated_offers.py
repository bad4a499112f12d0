"""Twenty thousand broken SDP offers: each is accepted as it is or refused in the one way there is, and soon."""

from __future__ import annotations

import time

import pytest
from core.tests.offers import ANSWER
from gateway.tests.mutated_offers import REAL, is_sound, mutated
from gateway.tests.odd import Odd, over
from pydantic import ValidationError

from callsheet import RealtimeCall, RelaySDP

OFFERS = 20_000
SENT = 400
"""How many of them go over HTTP."""
SECONDS = 0.25
"""What an offer may take of a processor: some hundred times what the worst one takes."""


def test_the_model_accepts_or_refuses():
    accepted, longest = 0, 0.0
    for number, sdp in enumerate(mutated(OFFERS)):
        given = sdp if number % 2 else sdp.decode("utf-8", "surrogateescape")
        started = time.thread_time()
        try:
            taken = RelaySDP.model_validate({"sdp": given}).sdp
        except ValidationError as error:
            taken = None
            (problem,) = error.errors()
            assert (problem["type"], problem["loc"]) == ("value_error", ("sdp",))
        longest = max(longest, time.thread_time() - started)
        assert taken == (sdp if is_sound(sdp) else None), (number, sdp[:3000])
        accepted += taken is not None
    assert OFFERS / 4 < accepted < OFFERS * 3 / 4
    assert longest < SECONDS
    assert all(RelaySDP(sdp=sdp).sdp == sdp for sdp in REAL)


def raw(http, sdp):
    return http.post("/realtime/calls", content=sdp, headers={"content-type": "application/sdp"})


def part(http, sdp):
    return http.post("/realtime/calls", files={"sdp": (None, sdp, "application/sdp")})


def file(http, sdp):
    return http.post("/realtime/calls", files={"sdp": ("offer.sdp", sdp, "application/sdp")})


@pytest.mark.parametrize("send", [raw, part, file])
def test_the_gateway_accepts_or_refuses(monkeypatch, send):
    arrived = []

    def relay(request):
        arrived.append(request.sdp)
        return RealtimeCall(id="rtc_1", sdp=ANSWER)

    monkeypatch.setitem(Odd.does, "relay_sdp", relay)
    accepted = []
    with over(Odd) as http:
        for number, sdp in enumerate(mutated(SENT)):
            answer = send(http, sdp)
            assert answer.status_code == (201 if is_sound(sdp) else 400), (number, answer.text, sdp[:3000])
            if answer.status_code == 201:
                accepted.append(sdp)
                assert answer.content == ANSWER
            else:
                assert answer.json()["error"]["type"] == "invalid_request_error"
    assert arrived == accepted
    assert SENT / 4 < len(accepted) < SENT * 3 / 4
