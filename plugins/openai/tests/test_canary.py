"""No secret in any text: neither in what is shown of objects, nor in errors, tracebacks and logs, whatever the upstream says."""

from __future__ import annotations

import pickle
import socket
import traceback
from traceback import TracebackException
from typing import Any

import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from core.tests.server import Server, error_answer, json_answer, reset_in_body, stall
from plugins.openai.tests.calls import CALLS, serve, serve_all
from plugins.openai.tests.canaries import EPHEMERAL, KEY, TOKEN, check, clean, logs, quotes, whole
from plugins.openai.tests.conftest import openai_client

import callsheet
from callsheet import CallsheetError, Request
from callsheet.account import Account
from callsheet_openai import OpenAIProvider, OpenAISettings

__all__ = ["logs"]

SETTINGS = {"organization": "org-1", "project": "proj-1", "headers": {"X-Gateway-Token": TOKEN}}
HOW = list(quotes(KEY))


@pytest.fixture
def quoted(mode: Mode, server: Server) -> Any:
    return openai_client(mode, f"{server.url}/v1", api_key=KEY, settings=SETTINGS)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "name", ["generate_video", "get_video", "mint_realtime_secret", "responses", "responses streamed"]
)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_an_upstream_that_quotes_secrets(quoted: Any, server: Server, name: str, how: str) -> None:
    serve_all(server, quotes(KEY, TOKEN)[how])
    with pytest.raises(CallsheetError) as caught:
        await whole(CALLS[name].ask(quoted))
    check(caught.value)
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.seen[0].headers["x-gateway-token"] == TOKEN


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", ["error", "escaped", "HTML", "HTML, 200", "error, 200", *HOW[7:9], "broken off"])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_a_download(quoted: Any, server: Server, how: str) -> None:
    serve_all(server, quotes(KEY, TOKEN)[how])
    with pytest.raises(CallsheetError) as caught:
        await whole(CALLS["download_video"].ask(quoted))
    check(caught.value)


@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_a_download_that_is_redirected(quoted: Any, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    serve_all(server, quotes(KEY, TOKEN)["redirect"])
    with pytest.raises(CallsheetError) as caught:
        await whole(CALLS["download_video"].ask(quoted))
    check(caught.value)
    told = [record.getMessage() for record in caplog.records]
    caplog.clear()  # else `logs` would find it as well
    clean(*told)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("mode", ["blocking", "trio"], indirect=True)
async def test_an_ephemeral_key_is_quoted(quoted: Any, server: Server, how: str) -> None:
    serve_all(server, quotes(EPHEMERAL, KEY, TOKEN)[how])
    with pytest.raises(CallsheetError) as caught:
        await quoted.relay_sdp(sdp=OFFER, ephemeral_key=EPHEMERAL, provider="openai")
    check(caught.value)
    assert server.seen[0].headers["authorization"] == f"Bearer {EPHEMERAL}"


@pytest.mark.parametrize("name", CALLS)
async def test_nothing_is_told_where_all_goes_well(quoted: Any, server: Server, name: str) -> None:
    serve(server, name)
    result = await CALLS[name].ask(quoted)
    clean(repr(result), repr(getattr(result, "meta", None)))
    await whole(_done(result))


async def _done(result: Any) -> Any:
    return result


def test_what_is_shown_of_objects() -> None:
    account = Account.of("openai", OpenAISettings, {"api_key": KEY, **SETTINGS}, environ={})
    provider = OpenAIProvider(account.settings)
    plain = callsheet.Client("openai/m", api_key=KEY, base_url="https://127.0.0.1:9/v1", settings=SETTINGS)
    later = callsheet.AsyncClient("openai/m", api_key=KEY, settings=SETTINGS)
    request = callsheet.RelaySDP(sdp=OFFER, ephemeral_key=EPHEMERAL)  # type: ignore[arg-type]  # pydantic takes a str
    sent = Request("POST", "/x", {"x-key": TOKEN}, auth=request.ephemeral_key)
    secret = callsheet.RealtimeSecret.model_validate(
        {"value": EPHEMERAL, "expires_at": 1, "client_secret": {"value": EPHEMERAL}, "session": {"key": EPHEMERAL}}
    )
    for thing in (account, account.settings, provider, plain, later, request, sent, secret):
        clean(repr(thing), str(thing), f"{thing}", repr([thing]))
    clean(plain.accounts, plain.router, plain.providers(), account.id, account.tag)
    clean(account.settings.model_dump_json(exclude={"headers"}), account.settings.model_dump(exclude={"headers"}))
    for client in (plain, later):
        with pytest.raises(TypeError):
            pickle.dumps(client)
    plain.close()


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": f"{KEY}\n"},
        {"api_key": f"{KEY} \u201c"},
        {"settings": {"headers": {"X-Gateway-Token": f"{TOKEN}\r\nX: y"}}},
        {"base_url": f"http://{KEY}:{TOKEN}@127.0.0.1:9/v1"},
        {"base_url": f"http://127.0.0.1:9/v1?key={KEY}"},
        {"base_url": f"http://[{KEY}/v1"},
        {"base_url": f"http://127.0.0.1:{KEY}/v1"},
        {"base_url": KEY},
        {"settings": {"api_key": [KEY]}},
        {"settings": {"api_kee": KEY}},
        {"timeout": 1.0, "base_url": "http://127.0.0.1:9/v1"},
    ],
)
async def test_a_secret_in_the_wrong_place(mode: Mode, options: dict[str, Any]) -> None:
    given = {"api_key": KEY, **options}
    if "api_key" in options.get("settings", {}):
        given["api_key"] = None
    with pytest.raises(CallsheetError) as caught:
        await openai_client(mode, given.pop("base_url", "http://127.0.0.1:9/v1"), **given).get_video(
            video_id="v", provider="openai"
        )
    check(caught.value)


@pytest.mark.parametrize("what", ["refused", "401", "cut", "too late", "unreadable"])
async def test_locals_in_tracebacks(mode: Mode, server: Server, what: str) -> None:
    """As programs log them that report their errors somewhere. (What the program itself holds is its own affair.)"""
    answer = {"401": error_answer(401), "cut": reset_in_body, "too late": stall}.get(what, json_answer([]))
    server.on("/v1/videos/v", answer)
    url = "http://127.0.0.1:9/v1" if what == "refused" else f"{server.url}/v1"
    client = openai_client(mode, url, api_key=KEY, settings=SETTINGS)
    with pytest.raises(CallsheetError) as caught:
        await client.get_video(video_id="v", provider="openai", timeout=0.2)
    clean_frames(caught.value)


async def test_locals_where_a_head_is_not_taken(mode: Mode) -> None:
    """The HTTP client's frames have all that it was sending."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings = {"headers": {"x-gateway-token": TOKEN, "x-long": "x" * 16_000_000}}
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        client = openai_client(mode, url, api_key=KEY, settings=settings)
        with pytest.raises(CallsheetError) as caught:
            await client.get_video(video_id="v", provider="openai", timeout=0.2)
    clean_frames(caught.value)


def clean_frames(error: BaseException) -> None:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    seen: TracebackException | None = told
    while seen is not None:
        for frame in seen.stack:
            if "/tests/" not in frame.filename:
                clean(f"{frame.filename}:{frame.lineno} {frame.locals}")
        seen = seen.__cause__ or seen.__context__
