"""No secret in any text, in what Google says and in what is its own: details, operations, addresses with a key in them."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator
from traceback import TracebackException
from typing import Any

import pytest
from core.tests.server import Answer, Server, bytes_answer, json_answer, reset_in_body, sse_answer, stall
from plugins.gemini.tests.conftest import registry
from plugins.openai.tests.calls import CHAT as CHATTED
from plugins.openai.tests.canaries import KEY, TOKEN, check, clean, event, logs, quotes, whole

import callsheet
from callsheet import CallsheetError, Request, Video, VideoFailedError
from callsheet.account import Account
from callsheet_gemini import GeminiProvider, GeminiSettings

__all__ = ["logs"]

SETTINGS = {"headers": {"X-Gateway-Token": TOKEN}}
NAME = "models/veo/operations/op1"
LOOK, START, CHAT, FILM = f"/{NAME}", "/models/veo:predictLongRunning", "/openai/chat/completions", "/files/x:download"
RPC = "type.googleapis.com/google.rpc."
SAID = f"API key not valid: {KEY}, {TOKEN}."
ERROR = {
    "code": 400,
    "message": SAID,
    "status": "INVALID_ARGUMENT",
    "details": [
        {"@type": f"{RPC}ErrorInfo", "reason": KEY, "metadata": {"consumer": TOKEN, KEY: TOKEN}},
        {"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": KEY, "description": SAID}]},
        {"@type": f"{RPC}RetryInfo", "retryDelay": KEY},
        {"@type": f"{RPC}Help", "links": [{"url": f"https://a.example/?key={KEY}"}]},
        {"@type": KEY},
    ],
}
QUOTES: dict[str, Answer] = {
    **quotes(KEY, TOKEN),
    "Google's": json_answer({"error": ERROR}, 400),
    "Google's, in a list": json_answer([{"error": ERROR}], 503),
    "Google's, named after a key": json_answer({"error": {**ERROR, "status": KEY, "code": TOKEN}}, 401),
    "Google's, 200": json_answer({"error": ERROR}),
    "Google's event": event({"error": ERROR}),
    "Google's event, named after a key": event({"error": {"code": KEY, "message": None, "status": TOKEN}}),
}
NOT_OF_A_FILM = {"a kind", "redirect"}
"""Any kind of file may be a film. A redirection of one is the core's affair: see plugins/openai/tests/test_canary.py."""
Ask = Callable[[Any], Awaitable[Any]]
_hello = [{"role": "user", "content": "Hello"}]
STEPS: dict[str, tuple[Ask, str]] = {
    "generate_video": (lambda client: client.generate_video(prompt="A fox", model="gemini/veo"), START),
    "get_video": (lambda client: client.get_video(video_id=NAME, provider="gemini"), LOOK),
    "download_video, look": (lambda client: client.download_video(NAME, provider="gemini"), LOOK),
    "download_video, film": (lambda client: client.download_video(NAME, provider="gemini"), FILM),
    "extend, look": (lambda client: client.extend(video=NAME, prompt="on", provider="gemini"), LOOK),
    "extend, start": (lambda client: client.extend(video=NAME, prompt="on", provider="gemini"), START),
    "chat": (lambda client: client.chat_completions(model="gemini/m", messages=_hello), CHAT),
    "chat streamed": (lambda client: client.chat_completions(model="gemini/m", messages=_hello, stream=True), CHAT),
}
"""How each request is made that an operation makes, and where it arrives."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again without a pause."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def quoted(at: Any, server: Server) -> Any:
    return at(server.url, api_key=KEY, settings=SETTINGS)


def film_at(uri: str) -> Answer:
    result = {"generatedSamples": [{"video": {"uri": uri, "encoding": "video/mp4"}}]}
    return json_answer({"name": NAME, "done": True, "response": {"generateVideoResponse": result}})


def serve_well(server: Server, uri: str = "") -> None:
    server.on(LOOK, film_at(uri or f"{server.url}{FILM}?alt=media"))
    server.on(FILM, bytes_answer(b"a film", content_type="video/mp4"))
    server.on(START, json_answer({"name": NAME}))


@pytest.mark.parametrize("how", QUOTES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_a_vendor_that_quotes_secrets(quoted: Any, server: Server, step: str, how: str) -> None:
    ask, path = STEPS[step]
    if path == FILM and how in NOT_OF_A_FILM:
        return
    serve_well(server)
    server.on(path, QUOTES[how])
    with pytest.raises(CallsheetError) as caught:
        await whole(ask(quoted))
    check(caught.value)
    shown = "authorization" if path == CHAT else "x-goog-api-key"
    assert server.seen[-1].path == path or "redirect" in how
    assert KEY in server.seen[0].headers[shown]
    assert server.seen[0].headers["x-gateway-token"] == TOKEN


@pytest.mark.parametrize("step", STEPS)
async def test_nothing_is_told_where_all_goes_well(quoted: Any, server: Server, step: str) -> None:
    serve_well(server)
    chunk = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\ndata: [DONE]\n\n'
    server.on(CHAT, sse_answer(chunk) if "streamed" in step else json_answer(CHATTED))
    result = await STEPS[step][0](quoted)
    clean(repr(result), repr(getattr(result, "meta", None)))
    if hasattr(result, "__aiter__"):
        async with result:
            clean(*[repr(piece) async for piece in result])


FAILED: dict[str, dict[str, Any]] = {
    "an error": {"error": {"code": 7, "message": SAID}},
    "held back": {"response": {"generateVideoResponse": {"raiMediaFilteredReasons": [SAID]}}},
}


@pytest.mark.parametrize("how", FAILED)
async def test_a_job_that_failed_and_quotes_secrets(quoted: Any, server: Server, how: str) -> None:
    server.on(LOOK, json_answer({"name": NAME, "done": True, **FAILED[how]}))
    with pytest.raises(VideoFailedError) as failed:
        await quoted.wait(NAME, provider="gemini", timeout=5)
    check(failed.value)
    clean(repr(failed.value.video), failed.value.video.model_dump_json())
    for step in ("download_video, look", "extend, look"):
        with pytest.raises(CallsheetError) as refused:
            await STEPS[step][0](quoted)
        check(refused.value)
    video = await quoted.get_video(video_id=NAME, provider="gemini")
    assert isinstance(video, Video)
    clean(repr(video), video.model_dump_json(), pickle.dumps(video))


@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_a_job_that_failed_with_a_secret_for_a_code(quoted: Any, server: Server) -> None:
    server.on(LOOK, json_answer({"name": NAME, "done": True, "error": {"code": KEY, "message": SAID}}))
    clean(repr(await quoted.get_video(video_id=NAME, provider="gemini")))


@pytest.mark.parametrize("name", [KEY, f"{KEY}/x", f"models/{KEY}", "x" * 43 + KEY, "x" * 400 + KEY, 7])
@pytest.mark.parametrize("step", ["generate_video", "get_video"])
async def test_a_name_that_is_a_secret(quoted: Any, server: Server, step: str, name: object) -> None:
    server.on(STEPS[step][1], json_answer({"name": name, "done": KEY, "error": KEY}))
    with pytest.raises(CallsheetError) as caught:
        await STEPS[step][0](quoted)
    check(caught.value)


ENCODED = KEY.replace("s", "%73", 1)


@pytest.mark.parametrize("query", [f"?alt=media&key={KEY}", f"?key={TOKEN}", f"?key={ENCODED}&alt=media", f"?{KEY}"])
async def test_a_film_at_home_with_a_key_in_its_address(quoted: Any, server: Server, query: str) -> None:
    """Addresses are logged by httpx and by servers, so that the key goes in its header only."""
    serve_well(server, f"{server.url}{FILM}{query}")
    film = await STEPS["download_video, film"][0](quoted)
    clean(repr(film), repr(film.meta))
    async with film:
        assert b"".join([piece async for piece in film]) == b"a film"
    assert server.seen[-1].target == FILM + ("?alt=media" if "alt" in query else "")
    assert server.seen[-1].headers["x-goog-api-key"] == KEY
    server.on(FILM, json_answer({"error": ERROR}, 404))
    with pytest.raises(CallsheetError) as caught:
        await STEPS["download_video, film"][0](quoted)
    check(caught.value)
    clean(repr(await STEPS["extend, start"][0](quoted)), server.seen[-1].body)


@pytest.mark.parametrize("key", [KEY, TOKEN, ENCODED])
async def test_a_film_elsewhere_never_gets_the_key(quoted: Any, server: Server, other: Server, key: str) -> None:
    serve_well(server, f"{other.url}/cdn/film?sig=1&key={key}")
    other.on("/cdn/film", bytes_answer(b"a film", content_type="video/mp4"))
    await whole(STEPS["download_video, film"][0](quoted))
    clean(other.seen[0].raw_head)
    assert other.seen[0].target == "/cdn/film?sig=1"
    serve_well(server, f"{other.url}/cdn/{key}")
    with pytest.raises(CallsheetError) as caught:
        await STEPS["download_video, film"][0](quoted)
    check(caught.value)
    serve_well(server)
    server.on(FILM, bytes_answer(b"", 302, location=f"{other.url}/cdn/film?key={key}"))
    with pytest.raises(CallsheetError) as caught:
        await STEPS["download_video, film"][0](quoted)
    check(caught.value)
    assert len(other.seen) == 1


@pytest.mark.parametrize(
    "uri",
    [
        f"gs://bucket/{KEY}", f"x?key={KEY}", f"http://[{KEY}", f"http://{KEY}:{TOKEN}@127.0.0.1:9/x",
        f"gs://bucket/{'x' * 30}?key={KEY}", f"file:///{'x' * 37}{KEY}", f"http://127.0.0.1:{KEY}/x", KEY,
        f"ftp://{KEY}.example/", f"http://127.0.0.1:0/?key={KEY}",
    ],
)  # fmt: skip
async def test_addresses_that_nobody_follows(quoted: Any, server: Server, uri: str) -> None:
    serve_well(server, uri)
    with pytest.raises(CallsheetError) as caught:
        await STEPS["download_video, film"][0](quoted)
    check(caught.value)
    clean(repr(await STEPS["extend, start"][0](quoted)))  # there the address is the vendor's affair


def test_what_is_shown_of_objects(tmp_path: Any) -> None:
    options = {**SETTINGS, "data_dir": tmp_path}
    account = Account.of("gemini", GeminiSettings, {"api_key": KEY, **options}, environ={})
    provider = GeminiProvider(account.settings)
    made: dict[str, Any] = {"api_key": KEY, "settings": options, "registry": registry()}
    plain, later = callsheet.Client("gemini/veo", **made), callsheet.AsyncClient("gemini/veo", **made)
    sent = Request("POST", START, {"x-goog-api-key": KEY})
    for thing in (account, account.settings, provider, plain, later, sent):
        clean(repr(thing), str(thing), f"{thing}", repr([thing]))
    clean(plain.accounts, plain.router, plain.providers(), account.id, account.tag)
    clean(account.settings.model_dump_json(exclude={"headers"}))
    for client in (plain, later):
        with pytest.raises(TypeError):
            pickle.dumps(client)
    plain.close()


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": f"{KEY}\n"},
        {"settings": {"headers": {"X-Gateway-Token": f"{TOKEN}\r\nX: y"}}},
        {"base_url": f"http://{KEY}:{TOKEN}@127.0.0.1:9"},
        {"base_url": f"http://127.0.0.1:9/v1beta?key={KEY}"},
        {"base_url": f"http://[{KEY}/v1beta"},
        {"base_url": KEY},
        {"settings": {"api_kee": KEY}},
        {"settings": {"data_dir": [KEY]}},
    ],
)
@pytest.mark.parametrize("step", ["generate_video", "download_video, look", "chat"])
async def test_a_secret_in_the_wrong_place(at: Any, options: dict[str, Any], step: str) -> None:
    given = {"api_key": KEY, **options}
    with pytest.raises(CallsheetError) as caught:
        await STEPS[step][0](at(given.pop("base_url", "http://127.0.0.1:9"), **given))
    check(caught.value)


@pytest.mark.parametrize("step", ["generate_video", "download_video, film", "extend, start", "chat"])
@pytest.mark.parametrize("what", ["refused", "400", "cut", "too late", "unreadable"])
async def test_locals_in_tracebacks(at: Any, server: Server, what: str, step: str) -> None:
    """As programs log them that report their errors somewhere. (What the program itself holds is its own affair.)"""
    ask, path = STEPS[step]
    serve_well(server, f"{server.url}{FILM}?alt=media&key={KEY}")
    answers = {"400": QUOTES["Google's"], "cut": reset_in_body, "too late": stall}
    server.on(path, answers.get(what, json_answer([])))
    client = at("http://127.0.0.1:9" if what == "refused" else server.url, api_key=KEY, settings=SETTINGS, timeout=0.3)
    with pytest.raises(CallsheetError) as caught:
        await whole(ask(client))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    seen: TracebackException | None = told
    while seen is not None:
        for frame in seen.stack:
            if "/tests/" not in frame.filename:
                clean(f"{frame.filename}:{frame.lineno} {frame.locals}")
        seen = seen.__cause__ or seen.__context__
