"""Ephemeral keys at the gateway: where a call goes, and what does not pass for a key."""

import time

import pytest
from core.tests.offers import ANSWER, OFFER
from gateway.tests.odd import Odd, over

from callsheet import AsyncClient, RealtimeCall, RealtimeSecret, Registry

SDP = {"content-type": "application/sdp"}


@pytest.fixture
def asked(monkeypatch):
    """What reached the provider."""
    requests = []

    def mint(request):
        requests.append(request)
        return RealtimeSecret(value="ek_of_the_provider", expires_at=int(time.time()) + 60)

    def relay(request):
        requests.append(request)
        return RealtimeCall(id="rtc_1", sdp=ANSWER)

    monkeypatch.setitem(Odd.does, "mint_realtime_secret", mint)
    monkeypatch.setitem(Odd.does, "relay_sdp", relay)
    return requests


@pytest.fixture(scope="module")
def http():
    with over(Odd) as client:
        yield client


def key(http, **document):
    answer = http.post("/realtime/client_secrets", json=document)
    assert answer.status_code == 200, answer.text
    assert answer.json()["client_secret"]["value"] == answer.json()["value"]
    return answer.json()["value"]


def test_the_providers_key_is_sealed_and_comes_back_to_it(http, asked):
    token = key(http, model="odd/m")
    assert token.startswith("ek_")
    assert "ek_of_the_provider" not in token
    answer = http.post("/realtime/calls", content=OFFER, headers={**SDP, "authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.content) == (201, ANSWER)
    assert answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
    assert asked[-1].ephemeral_key.get_secret_value() == "ek_of_the_provider"
    assert (asked[-1].sdp, asked[-1].model, asked[-1].session) == (OFFER, None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer ek_zzz"},
        {"authorization": "bearer  ek_zzz"},
        {"authorization": "Bearer\tek_zzz"},
        {"authorization": "ek_zzz"},
        {"authorization": "Basic ek_zzz"},
        {"api-key": "ek_zzz"},
    ],
)
def test_a_bad_key_never_passes_for_none(http, asked, headers):
    """Without a key the call would be made in the account's own name."""
    answer = http.post("/realtime/calls", content=OFFER, headers={**SDP, **headers})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_ephemeral_key")
    assert asked == []


def test_without_an_ephemeral_key_the_account_calls(http, asked):
    headers = {**SDP, "authorization": "Bearer sk-anything"}
    assert http.post("/realtime/calls", params={"model": "odd/n"}, content=OFFER, headers=headers).status_code == 201
    assert (asked[-1].model, asked[-1].ephemeral_key) == ("n", None)


def test_a_key_without_a_model_takes_it_from_the_call(http, asked):
    headers = {**SDP, "authorization": f"Bearer {key(http, session={'type': 'realtime'})}"}
    assert http.post("/realtime/calls", params={"model": "odd/n"}, content=OFFER, headers=headers).status_code == 201
    assert asked[-1].model == "n"
    unknown = http.post("/realtime/calls", params={"model": "other"}, content=OFFER, headers=headers)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_a_key_is_for_its_model_and_its_session(http, asked):
    headers = {"authorization": f"Bearer {key(http, session={'type': 'realtime', 'model': 'odd/m'})}"}
    for document, status in [
        ('{"type": "realtime", "model": "odd/m"}', 201),
        ('{"type": "realtime", "model": "odd/n"}', 400),
        ('{"type": "realtime", "instructions": "x"}', 400),
        ('{"type": "transcription"}', 400),
    ]:
        form = {"sdp": (None, OFFER, "application/sdp"), "session": (None, document, "application/json")}
        answer = http.post("/realtime/calls", files=form, headers=headers)
        assert answer.status_code == status, answer.text


def test_a_secret_without_a_session_says_what_was_asked(http, asked):
    answer = http.post("/realtime/client_secrets", json={"session": {"type": "transcription"}})
    assert answer.json()["session"]["type"] == "transcription"


def test_a_key_goes_to_no_other_account(asked):
    """Also where a program serves a client of its own, which reaches more than one."""
    registry = Registry(points=[], wraps=())
    for name in ("odd", "other"):
        registry.register(name, Odd)
    with over(Odd, AsyncClient(provider="odd", registry=registry)) as http:
        headers = {**SDP, "authorization": f"Bearer {key(http, session={'type': 'realtime'})}"}
        wrong = http.post("/realtime/calls", params={"model": "other/x"}, content=OFFER, headers=headers)
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "model")
        assert len(asked) == 1  # the mint
        right = http.post("/realtime/calls", params={"model": "odd/x"}, content=OFFER, headers=headers)
        assert (right.status_code, asked[-1].model) == (201, "x")
