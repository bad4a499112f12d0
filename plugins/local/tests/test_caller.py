"""The calling side. The realtime tests make all their calls with it; here is what they don't need."""

import asyncio
import json

import pytest
from aiortc import RTCPeerConnection

from callsheet_local.caller import Caller


def test_waiting_for_events() -> None:
    async def main() -> None:
        async with Caller() as caller:
            for response in ("r1", "r2"):
                caller._note(json.dumps({"type": "response.done", "response_id": response}))
            assert (await caller.until("response.done"))["response_id"] == "r1"
            assert (await caller.until("response.done", after=1))["response_id"] == "r2"
            assert (await caller.until("response.done", response_id="r2"))["response_id"] == "r2"
            coming = asyncio.ensure_future(caller.until("response.done", after=len(caller.events)))
            await asyncio.sleep(0.01)
            assert not coming.done()
            caller._note(json.dumps({"type": "response.done", "response_id": "r3"}))
            assert (await coming)["response_id"] == "r3"
            with pytest.raises(TimeoutError):
                await caller.until("response.done", timeout=0.01, after=3)

    asyncio.run(main())


def test_without_a_channel() -> None:
    def silent(connection: RTCPeerConnection) -> None:
        connection.addTransceiver("audio", "recvonly")

    async def main() -> None:
        async with Caller(silent) as caller:
            assert b"m=application" not in await caller.offer(gather=False)
            with pytest.raises(RuntimeError, match="no channel"):
                caller.say("Hello")

    asyncio.run(main())
