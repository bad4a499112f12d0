"""What takes long is worked out beside the loop: calls go on, and whoever does not want it any more does not wait."""

import asyncio
import threading
import time
from typing import Any

import pytest

from callsheet_local.realtime import answering
from callsheet_local.realtime.thinker import Thinker
from callsheet_local.scribe.machine import Reply

from .conftest import Hooks
from .realtime_kit import bench, call


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The rule machine takes long. Set to have it come to an end."""
    enough = threading.Event()

    def think(*_: object) -> Reply:
        assert enough.wait(5)
        return Reply(None, "I have it.")

    monkeypatch.setattr(answering, "reply", think)
    return enough


def test_others_need_not_wait(hooks: Hooks, slow: threading.Event) -> None:
    with call(hooks) as peer, call(hooks) as other:
        peer.send("response.create")
        peer.wait("response.created")
        for one in (peer, other):
            one.send("session.update", session={"instructions": "be brief"})
            one.wait("session.updated", timeout=1)
        slow.set()
        response = peer.wait("response.done")["response"]
        assert response["output"][0]["content"][0]["transcript"] == "I have it."


def test_cancelled_while_it_thinks(hooks: Hooks, slow: threading.Event) -> None:
    with call(hooks) as peer:
        peer.send("response.create")
        peer.wait("response.created")
        peer.send("response.cancel")
        done = peer.wait("response.done", timeout=1)["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert done["output"] == []
        slow.set()
        assert peer.ask("Hello")["status"] == "completed"
        began = time.monotonic()
        hooks.provider.close()
        assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if "thinker" in thread.name]


def test_cancelled_before_it_began() -> None:
    """Nothing is thought then, and nothing said."""

    def never(*_: object) -> Any:
        raise AssertionError("it is to end already")

    async def script(made: Any) -> None:
        made.dialogue.think = never
        made.say("response.create")
        made.say("response.cancel")
        await made.done()
        assert made.types()[1:] == ["response.created", "response.done"]
        assert made.events[-1]["response"]["status"] == "cancelled"
        assert made.dialogue.mouth.hush() == []

    bench(script)()


def test_the_thread() -> None:
    thinker, gate = Thinker("thinker-test"), threading.Event()
    done: list[int] = []

    async def main() -> None:
        first = thinker.think(gate.wait, 5)
        second = thinker.think(done.append, 2)
        third = thinker.think(lambda: 1 / 0)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await first
        with pytest.raises(ZeroDivisionError):
            await third
        gate.clear()
        thinker.think(gate.wait, 5)  # its loop is closed when it comes to an end

    asyncio.run(main())
    gate.set()
    thinker.close()
    assert done == []
    assert not thinker._thread.is_alive()
