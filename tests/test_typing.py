"""A type checker holds third parties to the contract."""

import subprocess
import sys

import pytest
from core.tests.test_cli.test_new_provider import CACHE

GOOD = """
from callsheet import IO, GenerateVideo, Provider, Video, hookimpl

class Acme(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        reply = await io.post_json("/videos", request.wire())
        return Video.model_validate(reply.json())
"""
USE = """
from callsheet import AsyncClient, Client, Video, aio, generate_video

def f(client: Client) -> Video:
    video: Video = client.generate_video(prompt="a", seconds=4, characters=["c"], model="acme/m", timeout=3)
    client.download_video(video, to="a.mp4").exists()
    with client.download_video(video) as pieces:
        b"".join(pieces)
    return generate_video(prompt="a")

async def g(client: AsyncClient) -> Video:
    await aio.edit(video="v", prompt="p")
    return await client.generate_video(prompt="a", wait=True)
"""
TALK = """
from typing import assert_type

import callsheet
from callsheet import AsyncClient, ChatCompletion, Client, Response, Stream, SyncStream

def f(client: Client, wish: bool) -> None:
    assert_type(client.responses(input="hi"), Response)
    assert_type(client.responses(input="hi", stream=None, store=False), Response)
    assert_type(client.responses(input="hi", stream=True), SyncStream)
    assert_type(client.responses(input="hi", stream=wish), Response | SyncStream)
    assert_type(client.get_response(response_id="r", stream=False), Response)
    assert_type(client.get_response(response_id="r", stream=True, starting_after=3), SyncStream)
    assert_type(client.chat_completions(messages=[]), ChatCompletion)
    assert_type(callsheet.chat_completions(messages=[], stream=True), SyncStream)
    print(client.responses(input="hi", model="acme/m").output_text)

async def g(client: AsyncClient, wish: bool) -> None:
    assert_type(await client.responses(input="hi"), Response)
    assert_type(await client.get_response(response_id="r", stream=True), Stream)
    assert_type(await client.chat_completions(messages=[], stream=wish), ChatCompletion | Stream)
    async for event in await callsheet.aio.responses(input="hi", stream=True):
        print(event.type)
"""
CASES = {
    "good": (GOOD, None),
    "wrong result": (
        GOOD.replace("-> Video", "-> str").replace("return Video.model_validate(reply.json())", 'return ""'),
        "incompatible",
    ),
    "wrong argument": (
        GOOD.replace("request: GenerateVideo", "request: int").replace("request.wire()", "{}"),
        "incompatible",
    ),
    "not async": (GOOD.replace("async def", "def").replace("await ", "").replace("reply.json()", "{}"), "incompatible"),
    "missing argument": (
        GOOD.replace(", io: IO", "").replace('await io.post_json("/videos", request.wire())', "None"),
        "incompatible",
    ),
    "use": (USE, None),
    "wrong use": (USE.replace("seconds=4", "seconds=[4]"), "arg-type"),
    "misspelled use": (USE.replace("timeout=3", "timeuot=3"), "timeuot"),
    "talk": (TALK, None),
    "a stream has no text": (TALK.replace('model="acme/m"', "stream=True"), "output_text"),
    "misspelled talk": (TALK.replace("store=False", "stroe=False"), "stroe"),
    "forgotten await": (USE.replace("await client.generate", "client.generate"), "Coroutine"),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """One run of mypy --strict over all cases."""
    folder = tmp_path_factory.mktemp("adapters")
    for name, (code, _) in CASES.items():
        (folder / f"{name.replace(' ', '_')}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(CACHE)]
    command += ["--no-error-summary", "--show-error-codes", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", CASES)
def test_adapter(reports, name):
    words = CASES[name][1]
    found = [line for line in reports if line.startswith(f"{name.replace(' ', '_')}.py")]
    if words is None:
        assert not found
    else:
        assert any(words in line for line in found), found
