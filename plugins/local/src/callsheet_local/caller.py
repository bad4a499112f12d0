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
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from callsheet_local.realtime.engine import addresses
from callsheet_local.realtime.pitch import Measured, Samples, measure

__all__ = ["Caller"]


def _listening(connection: RTCPeerConnection) -> RTCDataChannel:
    connection.addTransceiver("audio", "recvonly")
    return connection.createDataChannel("oai-events")


class Caller:
    """One call. `events` holds what the provider sent, `heard` what it spoke.

    `arrange` says what is offered: it adds tracks to the connection, and returns the channel for events if there is one.
    """

    def __init__(self, arrange: Callable[[RTCPeerConnection], RTCDataChannel | None] = _listening) -> None:
        self.events: list[dict[str, Any]] = []
        self.pieces: list[Samples] = []
        """The sound that came in, silence included: 16-bit mono at 48 kHz, 20 ms each."""
        self._news = asyncio.Condition()
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN: nothing leaves this machine
        self.connection.on("track", lambda track: self._begin(self._listen(track)))
        self.channel = arrange(self.connection)
        if self.channel is not None:
            self.channel.on("open", self._opened.set)
            self.channel.on("message", self._note)

    async def offer(self, *, gather: bool = True) -> bytes:
        """The SDP offer, with all candidates in it; without `gather`, as it is before any is known."""
        offer = await self.connection.createOffer()
        with addresses("all"):
            await self.connection.setLocalDescription(offer)
        return (self.connection.localDescription if gather else offer).sdp.encode()

    async def accept(self, answer: bytes, timeout: float = 10) -> None:
        """Take the SDP answer; returns when events can be sent. TimeoutError after `timeout` seconds."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
        if self.channel is not None:
            await asyncio.wait_for(self._opened.wait(), timeout)

    def send(self, event: dict[str, Any]) -> None:
        """Send a client event."""
        if self.channel is None:
            raise RuntimeError("no channel was arranged: there is no way to send events")
        self.channel.send(json.dumps(event))

    def say(self, text: str) -> None:
        """Say something in writing, and ask for an answer to it."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self.send({"type": "conversation.item.create", "item": item})
        self.send({"type": "response.create"})

    async def until(self, type: str, timeout: float = 20, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first event of a type, with these fields. TimeoutError after `timeout` seconds.

        All that came so far counts. For what is yet to come, say how many events to pass over: `after=len(events)`.
        """

        def fits(event: dict[str, Any]) -> bool:
            return event["type"] == type and all(event.get(name) == value for name, value in fields.items())

        def found() -> dict[str, Any] | None:
            return next(filter(fits, self.events[after:]), None)

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
        loud = [piece for piece in self.pieces if np.abs(piece).max(initial=0) > 500]
        return measure(np.concatenate(loud) if loud else np.zeros(0, np.int16))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._begin(self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):  # the end of the call
            while True:
                frame: Any = await track.recv()
                self.pieces.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
