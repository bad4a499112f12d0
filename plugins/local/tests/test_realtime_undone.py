"""Calls whose caller has gone, or whose provider has: nothing is left of them, and the offer is not blamed."""

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest
from aiortc import RTCPeerConnection

from callsheet import APIConnectionError, APITimeoutError, AsyncClient, Client
from callsheet_local.realtime import service
from callsheet_local.realtime.calls import Calls
from callsheet_local.realtime.loop import LoopThread
from callsheet_local.realtime.sdp import read_offer
from callsheet_local.realtime.sessions import session_of
from callsheet_local.realtime.ticket import Ticket

from .conftest import Hooks
from .peer import Peer
from .realtime_kit import inline
from .test_realtime_calls import calls_in, until


@pytest.fixture(scope="module")
def offer() -> Iterator[bytes]:
    with Peer() as peer:
        yield peer.offer()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Answers take a moment. Set when one has begun."""
    begun, create = threading.Event(), RTCPeerConnection.createAnswer

    async def create_slowly(self: RTCPeerConnection) -> Any:
        begun.set()
        await asyncio.sleep(0.15)
        return await create(self)

    monkeypatch.setattr(RTCPeerConnection, "createAnswer", create_slowly)
    return begun


def udp_sockets() -> int:
    return len(psutil.Process().net_connections("udp"))


def test_a_dropped_client_s_calls_end_with_the_process(tmp_path: Path) -> None:
    code = f"""
        import gc, json, sys
        from callsheet import Client
        client = Client(provider="local", settings={{"data_dir": {str(tmp_path)!r}}})
        print(json.dumps(client.relay_sdp(sdp=json.loads(sys.stdin.readline())).sdp.decode()), flush=True)
        del client
        gc.collect()
        sys.stdin.readline()
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    with Peer() as peer, subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(peer.offer().decode()) + "\n")
        child.stdin.flush()
        peer.accept(json.loads(child.stdout.readline()).encode())
        assert not peer.closed.is_set()
        assert child.communicate("\n", timeout=10) == ("", "")
        assert peer.closed.wait(2)


def test_an_engine_is_kept_for_as_long_as_it_runs(hooks: Hooks, offer: bytes) -> None:
    before = set(service._engines)
    hooks("relay_sdp", sdp=offer)
    [engine] = service._engines - before
    assert engine is hooks.provider._realtime._engine  # type: ignore[union-attr]  # it has one now
    hooks.provider.close()
    assert set(service._engines) == before


def test_closed_between_the_hook_and_the_engine(hooks: Hooks, offer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is closed meanwhile does not come back to life for an offer that was on its way."""
    relay, threads = service.Realtime.relay, set(threading.enumerate())

    def late(*args: Any) -> Any:
        hooks.provider.close()
        return relay(*args)

    monkeypatch.setattr(service.Realtime, "relay", late)
    with pytest.raises(APIConnectionError, match="was closed"):
        hooks("relay_sdp", sdp=offer)
    assert set(threading.enumerate()) <= threads


def test_closed_while_an_offer_is_answered(hooks: Hooks, offer: bytes, slow: threading.Event) -> None:
    """The offer is not to blame, and its caller need not wait for a timeout."""
    caught: list[Exception] = []

    def relay() -> None:
        try:
            hooks("relay_sdp", sdp=offer)
        except Exception as error:
            caught.append(error)

    asking = threading.Thread(target=relay)
    asking.start()
    assert slow.wait(10)
    began = time.monotonic()
    hooks.provider.close()
    asking.join(5)
    assert time.monotonic() - began < 2
    assert type(caught[0]) is APIConnectionError
    assert "was closed" in str(caught[0])


def test_closed_calls_and_loops_take_no_more(offer: bytes) -> None:
    calls = Calls(most=1, session_seconds=60, ways="loopback", think=inline)
    loop = LoopThread("test")
    loop.run(calls.close, timeout=5)
    with pytest.raises(APIConnectionError, match="was closed"):
        loop.run(calls.answer, Ticket(), read_offer(offer), session_of({}), False, timeout=5)
    loop.close(calls.close)
    loop.post(lambda: 1 / 0)
    began = time.monotonic()
    with pytest.raises(RuntimeError):
        loop.run(calls.close, timeout=5)
    assert time.monotonic() - began < 1


def given_up(run: Callable[[AsyncClient, bytes], Any], offer: bytes, root: Path, backend: str) -> None:
    """Have a relay cancelled, and see that no call is left of it."""

    others = set(service._engines)

    async def main() -> None:
        async with AsyncClient(provider="local", settings={"data_dir": root}) as client:
            await run(client, offer)
            [engine] = service._engines - others
            with anyio.fail_after(3):
                while engine.calls._live:
                    await anyio.sleep(0.01)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_relay_in_a_cancelled_scope(tmp_path: Path, offer: bytes, slow: threading.Event, backend: str) -> None:
    async def run(client: AsyncClient, offer: bytes) -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(cancel, scope)
                await client.relay_sdp(sdp=offer)
        assert scope.cancelled_caught

    async def cancel(scope: anyio.CancelScope) -> None:
        while not slow.is_set():
            await anyio.sleep(0.01)
        scope.cancel()

    given_up(run, offer, tmp_path, backend)


@pytest.mark.parametrize("seconds", [0.0, 0.14, 0.16])
def test_a_cancelled_relay(tmp_path: Path, offer: bytes, slow: threading.Event, seconds: float) -> None:
    """Cancelled as asyncio does it: nobody waits for the thread then."""

    async def run(client: AsyncClient, offer: bytes) -> None:
        task = asyncio.ensure_future(client.relay_sdp(sdp=offer))
        while not slow.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(seconds)
        task.cancel()
        try:
            await client.hang_up(call_id=await task)
        except asyncio.CancelledError:
            return
        assert seconds > 0.15  # it was done before

    given_up(run, offer, tmp_path, "asyncio")


def test_given_up_before_it_began(hooks: Hooks, offer: bytes) -> None:
    realtime = hooks.provider._open_realtime()
    ticket = Ticket()
    realtime.give_up(ticket)
    loop, calls = realtime._running().loop, realtime._running().calls
    with pytest.raises(APIConnectionError, match="cancelled"):
        loop.run(calls.answer, ticket, read_offer(offer), session_of({}), False, timeout=5)
    assert calls_in(hooks) == 0


def test_an_answer_whose_caller_stopped_waiting_as_it_was_done(
    hooks: Hooks, offer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is over just when the answer is there: it is too late to cancel, so the call is ended."""
    run = LoopThread.run

    def late(self: LoopThread, *args: Any, timeout: float) -> Any:
        run(self, *args, timeout=timeout)
        raise TimeoutError

    monkeypatch.setattr(LoopThread, "run", late)
    with pytest.raises(APITimeoutError):
        hooks("relay_sdp", sdp=offer)
    monkeypatch.undo()
    until(lambda: calls_in(hooks) == 0, 2)


def test_sockets_of_an_answer_that_is_cancelled_among_its_candidates(
    offer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = set(service._engines)
    with Client(provider="local", settings={"data_dir": tmp_path, "ice": "loopback"}) as client:
        client.hang_up(call_id=client.relay_sdp(sdp=offer))
        [engine] = service._engines - others
        loop, before, opened = engine.loop._loop, udp_sockets(), threading.Event()
        create = loop.create_datagram_endpoint

        async def create_slowly(*args: Any, **options: Any) -> Any:
            made = await create(*args, **options)
            opened.set()
            await asyncio.sleep(0.1)
            return made

        monkeypatch.setattr(loop, "create_datagram_endpoint", create_slowly)
        monkeypatch.setattr(service, "_LONGEST_SECONDS", 0.08)
        with pytest.raises(APITimeoutError):
            client.relay_sdp(sdp=offer)
        assert opened.is_set()
        until(lambda: not engine.calls._live, 2)
        until(lambda: udp_sockets() <= before, 2)
