"""Calls from their beginning to their end, over a real connection on this machine."""

import asyncio
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path

import aioice.ice
import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest

from callsheet import APITimeoutError, AsyncClient, BadRequestError, Client, NotFoundError, RateLimitError
from callsheet_local.realtime import call as call_module
from callsheet_local.realtime import engine

from .conftest import Hooks
from .peer import Peer
from .realtime_kit import call

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def calls_in(hooks: Hooks) -> int:
    realtime = hooks.provider._realtime
    return 0 if realtime is None or realtime._engine is None else len(realtime._engine.calls._live)


def until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("audio", ["sendrecv", "recvonly", "sendonly", None])
def test_offers_of_all_kinds_connect_and_are_answered(hooks: Hooks, audio: str | None) -> None:
    with call(hooks, Peer(audio=audio)) as peer:
        assert peer.ask("What is 2 + 3?")["output"][0]["content"][0]["transcript"] == "2 + 3 = 5."
        assert ("output_audio_buffer.started" in peer.types()) == (audio in {"sendrecv", "recvonly"})


@pytest.mark.parametrize("local", [False, True])
def test_an_offer_without_candidates_connects(hooks: Hooks, local: bool) -> None:
    """As browsers send it at once; or when all that they say is a .local name, and that there is nothing else."""
    with Peer() as peer:
        offer = peer.offer(gather=False) if not local else peer.offer()
        if local:
            text = re.sub(r"(a=candidate:\S+ 1 udp \d+ )\S+", r"\g<1>5bb3b0c8-0f3b-4b3e.local", offer.decode())
            assert ".local" in text
            assert "a=end-of-candidates" in text
            offer = text.encode()
        began = time.monotonic()
        answered = hooks("relay_sdp", sdp=offer)
        assert time.monotonic() - began < 0.9  # asking for a .local name takes a second
        peer.accept(answered.sdp)
        peer.wait("session.created")


def test_hang_up_is_seen_by_the_peer(hooks: Hooks) -> None:
    with call(hooks) as peer:
        hooks("hang_up", call_id=peer.call_id)
        assert peer.closed.wait(5)
        with pytest.raises(NotFoundError) as caught:
            hooks("hang_up", call_id=peer.call_id)
    assert caught.value.code == "call_not_found"
    assert calls_in(hooks) == 0


def test_hanging_up_what_never_was(hooks: Hooks) -> None:
    with pytest.raises(NotFoundError, match="another process holds it"):
        hooks("hang_up", call_id="rtc_none")
    assert threading.active_count() == len([t for t in threading.enumerate() if "realtime" not in t.name])


@pytest.mark.parametrize("how", ["connection", "channel"])
def test_the_peer_closes(hooks: Hooks, how: str) -> None:
    with call(hooks) as peer:
        if how == "connection":
            peer.close()
        else:
            peer._loop.call_soon_threadsafe(peer.channel.close)
        until(lambda: calls_in(hooks) == 0)


def test_a_peer_that_never_comes_is_forgotten(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call_module.CONNECT_SECONDS == 30
    monkeypatch.setattr(call_module, "CONNECT_SECONDS", 0.2)
    with Peer() as peer:
        hooks("relay_sdp", sdp=peer.offer())
        assert calls_in(hooks) == 1
        until(lambda: calls_in(hooks) == 0, 2)
        with call(hooks) as other:  # one that comes stays
            time.sleep(0.3)
            other.ask("Hello")


def test_a_session_ends_when_its_time_is_over(tmp_path: Path) -> None:
    hooks = Hooks(data_dir=tmp_path, session_minutes=0.5 / 60)
    try:
        with call(hooks) as peer:
            assert peer.wait("session.created")["session"]["expires_at"] <= time.time() + 1
            assert peer.closed.wait(3)
            until(lambda: calls_in(hooks) == 0)
    finally:
        hooks.provider.close()


def test_the_eleventh_session(hooks: Hooks) -> None:
    with Peer() as peer:
        offer = peer.offer()
        ids = [hooks("relay_sdp", sdp=offer).id for _ in range(10)]
        with pytest.raises(RateLimitError, match="max_sessions: 10") as caught:
            hooks("relay_sdp", sdp=offer)
        assert (caught.value.code, caught.value.retry_after) == ("too_many_sessions", 5)
        hooks("hang_up", call_id=ids[3])
        with pytest.raises(BadRequestError):  # a bad offer takes no place
            hooks("relay_sdp", sdp=offer.replace(b"a=rtcp-mux", b"a=x"))
        ids[3] = hooks("relay_sdp", sdp=offer).id
        assert calls_in(hooks) == 10


def test_ten_calls_at_once(hooks: Hooks) -> None:
    peers = [Peer(audio=None) for _ in range(10)]  # with sound, ten peers in one process are too much for two cores
    try:
        for peer in peers:
            peer.accept(hooks("relay_sdp", sdp=peer.offer()).sdp)
        for peer in peers:
            assert peer.ask("Say: hi", output_modalities=["text"])["status"] == "completed"
    finally:
        for peer in peers:
            peer.close()
    until(lambda: calls_in(hooks) == 0)


def test_close_leaves_nothing(tmp_path: Path) -> None:
    threads, sockets = set(threading.enumerate()), len(psutil.Process().net_connections("udp"))
    hooks = Hooks(data_dir=tmp_path)
    with call(hooks) as peer:
        with Peer() as other:
            hooks("relay_sdp", sdp=other.offer())  # one that is never connected
        peer.whistle(440, 5)
        peer.ask("count to 50")
        realtime = hooks.provider._realtime
        assert realtime is not None
        assert realtime._engine is not None
        loop = realtime._engine.loop._loop
        began = time.monotonic()
        hooks.provider.close()
        assert time.monotonic() - began < 2
        assert peer.closed.wait(5)
        assert loop.is_closed()
        assert not asyncio.all_tasks(loop)
    until(lambda: set(threading.enumerate()) <= threads)
    until(lambda: len(psutil.Process().net_connections("udp")) <= sockets)  # closing takes the loop a turn or two
    with Peer() as peer:  # and it can be used again
        assert hooks("relay_sdp", sdp=peer.offer()).id
    hooks.provider.close()


def test_sync_and_async_clients(tmp_path: Path, anyio_backend) -> None:
    """The hooks are the same; what waits is a worker thread."""
    import anyio

    async def run() -> None:
        async with AsyncClient(provider="local", settings={"data_dir": tmp_path}) as client:
            with Peer() as peer:
                offer = await anyio.to_thread.run_sync(peer.offer)
                secret = await client.mint_realtime_secret(session={"type": "realtime"})
                answered = await client.relay_sdp(sdp=offer, ephemeral_key=secret.value)
                await anyio.to_thread.run_sync(peer.accept, answered.sdp)
                await anyio.to_thread.run_sync(partial(peer.wait, "session.created"))
                await client.hang_up(call_id=str(answered.id))
                assert peer.closed.wait(5)

    anyio.run(run, backend=anyio_backend[0] if isinstance(anyio_backend, tuple) else anyio_backend)
    with Client(provider="local", settings={"data_dir": tmp_path}) as client, Peer() as peer:
        answered = client.relay_sdp(sdp=peer.offer(), session={"type": "realtime", "instructions": "direct"})
        peer.accept(answered.sdp)
        assert peer.wait("session.created")["session"]["instructions"] == "direct"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


def test_an_answer_that_takes_too_long(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    from callsheet_local.realtime import service

    async def slow(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(service, "_LONGEST_SECONDS", 0.1)
    monkeypatch.setattr(call_module.Call, "answer", slow)
    with Peer() as peer, pytest.raises(APITimeoutError, match="too busy"):
        hooks("relay_sdp", sdp=peer.offer())
    until(lambda: calls_in(hooks) == 0)


def test_the_patch_of_aioice_holds_and_leaves_others_alone() -> None:
    assert aioice.ice.get_host_addresses is engine._host_addresses
    assert engine._found is not None
    others = engine._found(use_ipv4=True, use_ipv6=True)
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == others
    with engine.addresses("all"):
        assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1", *others]
    with engine.addresses("loopback"):
        assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]


ALONE = """
    import sys, time, importlib
    sys.path.insert(0, {root!r})
    started = time.perf_counter()
    kit = importlib.import_module("plugins.local.tests.conftest")
    peers = importlib.import_module("plugins.local.tests.peer")
    hooks = kit.Hooks(data_dir={data!r})
    peer = peers.Peer()
    answered = hooks("relay_sdp", sdp=peer.offer())
    peer.accept(answered.sdp)
    peer.wait("session.created")
    {then}
    print("fine", flush=True)
"""


def alone(tmp_path: Path, then: str, *before: str) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(ALONE).format(root=str(ROOT), data=str(tmp_path), then=then)
    return subprocess.run(
        [*before, sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_process_with_a_live_session_ends_at_once(tmp_path: Path) -> None:
    then = 'peer.whistle(440, 5); peer.send("response.create"); peer.wait("response.created")'
    code = textwrap.dedent(ALONE).format(root=str(ROOT), data=str(tmp_path), then=then)
    with subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "fine\n"
        began = time.monotonic()
        rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, ("", ""))
    assert time.monotonic() - began < 2


def test_a_machine_with_only_loopback(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("there is no unshare or no ip here")
    if subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network namespace")
    done = alone(
        tmp_path, 'assert peer.ask("What is 2 + 3?")', "unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "x"
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_forked_child_has_calls_of_its_own(tmp_path: Path) -> None:
    then = """import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if not child:
    code = 1
    try:
        try:
            hooks("hang_up", call_id=answered.id)
        except Exception as error:
            assert "another process holds it" in str(error)
        hooks("hang_up", call_id=hooks("relay_sdp", sdp=answered_offer).id)
        hooks.provider.close()
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
peer.ask("Hello")
"""
    code = textwrap.dedent(ALONE).format(root=str(ROOT), data=str(tmp_path), then="pass")
    code = code.replace("sdp=peer.offer())", "sdp=(answered_offer := peer.offer()))").replace("pass\n", then + "\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_importing_the_plugin_stays_light() -> None:
    code = "import sys, callsheet_local.provider; print([n for n in ('aiortc', 'av', 'numpy') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
