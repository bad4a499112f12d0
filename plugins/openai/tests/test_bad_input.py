"""What is wrong before anything is sent: keys, addresses, offers, fields; and a film of 100 MB, which is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a distribution of their own
import pytest
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from core.tests.server import Server, bytes_answer
from plugins.openai.tests.calls import ANSWER_SDP, CALLS, VIDEO, Canned, serve, serve_all
from plugins.openai.tests.conftest import KEY, openai_client

from callsheet import (
    APIConnectionError,
    APIResponseValidationError,
    BadRequestError,
    CallsheetError,
    ConfigurationError,
    MissingCredentials,
    NotFoundError,
)

MB = 1024 * 1024


@pytest.mark.parametrize("name", CALLS)
async def test_no_key(mode: Mode, server: Server, name: str) -> None:
    client = openai_client(mode, f"{server.url}/v1", api_key=None)
    if name == "relay_sdp with a key":
        serve(server, name)
        assert (await CALLS[name].ask(client)).sdp == ANSWER_SDP  # the ephemeral key is all that is needed
        return
    with pytest.raises(MissingCredentials, match="OPENAI_API_KEY.*api_key=") as caught:
        await CALLS[name].ask(client)
    assert (caught.value.status_code, caught.value.provider) == (401, "openai")
    assert server.seen == []


async def test_a_key_from_the_environment(mode: Mode, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_KEY": "sk-env-0123", "ORG_ID": "org-env", "PROJECT_ID": "proj-env"}.items():
        monkeypatch.setenv(f"OPENAI_{name}", value)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1/")
    serve(server, "chat_completions")
    await CALLS["chat_completions"].ask(openai_client(mode, None, api_key=None))  # type: ignore[arg-type]  # the environment's
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == "Bearer sk-env-0123"
    assert (seen.headers["openai-organization"], seen.headers["openai-project"]) == ("org-env", "proj-env")


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("127.0.0.1:9/v1", "begins with https://"),
        ("ftp://127.0.0.1/v1", "begins with https://"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://127.0.0.1:9/v1?api-version=1", r"must end before any \?"),
        ("http://127.0.0.1:9/v1#top", r"must end before any \?"),
        ("http://user:password@127.0.0.1:9/v1", "user name or a password"),
        ("http://127.0.0.1:99999/v1", "can't be called"),
        ("http://127.0.0.1:x/v1", "can't be called"),
        ("http://[::1/v1", "can't be called"),
    ],
)
async def test_an_address_that_is_none(mode: Mode, base: str, words: str) -> None:
    canned = Canned()
    with pytest.raises(ConfigurationError, match=words) as caught:
        await CALLS["get_video"].ask(openai_client(mode, base, transport=canned))
    assert canned.seen == []
    assert "password@" not in str(caught.value)


@pytest.mark.usefixtures("at_once")
async def test_an_address_where_nobody_is(mode: Mode) -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(APIConnectionError, match="is the server running, and is the base URL right") as caught:
        await CALLS["generate_video"].ask(openai_client(mode, f"{url}/v1"))
    assert caught.value.sent is False


@pytest.mark.parametrize("name", [name for name in CALLS if "with" not in name])
async def test_an_address_where_somebody_else_is(client: Any, server: Server, name: str) -> None:
    serve_all(server, bytes_answer(b"<html>no such page</html>", 404, content_type="text/html"))
    with pytest.raises(NotFoundError, match="is the base URL right"):
        await CALLS[name].ask(client)
    server.seen.clear()
    server.routes.clear()
    with pytest.raises(CallsheetError):  # /v1 was forgotten
        await CALLS[name].ask(client)
    assert len(server.seen) == 1


OPEN = ["http://api.example.com/v1", "http://192.168.0.7:8000/v1", "http://127.0.0.1.example.com/v1", "HTTP://Host/v1"]
HERE = [
    "http://127.0.0.1:8000/v1", "http://localhost/v1", "http://LOCALHOST:80/v1", "http://[::1]:8000/v1",
    "http://127.8.9.1/v1", "http://vllm.localhost/v1", "https://api.example.com/v1",
]  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_a_key_does_not_travel_in_the_open(mode: Mode, name: str) -> None:
    canned = Canned()
    with pytest.raises(ConfigurationError, match="allow_http") as caught:
        await CALLS[name].ask(openai_client(mode, OPEN[0], transport=canned))
    assert canned.seen == []
    assert KEY not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize("base", OPEN + HERE)
async def test_where_a_key_may_travel(mode: Mode, base: str) -> None:
    canned = Canned(document=VIDEO)
    ask = CALLS["get_video"].ask
    if base in OPEN:
        with pytest.raises(ConfigurationError, match="allow_http"):
            await ask(openai_client(mode, base, transport=canned))
        assert canned.seen == []
        await ask(openai_client(mode, base, transport=canned, settings={"allow_http": True}))
        await ask(openai_client(mode, base, transport=canned, api_key="none"))  # what a server without keys is given
        assert len(canned.seen) == 2
    else:
        await ask(openai_client(mode, base, transport=canned))
        assert len(canned.seen) == 1
    assert canned.seen[-1].url.lower() == f"{base.lower()}/videos/{VIDEO['id']}"


LINES = OFFER.split(b"\r\n")
OFFERS: dict[str, tuple[Any, str]] = {
    "a word": ("hello", "no SDP"),
    "nothing": (b"", "no SDP"),
    "JSON": (b'{"type": "offer", "sdp": "v=0"}', "no SDP"),
    "blanks": (b"\r\n" + OFFER, "no SDP"),
    "no UTF-8": (OFFER + b"a=x:\xff\r\n", "not text in UTF-8"),
    "no media": (b"v=0\r\n" + b"\r\n".join(line for line in LINES if line[:2] == b"a=") + b"\r\n", "media sections"),
    "no fingerprint": (b"\r\n".join(line for line in LINES if b"fingerprint" not in line), "fingerprint"),
    "keys": (OFFER + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", "in the open"),
    "too long": (OFFER + b"a=x:y\r\n" * 12_000, "at most 65,536"),
    "a number": (7, "SDP offer is wanted"),
}


@pytest.mark.parametrize("what", OFFERS)
async def test_an_offer_that_is_none(client: Any, server: Server, what: str) -> None:
    offer, words = OFFERS[what]
    with pytest.raises(BadRequestError, match=words) as caught:
        await client.relay_sdp(sdp=offer, model="openai/r-1")
    assert (caught.value.param, caught.value.code, caught.value.status_code) == ("sdp", "invalid_value", 400)
    assert server.seen == []


@pytest.mark.parametrize(
    "offer", [OFFER, OFFER.replace(b"\r\n", b"\n"), OFFER + b"a=odd:\xc3\xa9 \t \r\n", OFFER.decode()]
)
async def test_an_offer_and_its_answer_are_not_touched(client: Any, server: Server, offer: Any) -> None:
    serve(server, "relay_sdp")
    call = await client.relay_sdp(sdp=offer, ephemeral_key="ek_0123456789", provider="openai")
    (seen,) = server.seen
    assert seen.body == (offer.encode() if isinstance(offer, str) else offer)
    assert seen.headers["content-type"] == "application/sdp"
    assert seen.headers["authorization"] == "Bearer ek_0123456789"
    assert call.sdp == ANSWER_SDP


@pytest.mark.parametrize(
    "body", [b"", b"ok", b'{"sdp": "v=0"}', b"<html>", b" v=0\r\n", b"v=", "\ufeffv=0\r\n".encode()]
)
async def test_an_answer_that_is_no_sdp(client: Any, server: Server, body: bytes) -> None:
    server.on("/v1/realtime/calls", bytes_answer(body, 201, content_type="application/sdp", x_request_id="req_1"))
    with pytest.raises(APIResponseValidationError, match="SDP answer was expected") as caught:
        await client.relay_sdp(sdp=OFFER, model="openai/r-1")
    assert (caught.value.request_id, caught.value.should_retry) == ("req_1", False)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("location", "id"),
    [
        ("/v1/realtime/calls/rtc_1", "rtc_1"),
        ("https://elsewhere.example/openai/v1/realtime/calls/rtc_1?x=y#z", "rtc_1"),
        ("/v1/realtime/calls/rtc_1/", "rtc_1"),
        ("rtc_1", "rtc_1"),
        (None, None),
        ("", None),
        ("http://[", None),
    ],
)
async def test_where_a_call_is(client: Any, server: Server, location: str | None, id: str | None) -> None:
    """A call that was answered is paid for: its answer must not be lost for an odd header."""
    headers = {} if location is None else {"location": location}
    server.on("/v1/realtime/calls", bytes_answer(ANSWER_SDP, 201, content_type="application/sdp", **headers))
    call = await client.relay_sdp(sdp=OFFER, model="openai/r-1")
    assert call.sdp == ANSWER_SDP
    if id is None:
        assert call.id is None
        return
    server.on(f"/v1/realtime/calls/{id}/hangup", bytes_answer(b""))
    await client.hang_up(call_id=call)
    assert (server.seen[-1].headers["content-length"], server.seen[-1].body) == ("0", b"")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"ephemeral_key": "ek_0123456789", "session": {"type": "realtime"}}, "session"),
        ({"model": "openai/r-1", "webrtcfilter": True}, "webrtcfilter"),
        ({"ephemeral_key": "ek_0123456789", "webrtcfilter": True}, "webrtcfilter"),
    ],
)
async def test_what_does_not_go_together(client: Any, server: Server, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError, match=param) as caught:
        await client.relay_sdp(sdp=OFFER, provider="openai", **fields)
    assert (caught.value.param, caught.value.provider) == (param, "openai")
    assert server.seen == []
    serve(server, "relay_sdp")
    if fields.get("webrtcfilter"):
        await client.relay_sdp(sdp=OFFER, provider="openai", **{**fields, "webrtcfilter": False})
        assert server.seen[-1].target.partition("?")[2] == ""


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.generate_video(prompt=" ", model="openai/m"),
        lambda client: client.generate_video(prompt="A fox", seconds=0, model="openai/m"),
        lambda client: client.generate_video(prompt="A fox", size="big", model="openai/m"),
        lambda client: client.generate_video(prompt="A fox", input_reference={"image_url": "x", "file_id": "y"}),
        lambda client: client.create_character(name="", video=b"x"),
        lambda client: client.create_character(name="x" * 81, video=b"x"),
        lambda client: client.mint_realtime_secret(expires_after=9),
        lambda client: client.list_videos(limit=101),
        lambda client: client.edit(video={}, prompt="A fox"),
        lambda client: client.responses(input=7),
    ],
)
async def test_what_no_provider_takes(client: Any, server: Server, call: Any) -> None:
    with pytest.raises(BadRequestError) as caught:
        await call(client)
    assert caught.value.param
    assert server.seen == []


@pytest.mark.parametrize("named", ["é", "a\r\nx-evil: 1", " padded ", "half \ud800"])
async def test_a_user_that_no_header_can_name(client: Any, server: Server, named: str) -> None:
    with pytest.raises(BadRequestError, match="travels in a header") as caught:
        await client.mint_realtime_secret(model="m", safety_identifier=named)
    assert (caught.value.param, caught.value.code) == ("safety_identifier", "invalid_value")
    assert caught.value.provider == "openai"
    assert server.seen == []


@pytest.mark.parametrize("source", ["iterable", "file"])
async def test_a_film_of_100_mb_is_streamed(client: Any, server: Server, tmp_path: Any, source: str) -> None:
    serve(server, "create_character")
    piece = bytes(range(256)) * 4096

    class Film:
        def __iter__(self) -> Iterator[bytes]:
            return (piece for _ in range(100))

    film: Any = ("film.mp4", Film())
    if source == "file":
        film = tmp_path / "film.mp4"
        with film.open("wb") as file:
            file.writelines(Film())
    process, most, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], process.memory_info().rss)

    await client.create_character(name="Warm", video=("film.mp4", piece), provider="openai")
    before = process.memory_info().rss
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        await client.create_character(name="Mossy", video=film, provider="openai")
    finally:
        done.set()
        thread.join()
    assert server.seen[-1].whole
    assert 0 < server.seen[-1].size - 100 * MB < 1000
    assert most[0] - before < 20 * MB


async def test_a_picture_that_is_too_large_beside_characters(client: Any, server: Server) -> None:
    with pytest.raises(BadRequestError, match="make it smaller") as caught:
        await client.generate_video(
            prompt="Mossy", model="openai/m", characters=["c1"], input_reference=bytes(16 * MB), provider="openai"
        )
    assert (caught.value.param, caught.value.code) == ("input_reference", "file_too_large")
    assert server.seen == []
