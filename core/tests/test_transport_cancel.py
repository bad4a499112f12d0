"""A call that is cancelled, wherever it happens to wait, gives everything back: connection, task, thread, file."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from core.tests.conftest import Held, Mode
from core.tests.server import Exchange, Server, events, file_answer, json_answer, sse_answer
from core.tests.wire import KEY, registry

from callsheet import AsyncClient, AsyncTransport, BlockingTransport, Client

GOOD = {"id": "x1", "status": "queued"}
only_async = pytest.mark.parametrize("mode", ["asyncio", "trio"], indirect=True)


@types.coroutine
def interrupted(work: Awaitable[Any], at: int, interrupt: Callable[[], None]) -> Generator[Any, Any, int]:
    """Run some work, and interrupt it when it waits for the `at`-th time. Returns how often it waited."""
    steps = work.__await__()
    waits, value, error = 0, None, None
    while True:
        try:
            trap = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration:
            return waits
        if waits == at:
            interrupt()
        waits += 1
        try:
            value, error = (yield trap), None
        except BaseException as thrown:
            value, error = None, thrown


async def large_json(exchange: Exchange) -> None:
    """An answer in several pieces, with pauses."""
    await exchange.body()
    await exchange.head(200, {"content-length": "3000"})
    for piece in (b'{"id": "x1", "status": "queued", "x": "', b"y" * 2500, b"z" * 459 + b'"}'):
        await exchange.write(piece)
        await asyncio.sleep(0.002)


async def generate(client: AsyncClient, clip: Path) -> None:
    await client.generate_video(prompt="A fox")


async def upload(client: AsyncClient, clip: Path) -> None:
    await client.create_character(name="Luna", video=clip)


async def stream(client: AsyncClient, clip: Path) -> None:
    async with await client.responses(input="hi", stream=True) as got:
        async for _ in got:
            pass


async def download(client: AsyncClient, clip: Path) -> None:
    await client.download_video("v1", provider="wire", to=clip.with_name("out.mp4"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    done = subprocess.run([*command.split(), "-keyout", path, "-out", f"{path}.crt"], capture_output=True, check=True)
    assert done.returncode == 0
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture(params=["http", "https"])
def secured(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[Server, Any]]:
    """A server, and what a client needs to trust it."""
    trust, context = ssl.create_default_context(), None
    if request.param == "https":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        trust = ssl.create_default_context(cafile=str(certificate))
    with Server(tls=context) as server:
        server.on("/videos", large_json)
        server.on("/videos/characters", json_answer(GOOD))
        server.on("/responses", sse_answer(*[events(("e", n)) for n in range(3)], pause=0.002))
        server.on("/videos/v1/content", file_answer(b"film" * 50_000))
        yield server, trust
        assert server.settled(0)


async def cancelled(work: Any, how: str, at: int) -> int:
    """Cancel work at its `at`th await, by the "scope" or the "task" that it runs in.

    Returns how often it waited; when it was cancelled, that is where.
    """
    waits = at + 1
    if how == "scope":
        with anyio.CancelScope() as scope:
            waits = await interrupted(work, at, scope.cancel)
        assert scope.cancelled_caught == (waits == at + 1) or waits > at
        return waits
    task: Any = None

    async def in_task() -> int:
        return await interrupted(work, at, lambda: task.cancel())

    task = asyncio.ensure_future(in_task())
    try:
        return int(await task)
    except asyncio.CancelledError:
        assert task.cancelled()
    return waits


@pytest.mark.parametrize("work", [generate, upload, stream, download], ids=lambda work: work.__name__)
@pytest.mark.parametrize(
    ("mode", "how"), [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")], indirect=["mode"]
)
def test_at_every_await(
    mode: Mode,
    secured: tuple[Server, Any],
    work: Any,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cancelled at each place in turn; then, over the pool's only connection, the next call goes through."""
    server, trust = secured
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 600_000)
    monkeypatch.setattr("callsheet.transport.certificates", lambda: trust)
    monkeypatch.setattr("callsheet.transport._CONNECTIONS", {"max_connections": 1, "max_keepalive_connections": 1})

    async def all_places() -> None:
        await once(10_000)  # warm: what is made once is made now
        held = Held()
        places = 0
        while await once(places) > places:
            places += 1
        assert places >= 8, f"only {places} places: has the counting broken?"
        assert server.settled(0)
        assert held.more() == ""
        if mode.name == "asyncio":
            await anyio.sleep(0)
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    async def once(at: int) -> int:
        async with AsyncClient(
            provider="wire", api_key=KEY, base_url=server.url, registry=registry(), timeout=5
        ) as client:
            waits = await cancelled(work(client, clip), how, at)
            again = await client.responses(input="hi", stream=True, timeout=2)
            assert len([event async for event in again]) == 3
            return waits

    anyio.run(all_places, backend=mode.name)


@only_async
async def test_after_any_delay(client: Any, server: Server, tmp_path: Path) -> None:
    """The same by the clock."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 600_000)
    server.on("/videos", large_json)
    server.on("/videos/characters", json_answer(GOOD))
    for step in range(25):
        for work in (generate, upload):
            with anyio.move_on_after(step * 0.0004):
                await work(client, clip)
    assert server.settled(server.open)
    assert (await client.generate_video(prompt="A fox")).status == "queued"


@only_async
async def test_a_deadline_around_a_call_is_not_ours(client: Any, server: Server) -> None:
    """The caller's own timeout stays the caller's: no APITimeoutError in its place."""
    server.on("/videos", lambda exchange: exchange.gone())
    with pytest.raises(TimeoutError) as caught:
        with anyio.fail_after(0.1):
            await client.generate_video(prompt="A fox", timeout=5)
    assert type(caught.value) is TimeoutError
    assert server.settled(0)


class Stop(BaseException):
    """Like KeyboardInterrupt, without stopping pytest if it gets through."""


@pytest.mark.parametrize("where", ["upload", "progress", "stream", "response"])
@pytest.mark.parametrize("mode", ["blocking"], indirect=True)
async def test_an_interrupt_in_blocking_mode(
    client: Any, server: Server, held: Held, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/videos/characters", json_answer(GOOD))
    server.on("/videos/v1/content", file_answer(b"film" * 50_000))
    server.on("/responses", sse_answer(*[events(("e", n)) for n in range(3)], pause=0.05))
    server.on("/videos", large_json)

    def stop(*_: object, **__: object) -> Iterator[bytes]:
        raise Stop

    def pieces() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise Stop

    with pytest.raises(Stop):
        match where:
            case "upload":
                await client.create_character(name="Luna", video=pieces())
            case "progress":
                await client.download_video("v1", provider="wire", to=tmp_path / "out.mp4", on_bytes=stop)
            case "stream":
                opened = await client.responses(input="hi", stream=True)
                opened.inner._source.tap(stop)
                await anext(opened)
            case "response":
                from callsheet.deadlines import DeadlineStream

                monkeypatch.setattr(DeadlineStream, "read", stop)
                await client.generate_video(prompt="A fox")
    assert not (tmp_path / "out.mp4").exists()
    monkeypatch.undo()
    assert server.settled(0)
    assert held.more() == ""
    assert (await client.generate_video(prompt="A fox")).status == "queued"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_in_a_blocking_call(server: Server) -> None:
    """The real one, in a process of its own: it ends at once, and the connection with it."""
    server.on("/videos", lambda exchange: exchange.gone())
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from callsheet import Client
from core.tests.wire import registry
client = Client(provider="wire", api_key="k", base_url={server.url!r}, registry=registry())
print("ready", flush=True)
try:
    client.generate_video(prompt="A fox")
except KeyboardInterrupt:
    client.close()
    print("interrupted", flush=True)
"""
    with subprocess.Popen([sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert server.settled(1, within=10)
        process.send_signal(2)
        assert process.communicate(timeout=5)[0] == "interrupted\n"
    assert process.returncode == 0
    assert server.settled(0)


def test_transports_of_ones_own_are_closed_by_their_owner(server: Server) -> None:
    server.on("/videos", json_answer(GOOD))
    with httpx.Client() as own:
        with Client(
            provider="wire",
            api_key=KEY,
            base_url=server.url,
            registry=registry(),
            transport=BlockingTransport(client=own),
        ) as client:
            client.generate_video(prompt="A fox")
        assert server.open == 1
    assert server.settled(0)
    assert AsyncTransport(client=object())._own is False
