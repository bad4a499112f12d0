"""Realtime: the resource's own host, the two forms of a call, its filter, and a Location without the prefix."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from core.tests.server import Server, json_answer
from plugins.azure.tests.conftest import azure_client, jwt, registry

from callsheet import AuthenticationError, NotFoundError
from callsheet_azure.wire import KEY, AzureWire


async def test_a_client_secret(client: Any, fake: AzureWire) -> None:
    secret = await client.mint_realtime_secret(
        model="rt-1", expires_after=60, session={"instructions": "Be kind."}, safety_identifier="user-1"
    )
    [seen] = fake.seen
    assert seen.document == {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"type": "realtime", "model": "rt-1", "instructions": "Be kind."},
    }
    assert (seen.path, seen.query) == ("/openai/v1/realtime/client_secrets", [])
    assert seen.headers["openai-safety-identifier"] == "user-1"
    assert seen.headers["host"] == "res-1.openai.azure.com"
    assert secret.value.startswith("ek_")
    assert secret.value not in repr(secret)


@pytest.mark.parametrize(("asked", "lifetime"), [(60, 60), (None, 600)])
async def test_a_secret_of_which_only_the_value_is_said(asked: int | None, lifetime: int, mode: Mode) -> None:
    """As Azure's documents have it: it lives as long as was asked for, or as OpenAI's do. And one is minted, not two."""
    with Server() as server:
        server.on("/openai/v1/realtime/client_secrets", json_answer({"value": "ek_only-1"}))
        client = mode.client(None, "azure", registry=registry(), base_url=server.url)
        secret = await client.mint_realtime_secret(model="rt-1", expires_after=asked)
        assert (secret.value, len(server.seen)) == ("ek_only-1", 1)
        assert "openai-safety-identifier" not in server.seen[0].headers
        assert secret.expires_at == pytest.approx(time.time() + lifetime, abs=5)


@pytest.mark.parametrize("webrtcfilter", [True, False, None])
async def test_a_browsers_call_is_raw_and_in_the_name_of_its_key(
    webrtcfilter: bool | None, client: Any, fake: AzureWire
) -> None:
    secret = await client.mint_realtime_secret(model="rt-1")
    call = await client.relay_sdp(sdp=OFFER, provider="azure", ephemeral_key=secret.value, webrtcfilter=webrtcfilter)
    seen = fake.seen[-1]
    assert (seen.path, seen.content_type, seen.body) == ("/openai/v1/realtime/calls", "application/sdp", OFFER)
    assert seen.headers["authorization"] == f"Bearer {secret.value}"
    assert "api-key" not in seen.headers
    assert seen.query == ([("webrtcfilter", "on")] if webrtcfilter else [])
    assert fake.state.calls[fake.book.entries[-1].id].session["model"] == "rt-1"
    assert call.sdp.startswith(b"v=0\r\n")


@pytest.mark.parametrize("entra", [False, True])
@pytest.mark.parametrize("webrtcfilter", [True, None])
async def test_a_servers_call_is_a_form_with_the_accounts_credential(
    webrtcfilter: bool | None, entra: bool, mode: Mode, fake: AzureWire
) -> None:
    token = fake.admit(jwt())
    settings: dict[str, Any] = {"token_provider": lambda: token} if entra else {}
    client = azure_client(mode, fake, **settings)
    await client.relay_sdp(sdp=OFFER, model="rt-1", session={"instructions": "Be kind."}, webrtcfilter=webrtcfilter)
    [seen] = fake.seen
    assert seen.part("sdp").content == OFFER
    assert json.loads(seen.part("session").content) == {"type": "realtime", "model": "rt-1", "instructions": "Be kind."}
    assert seen.query == ([("webrtcfilter", "on")] if webrtcfilter else [])
    assert seen.key == (token if entra else KEY)


async def test_the_calls_id_is_found_without_the_prefix_and_ends_it(client: Any, fake: AzureWire) -> None:
    call = await client.relay_sdp(sdp=OFFER, model="rt-1")
    [id] = fake.state.calls
    assert fake.location(id) == f"/v1/realtime/calls/{id}"
    assert call.id.startswith("rtc_")
    assert call.id != id
    await client.hang_up(call_id=call.id)
    assert fake.seen[-1].path == f"/openai/v1/realtime/calls/{id}/hangup"
    assert fake.state.calls[id].over
    with pytest.raises(NotFoundError, match=call.id):
        await client.hang_up(call_id=call.id)


@pytest.mark.parametrize(
    "location", ["https://res-1.openai.azure.com/openai/v1/realtime/calls/{}", "/openai/v1/realtime/calls/{}?a=b", "{}"]
)
async def test_other_spellings_of_a_location(
    location: str, client: Any, fake: AzureWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AzureWire, "location", lambda _, id: location.format(id))
    call = await client.relay_sdp(sdp=OFFER, model="rt-1")
    await client.hang_up(call_id=call.id)
    assert fake.state.calls[fake.book.entries[0].id].over


async def test_a_wrong_ephemeral_key_is_refused_and_does_not_cost_the_token(mode: Mode, fake: AzureWire) -> None:
    asked = []

    def source() -> str:
        asked.append(1)
        return fake.admit(jwt())

    client = azure_client(mode, fake, token_provider=source)
    with pytest.raises(AuthenticationError) as caught:
        await client.relay_sdp(sdp=OFFER, provider="azure", ephemeral_key="ek_0123456789abcdef")
    assert "ek_0123456789" not in f"{caught.value!r} {vars(caught.value)}"
    assert not asked
