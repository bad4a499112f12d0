"""A secret goes to its account's own origin or nowhere; redirects; what texts and headers may show."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Iterator
from typing import Any

import httpx
import pytest
from core.tests.conftest import Mode
from core.tests.server import Exchange, Server, bytes_answer, error_answer, file_answer, json_answer
from core.tests.wire import KEY
from pydantic import SecretStr

from callsheet import (
    IO,
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    AsyncTransport,
    BlockingTransport,
    Call,
    CallsheetError,
    ConfigurationError,
    Download,
    Provider,
    Registry,
    Request,
    Video,
    hookimpl,
)
from callsheet import models as m
from callsheet.urls import is_loopback

ODD_KEY = "sk-a/b+c d&e"


class Careless(Provider):
    """Sends whatever it is told to, wherever it is told to."""

    ask: Request

    @hookimpl
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> Video:
        await io.send(self.ask)
        return Video(id="v1", status="queued")

    @hookimpl
    async def download_video(self, request: m.DownloadVideo, io: IO) -> Download:
        return Download(await io.stream(self.ask))


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.settled(0)


def careless(mode: Mode, server: Server | None, ask: Request, **options: Any) -> Any:
    kind = type("Careless", (Careless,), {"ask": ask})
    registry = Registry(points=[], wraps=())
    registry.register("careless", kind)
    return mode.client(server, "careless", registry=registry, **options)


ELSEWHERE: dict[str, Any] = {
    "by default": lambda url: Request("GET", f"{url}/x"),
    "ephemeral": lambda url: Request("GET", f"{url}/x", auth=SecretStr("ek-1")),
    "in a header": lambda url: Request("GET", f"{url}/x", headers={"X-Key": f"key {KEY}"}, auth=None),
    "in the path": lambda url: Request("GET", f"{url}/x/{KEY}/y", auth=None),
    "in the query": lambda url: Request("GET", f"{url}/x", query={"key": KEY}, auth=None),
    "as a user name": lambda url: Request("GET", f"http://{KEY}@{url.removeprefix('http://')}/x", auth=None),
}


@pytest.mark.parametrize("how", ELSEWHERE)
async def test_a_secret_stays_at_home(mode: Mode, server: Server, other: Server, how: str) -> None:
    client = careless(mode, server, ELSEWHERE[how](other.url))
    with pytest.raises(ConfigurationError) as caught:
        await client.generate_video(prompt="A fox")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert other.opened == 0
    assert server.opened == 0


@pytest.mark.parametrize("where", ["query", "url"])
async def test_a_secret_that_is_spelled_otherwise_in_a_url(
    mode: Mode, server: Server, other: Server, where: str
) -> None:
    request = Request("GET", f"{other.url}/x", query={"key": ODD_KEY}, auth=None)
    if where == "url":
        request = Request("GET", f"{other.url}/x?key=sk-a%2Fb%2Bc%20d%26e", auth=None)
    with pytest.raises(ConfigurationError):
        await careless(mode, server, request, api_key=ODD_KEY).generate_video(prompt="A fox")
    assert other.opened == 0


async def test_a_request_elsewhere_without_credential(mode: Mode, server: Server, other: Server) -> None:
    """The account's own headers stay at home, too: people put keys there."""
    other.on("/x", json_answer({}))
    settings = {"headers": {"X-Gateway-Key": "gw-1"}}
    ask = Request("POST", f"{other.url}/x", auth=None)
    await careless(mode, server, ask, settings=settings).generate_video(prompt="A fox")
    [seen] = other.seen
    assert "authorization" not in seen.headers
    assert "x-gateway-key" not in seen.headers
    assert b"gw-1" not in seen.raw_head
    assert seen.headers["content-length"] == "0"


async def test_who_has_no_base_url_is_not_led_into_this_network(mode: Mode, other: Server) -> None:
    other.on("/x", json_answer({}))
    ask = Request("GET", f"{other.url}/x", auth=None)
    with pytest.raises(APIResponseValidationError, match="network"):
        await careless(mode, None, ask).generate_video(prompt="A fox")
    assert other.opened == 0


async def test_headers_do_not_double(mode: Mode, server: Server) -> None:
    """However they are spelled: the request's win over the credential's, those over the account's."""
    server.on("/x", json_answer({}))
    ask = Request("GET", "/x", headers={"AUTHORIZATION": "Own way", "Accept-Encoding": "identity", "X-A": "1"})
    settings = {"headers": {"Authorization": "account's", "x-a": "2", "User-Agent": "theirs"}}
    await careless(mode, server, ask, settings=settings).generate_video(prompt="A fox")
    headers = server.seen[0].headers
    assert (headers["authorization"], headers["x-a"], headers["user-agent"]) == ("Own way", "1", "theirs")


@pytest.mark.parametrize("key", ["sk-1\n", "sk-1\r\nX-Evil: 1", " sk-1 ", "sk-\u201c1\u201d", "sk-\x00", "sk-1\x7f"])
async def test_a_key_that_can_not_be_sent(mode: Mode, server: Server, key: str) -> None:
    """HTTP libraries refuse it with the key in the message; so it doesn't get that far."""
    client = careless(mode, server, Request("GET", "/x"), api_key=key)
    if key == " sk-1 ":  # between "Bearer" and the end: only the end counts
        key = "sk-1 "
    with pytest.raises(ConfigurationError, match="authorization") as caught:
        await client.generate_video(prompt="A fox")
    assert "sk-" not in "".join(traceback.format_exception(caught.value))
    assert server.opened == 0


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[::1", "http://", "http://:80"]
)
async def test_a_base_url_that_is_none(mode: Mode, base: str) -> None:
    client = careless(mode, None, Request("GET", "/x"), base_url=base)
    with pytest.raises(ConfigurationError, match="can't be called"):
        await client.generate_video(prompt="A fox")


async def test_a_password_in_the_base_url(mode: Mode, server: Server) -> None:
    client = careless(mode, server, Request("GET", "/x"), base_url=server.url.replace("//", "//user:hunter2@"))
    with pytest.raises(ConfigurationError) as caught:
        await client.generate_video(prompt="A fox")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


FILM = b"film" * 100


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_download_follows_to_another_origin(mode: Mode, server: Server, other: Server, status: int) -> None:
    """Without credential, and with nothing else of the account's, but with the range."""
    other.on("/film", file_answer(FILM))
    server.on("/x", bytes_answer(b"", status, location=f"{other.url}/film"))
    headers = {"Range": "bytes=4-", "If-Range": '"one"', "X-Own": "1"}
    settings = {"headers": {"X-Gateway-Key": "gw-1"}}
    client = careless(mode, server, Request("GET", "/x", headers=headers), settings=settings)
    async with await client.download_video("v1", provider="careless") as download:
        assert b"".join([piece async for piece in download]) == FILM[4:]
    [seen] = other.seen
    assert (seen.headers["range"], seen.headers["if-range"]) == ("bytes=4-", '"one"')
    assert not {"authorization", "x-own", "x-gateway-key", "referer"} & set(seen.headers)
    assert KEY.encode() not in seen.raw_head
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_download_follows_within_its_origin(mode: Mode, server: Server) -> None:
    server.on("/a/x", bytes_answer(b"", 302, location="../b?q=1"))
    server.on("/b", bytes_answer(b"", 302, location="/film"))
    server.on("/film", bytes_answer(FILM))
    client = careless(mode, server, Request("GET", "/a/x", query={"v": 2}, headers={"X-Own": "1"}))
    async with await client.download_video("v1", provider="careless") as download:
        assert b"".join([piece async for piece in download]) == FILM
    assert [seen.target for seen in server.seen] == ["/a/x?v=2", "/b?q=1", "/film"]
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
    assert {seen.headers["x-own"] for seen in server.seen} == {"1"}


async def test_back_home_after_elsewhere(mode: Mode, server: Server, other: Server) -> None:
    """Who was sent away once has lost the credential for good: the other origin chose the address."""
    server.on("/x", bytes_answer(b"", 302, location=f"{other.url}/y"))
    other.on("/y", bytes_answer(b"", 302, location=f"{server.url}/delete?everything=1"))
    server.on("/delete", bytes_answer(b""))
    await (await careless(mode, server, Request("GET", "/x")).download_video("v1", provider="careless")).aclose()
    assert "authorization" not in server.requests("/delete")[0].headers


async def test_not_more_than_three_redirects(mode: Mode, server: Server) -> None:
    server.on("/x", bytes_answer(b"", 302, location="/x"))
    with pytest.raises(APIStatusError) as caught:
        await careless(mode, server, Request("GET", "/x")).download_video("v1", provider="careless")
    assert caught.value.status_code == 302
    assert len(server.seen) == 4


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/film", "file:///etc/passwd", "javascript:1"])
async def test_a_redirect_to_nowhere(mode: Mode, server: Server, location: str) -> None:
    server.on("/x", bytes_answer(b"", 302, location=location))
    # httpx looks at the address, too, though it isn't to follow it, and has no answer then.
    with pytest.raises((APIResponseValidationError, APIConnectionError), match="redirects"):
        await careless(mode, server, Request("GET", "/x")).download_video("v1", provider="careless", timeout=20)
    assert len(server.seen) == 1  # it would not get better


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_post_is_never_redirected(mode: Mode, server: Server, other: Server, status: int) -> None:
    """And nobody knows whether it was accepted: 303 even says so."""
    server.on("/videos", bytes_answer(b"", status, location=f"{other.url}/videos"))
    with pytest.raises(APIStatusError) as caught:
        await mode.client(server).generate_video(prompt="A fox")
    assert (caught.value.status_code, caught.value.should_retry) == (status, False)
    assert other.opened == 0
    assert len(server.seen) == 1


@pytest.mark.parametrize("location", ["javascript:1", "http://[::1", "http://h:x/", "\x7f", "http://h:99999/"])
async def test_a_post_that_is_redirected_to_nowhere(client: Any, server: Server, location: str) -> None:
    """It was sent, whatever httpx makes of the address; so it is not sent again."""
    server.on("/videos", bytes_answer(b"", 303, location=location))
    with pytest.raises((APIStatusError, APIConnectionError)) as caught:
        await client.generate_video(prompt="A fox")
    assert caught.value.should_retry is False
    assert len(server.seen) == 1


async def test_a_json_request_is_never_redirected(mode: Mode, server: Server, other: Server) -> None:
    server.on("/videos/v1", bytes_answer(b"", 302, location=f"{other.url}/videos"))
    with pytest.raises(APIStatusError):
        await mode.client(server).get_video(video_id="v1", provider="wire")
    assert other.opened == 0


@pytest.mark.parametrize("auth", ["account", SecretStr("ek-ephemeral-1"), None])
async def test_a_key_does_not_travel_in_the_open(mode: Mode, auth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By http to another machine: refused before anything is sent, unless the account allows it. No key, no matter."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)  # no pauses between attempts
    ask = Request("GET", "/x", auth=auth)
    client = careless(mode, None, ask, base_url="http://nobody.invalid")
    if auth is None:
        with pytest.raises(APIConnectionError):
            await client.generate_video(prompt="A fox")
    else:
        with pytest.raises(ConfigurationError, match="unencrypted to nobody.invalid; use https://, or set allow_http"):
            await client.generate_video(prompt="A fox")
    for options in ({"settings": {"allow_http": True}}, {"api_key": "none"}):
        if not (auth and "api_key" in options and auth != "account"):
            client = careless(mode, None, ask, base_url="http://nobody.invalid", **options)
            with pytest.raises(APIConnectionError):  # so it was tried
                await client.generate_video(prompt="A fox")


async def test_a_header_that_is_secret_does_not_either(mode: Mode) -> None:
    ask = Request("GET", "/x", auth=None)
    client = careless(
        mode, None, ask, base_url="http://nobody.invalid", settings={"headers": {"X-Api-Key": "canary-header-1"}}
    )
    with pytest.raises(ConfigurationError, match="unencrypted"):
        await client.generate_video(prompt="A fox")


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80", True),
        ("http://localhost", True),
        ("http://LOCALHOST.:1", True),
        ("http://api.localhost", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://notlocalhost", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", True),
        ("http://[::ffff:10.0.0.1]", False),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://2130706433", False),
    ],
)
def test_which_addresses_are_this_machines_own(url: str, own: bool) -> None:
    assert is_loopback(url) is own


async def test_a_token_that_was_fetched_is_a_secret_like_the_key(mode: Mode, server: Server) -> None:
    """Whatever a provider shows as its credential, an upstream that quotes it does not get it into our errors."""
    token = "token-canary-55aa"

    class Fetches(Careless):
        ask = Request("GET", "/x")

        async def auth_headers(self, request: Request, io: IO) -> dict[str, str]:
            return {"Authorization": f"Bearer {token}"}

    registry = Registry(points=[], wraps=())
    registry.register("fetches", Fetches)
    server.on("/x", error_answer(403, f"the token {token} may not"))
    with pytest.raises(APIStatusError, match=r"the token \[secret\] may not") as caught:
        await mode.client(server, "fetches", registry=registry).generate_video(prompt="A fox")
    assert token not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.body)


async def test_wraps_see_no_secret_in_an_error(mode: Mode, server: Server) -> None:
    """They may be what writes a log. The key is spelled in a way that only shows once the JSON is read."""
    heard = []

    async def log(call: Call, result: Awaitable[Any]) -> Any:
        try:
            return await result
        except CallsheetError as error:
            heard.append("".join(traceback.format_exception(error)) + repr(error.__dict__))
            raise

    kind = type("Careless", (Careless,), {"ask": Request("GET", "/x")})
    registry = Registry(points=[], wraps=(log,))
    registry.register("careless", kind)
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    server.on("/x", bytes_answer(f'{{"error": {{"message": "your key is {escaped}"}}}}'.encode(), 401))
    with pytest.raises(APIStatusError, match=r"your key is \[secret\]"):
        await mode.client(server, "careless", registry=registry).generate_video(prompt="A fox")
    assert len(heard) == 1
    assert KEY not in heard[0]


@pytest.mark.parametrize("own", [True, False], ids=["our client", "a client of one's own"])
async def test_a_log_at_its_finest_shows_no_secret(
    mode: Mode, server: Server, caplog: pytest.LogCaptureFixture, own: bool
) -> None:
    """httpcore would log an answer's headers, and the bytes of one that is no HTTP."""
    caplog.set_level(logging.DEBUG)
    options: dict[str, Any] = {}
    if not own:
        blocking = mode.blocking
        options["transport"] = BlockingTransport(httpx.Client()) if blocking else AsyncTransport(httpx.AsyncClient())
    client = careless(mode, server, Request("GET", "/x"), **options)
    server.on("/x", json_answer({"id": "v1", "status": "queued"}, x_your_key=KEY))
    await client.generate_video(prompt="A fox")

    async def no_http(exchange: Exchange) -> None:
        await exchange.write(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode())
        exchange.keep = False

    async def no_chunks(exchange: Exchange) -> None:
        await exchange.head(200, {"transfer-encoding": "chunked"})
        await exchange.write(f"{KEY}\r\n".encode())
        exchange.keep = False

    for answer in (no_http, no_chunks):
        server.on("/x", answer)
        with pytest.raises(APIConnectionError) as caught:
            await client.generate_video(prompt="A fox")
        assert KEY not in "".join(traceback.format_exception(caught.value))
    if not own:
        inner = options["transport"]._client
        inner.close() if mode.blocking else await inner.aclose()
    assert "receive_response_headers.complete" in caplog.text  # somebody does log
    assert "receive_response_headers.failed" in caplog.text
    assert KEY not in caplog.text
