"""The calling side of a realtime call, played by aiortc: what a browser does with RTCPeerConnection, in Python.

async with Caller() as caller:
    call = await client.relay_sdp(sdp=await caller.offer(), ephemeral_key=secret.value)
    await caller.accept(call.sdp)
    caller.say("What is 6 times 7?")
    done = await caller.until("response.done")
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from callsheet_local.realtime.engine import addresses
from callsheet_local.realtime.pitch import Measured, Samples, measure

__all__ = ["Caller"]


class Caller:
    """One call. `events` holds what the provider sent, `heard` what it spoke."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._pieces: list[Samples] = []
        self._news = asyncio.Condition()
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN: nothing leaves this machine
        self._connection.addTransceiver("audio", "recvonly")
        self._connection.on("track", lambda track: self._begin(self._listen(track)))
        self._channel = self._connection.createDataChannel("oai-events")
        self._channel.on("open", self._opened.set)
        self._channel.on("message", lambda message: self._begin(self._note(message)))

    async def offer(self) -> bytes:
        """The SDP offer, with all candidates in it."""
        with addresses("all"):
            await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp.encode()

    async def accept(self, answer: bytes, timeout: float = 10) -> None:
        """Take the SDP answer; returns when events can be sent. TimeoutError after `timeout` seconds."""
        await self._connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
        await asyncio.wait_for(self._opened.wait(), timeout)

    def send(self, event: dict[str, Any]) -> None:
        """Send a client event."""
        self._channel.send(json.dumps(event))

    def say(self, text: str) -> None:
        """Say something in writing, and ask for an answer to it."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self.send({"type": "conversation.item.create", "item": item})
        self.send({"type": "response.create"})

    async def until(self, type: str, timeout: float = 20) -> dict[str, Any]:
        """The first event of a type. TimeoutError after `timeout` seconds."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events if event["type"] == type), None)

        async def wait() -> dict[str, Any]:
            async with self._news:
                await self._news.wait_for(lambda: found() is not None)
            event = found()
            assert event is not None
            return event

        return await asyncio.wait_for(wait(), timeout)

    @property
    def heard(self) -> Measured:
        """What was spoken: the pitch and the seconds of what came in and was not silence."""
        loud = [piece for piece in self._pieces if np.abs(piece).max(initial=0) > 500]
        return measure(np.concatenate(loud) if loud else np.zeros(0, np.int16))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _note(self, message: str) -> None:
        async with self._news:
            self.events.append(json.loads(message))
            self._news.notify_all()

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):  # the end of the call
            while True:
                frame: Any = await track.recv()
                self._pieces.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
