"""Ephemeral keys under a clock of our own: when they end, how often they count, and in whose name they are good."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field
from core.tests.offers import ANSWER, OFFER
from gateway.tests.odd import Odd, over
from pydantic import SecretStr

from callsheet import RealtimeCall, RealtimeSecret, Video
from callsheet.testing import FAKE_KEY, FakeUpstream
from callsheet_gateway import make_client
from callsheet_gateway.database import Database
from callsheet_gateway.state import State

MASTER = "sk-master-of-the-tests-0123456789"
NOW = 1_900_000_000
SDP = {"content-type": "application/sdp"}


@define
class House:
    """A gateway whose clock stands still, and its provider's record."""

    folder: Path
    now: float = NOW
    upstream_life: int = 600
    calls: list[str] = field(factory=list)

    @contextmanager
    def open(self, **settings: Any) -> Iterator[httpx.Client]:
        state = State(self.folder, clock=lambda: self.now)
        with over(Odd, state=state, master_key=SecretStr(MASTER), **settings) as http:
            http.headers["authorization"] = f"Bearer {MASTER}"
            yield http

    def mint(self, _request: Any) -> RealtimeSecret:
        return RealtimeSecret(value="ek_of_the_provider", expires_at=int(self.now) + self.upstream_life)

    def relay(self, request: Any) -> RealtimeCall:
        self.calls.append(request.ephemeral_key.get_secret_value() if request.ephemeral_key else "the account's")
        return RealtimeCall(id="rtc_1", sdp=ANSWER)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path / "state")
    monkeypatch.setitem(Odd.does, "mint_realtime_secret", made.mint)
    monkeypatch.setitem(Odd.does, "relay_sdp", made.relay)
    return made


def minted(http: httpx.Client, key: str | None = None, **document: Any) -> tuple[str, int]:
    headers = {"authorization": f"Bearer {key}"} if key else None
    answer = http.post("/realtime/client_secrets", json={"model": "odd/m", **document}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["value"], answer.json()["expires_at"]


def called(http: httpx.Client, token: str, offer: bytes = OFFER) -> tuple[int, str | None]:
    answer = http.post("/realtime/calls", content=offer, headers={**SDP, "authorization": f"Bearer {token}"})
    return answer.status_code, None if answer.status_code == 201 else answer.json()["error"]["code"]


@pytest.mark.parametrize(("upstream", "setting", "life"), [(600, 120, 120), (60, 120, 60), (600, 30, 30)])
def test_it_ends_by_what_comes_first(house: House, upstream: int, setting: int, life: int) -> None:
    house.upstream_life = upstream
    with house.open(token_seconds=setting, single_use_tokens=False) as http:
        token, expires_at = minted(http)
        assert expires_at == NOW + life
        for later, wanted in [(life - 1, 201), (life - 0.01, 201), (life, 401), (life + 1, 401), (life - 2, 201)]:
            house.now = NOW + later
            assert called(http, token)[0] == wanted, later
        house.now = NOW - 3600  # a clock that jumps back lets it in again, and no further than it was made for
        assert called(http, token)[0] == 201
        house.now = NOW + 3600
        assert called(http, token) == (401, "token_expired")


def test_of_a_hundred_who_show_it_at_once_one_gets_through(house: House) -> None:
    with house.open() as http, ThreadPoolExecutor(25) as pool:
        token, _ = minted(http)
        ended = list(pool.map(lambda _: called(http, token), range(100)))
    assert sorted(ended, key=str)[:1] == [(201, None)]
    assert ended.count((401, "token_used")) == 99
    assert house.calls == ["ek_of_the_provider"]


def test_it_counts_once_over_a_restart_and_a_rotation(house: House) -> None:
    with house.open() as http:
        used, _ = minted(http)
        fresh, _ = minted(http)
        assert called(http, used)[0] == 201
    state = State(house.folder)
    state.rotate_root()
    state.close()
    with house.open() as http:
        assert called(http, used) == (401, "token_used")
        assert called(http, fresh)[0] == 201
        assert called(http, minted(http)[0])[0] == 201


def test_a_bad_offer_costs_no_token(house: House) -> None:
    with house.open() as http:
        token, _ = minted(http)
        assert called(http, token, b"v=0\r\n")[0] == 400
        assert called(http, token)[0] == 201


def test_who_is_shut_out_between_mint_and_call(house: House) -> None:
    with house.open() as http, ExitStack() as _:
        made = [
            http.post("/keys", json={"name": name, "owner": "a"}).json()
            for name in ("disabled", "over", "rotated", "kept")
        ]
        expiring = http.post("/keys", json={"name": "e", "owner": "a", "expires_at": NOW + 10}).json()
        tokens = {key["name"]: minted(http, key["key"])[0] for key in (*made, expiring)}
        http.delete(f"/keys/{made[0]['id']}")
        http.post(f"/keys/{made[2]['id']}/rotate")
        house.now = NOW + 11
        assert called(http, tokens["disabled"]) == (401, "invalid_api_key")
        assert called(http, tokens["e"]) == (401, "invalid_api_key")
        assert called(http, tokens["rotated"])[0] == 201  # the same key, with another secret
        assert called(http, tokens["kept"])[0] == 201
    assert len(house.calls) == 2


def test_calls_count_for_the_key_that_asked_for_the_token(house: House) -> None:
    """As long as an offer is on its way: here it stops short."""
    with house.open(max_requests_per_key=1) as http:
        key = http.post("/keys", json={"name": "a"}).json()["key"]
        slow, token = minted(http, key)[0], minted(http, key)[0]
        with socket.create_connection(("127.0.0.1", http.base_url.port or 0)) as connection:
            head = f"POST /v1/realtime/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {slow}\r\n"
            connection.sendall(f"{head}Content-Type: application/sdp\r\nContent-Length: 100\r\n\r\nv=0".encode())
            until = time.monotonic() + 5
            while called(http, token, b"v=0") != (429, "too_many_requests"):
                assert time.monotonic() < until
        while (answer := called(http, token))[0] == 429:
            assert time.monotonic() < until + 5
        assert answer[0] == 201


def test_calls_are_among_the_most_that_may_be_under_way(house: House) -> None:
    with house.open(max_requests=1) as http:
        slow, token = minted(http)[0], minted(http)[0]
        with socket.create_connection(("127.0.0.1", http.base_url.port or 0)) as connection:
            head = f"POST /v1/realtime/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {slow}\r\n"
            connection.sendall(f"{head}Content-Type: application/sdp\r\nContent-Length: 100\r\n\r\nv=0".encode())
            until = time.monotonic() + 5
            while http.get("/models").status_code != 503:
                assert time.monotonic() < until
            assert called(http, token) == (503, "too_busy")
        while (answer := called(http, token))[0] == 503:
            assert time.monotonic() < until + 5
        assert answer[0] == 201


def test_a_key_is_asked_for_its_models_again(house: House) -> None:
    with house.open() as http:
        made = http.post("/keys", json={"name": "b", "models": ["odd/m"]}).json()
        token, _ = minted(http, made["key"])
        database = Database(house.folder / "gateway.db")
        fewer = ("UPDATE keys SET models = '[\"odd/n\"]' WHERE id = ?", (made["id"],))
        database.write(fewer, ("UPDATE counters SET value = value + 1 WHERE name = 'keys'", ())).result(5)
        database.close()
        time.sleep(0.3)  # for as long as changes by another process may be overlooked
        assert called(http, token) == (403, "model_not_allowed")
        key = http.post("/keys", json={"name": "a", "models": ["odd/m"]}).json()["key"]
        answer = http.post(
            "/realtime/client_secrets", json={"model": "odd/n"}, headers={"authorization": f"Bearer {key}"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")
        assert called(http, minted(http, key)[0])[0] == 201


def test_a_call_belongs_to_who_asked_for_the_token(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.open() as http:
        keys = [http.post("/keys", json={"name": n, "owner": n}).json()["key"] for n in ("a", "b")]
        token, _ = minted(http, keys[0])
        answer = http.post("/realtime/calls", content=OFFER, headers={**SDP, "authorization": f"Bearer {token}"})
        place = answer.headers["location"].removeprefix("/v1")
        codes = [
            http.post(f"{place}/hangup", headers={"authorization": f"Bearer {key}"}).json()["error"]["code"]
            for key in keys
        ]
    assert codes == ["unsupported_operation", "not_found"]  # this provider can't hang up: the first got as far as to it


def test_no_key_and_no_token_is_nobody(house: House) -> None:
    with house.open() as http:
        del http.headers["authorization"]
        assert http.post("/realtime/calls", content=OFFER, headers=SDP).status_code == 401
        assert http.post("/realtime/client_secrets", json={"model": "odd/m"}).status_code == 401
        assert called(http, "ek_zzz") == (401, "invalid_ephemeral_key")
    assert house.calls == []


def test_a_secret_goes_to_no_other_address(tmp_path: Path) -> None:
    """Also where an account keeps its name and leads elsewhere."""
    first, second = FakeUpstream(), FakeUpstream()
    with first.serve() as here, second.serve() as there:
        token = ""
        for url in (here, there):
            account = {"provider": "openai", "id": "a", "api_key": FAKE_KEY, "base_url": url}
            client = make_client({"accounts": [account], "models": {"talk": {"account": "a", "model": "gpt-realtime"}}})
            with over(Odd, client, State(tmp_path / "moved"), master_key=SecretStr(MASTER)) as http:
                http.headers["authorization"] = f"Bearer {MASTER}"
                if not token:
                    token, _ = minted(http, model="talk")
                else:
                    assert called(http, token) == (409, "account_changed")
        assert second.seen == []


def test_who_follows_a_job_is_asked_for_his_key_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Odd.does, "generate_video", lambda _: Video(id="v_1", status="in_progress"))
    monkeypatch.setitem(Odd.does, "get_video", lambda _: Video(id="v_1", status="in_progress"))
    with house.open(event_pause=0.02) as http:
        key = http.post("/keys", json={"name": "a", "owner": "a"}).json()
        shown = {"authorization": f"Bearer {key['key']}"}
        id = http.post("/videos", json={"model": "odd/m", "prompt": "x"}, headers=shown).json()["id"]
        with http.stream("GET", f"/videos/{id}/events", headers=shown) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: video.in_progress"
            http.delete(f"/keys/{key['id']}")
            told = list(lines)
    assert "event: error" in told
    assert any("invalid_api_key" in line for line in told)


def test_where_no_key_is_asked_for_none_is_made(house: House) -> None:
    """Whoever reaches it would make himself one for later."""
    with over(Odd, state=State(house.folder)) as http:
        for method, path in [
            ("GET", "/keys"),
            ("POST", "/keys"),
            ("POST", "/keys/key_x/rotate"),
            ("DELETE", "/keys/key_x"),
        ]:
            assert http.request(method, path, json={"name": "a"} if method == "POST" else None).status_code == 403
