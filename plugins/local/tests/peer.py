"""A browser's part, played by aiortc: makes an offer, takes the answer, collects events, sends a tone, measures sound.

    with Peer() as peer:
        offer = peer.offer()                      # blocks until the candidates are in it
        ...                                       # bring it to /realtime/calls, by whatever way
        peer.accept(answer)                       # returns when the data channel is open
        peer.send("response.create")
        done = peer.wait("response.done")

The peer has a loop thread of its own, so that it can be used from sync tests, and beside any event loop.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from callsheet_local.realtime.engine import addresses

RATE = 48_000
FRAME = RATE // 50


class Tone(MediaStreamTrack):
    """A microphone: silence, until it is told to whistle."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.hz, self.left, self.at = 0.0, 0, 0
        self.began = time.monotonic()
        self.muted = False

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self.began + self.at / RATE - time.monotonic()))
        while self.muted:
            await asyncio.sleep(0.01)
        sound = np.zeros(FRAME)
        count = min(FRAME, self.left)
        sound[:count] = 9000 * np.sin(2 * np.pi * self.hz * (np.arange(self.at, self.at + count) / RATE))
        self.left -= count
        frame = av.AudioFrame.from_ndarray(sound.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, Fraction(1, RATE)
        self.at += FRAME
        return frame


class Peer:
    """One end of a call. `audio` is sendrecv, recvonly, sendonly or None."""

    def __init__(self, audio: str | None = "sendrecv", channel: str | None = "oai-events", video: bool = False) -> None:
        self.audio, self.label, self.video = audio, channel, video
        self.call_id = ""
        self.events: list[dict[str, Any]] = []
        self.heard: list[np.ndarray] = []
        self.opened = threading.Event()
        self.closed = threading.Event()
        self.mic = Tone()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="peer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def offer(self, gather: bool = True) -> bytes:
        """An SDP offer. Without `gather`, as it is before any candidate is known."""
        return self._do(self._offer(gather)).encode()

    def accept(self, answer: bytes, timeout: float = 10) -> None:
        """Take the answer, and wait until the data channel is open."""
        self._do(self.pc.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer")))
        if self.label is not None:
            assert self.opened.wait(timeout), f"not open: {self.pc.connectionState} {self.pc.iceConnectionState}"

    def send(self, type: str | None = None, /, **fields: Any) -> None:
        """Send an event."""
        self.send_raw(json.dumps({**({"type": type} if type else {}), **fields}))

    def send_raw(self, message: str | bytes) -> None:
        self._loop.call_soon_threadsafe(self.channel.send, message)

    def wait(self, type: str, timeout: float = 10, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first event of a type, with these fields, from event number `after` on."""

        def found() -> dict[str, Any] | None:
            for event in self.events[after:]:
                if event["type"] == type and all(event.get(name) == value for name, value in fields.items()):
                    return event
            return None

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, timeout), f"no {type} in {self.types(after)}"
            event = found()
        assert event is not None
        return event

    def types(self, after: int = 0) -> list[str]:
        return [event["type"] for event in self.events[after:]]

    def ask(self, text: str, **response: Any) -> dict[str, Any]:
        """Say something, ask for a response and wait until it is done."""
        before = len(self.events)
        content = [{"type": "input_text", "text": text}]
        self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self.send("response.create", **({"response": response} if response else {}))
        return self.wait("response.done", after=before)["response"]

    def whistle(self, hz: float, seconds: float) -> None:
        """Send a tone."""
        self.mic.hz, self.mic.left = hz, int(seconds * RATE)

    def listen(self, seconds: float) -> np.ndarray:
        """What comes in from now on, mono."""
        self.heard.clear()
        time.sleep(seconds)
        return np.concatenate([*self.heard, np.zeros(1)])

    def sound(self) -> np.ndarray:
        """All that came in so far, mono."""
        return np.concatenate([*self.heard, np.zeros(1)])

    def close(self) -> None:
        """Close the connection and the thread."""
        if self._thread.is_alive():
            if hasattr(self, "pc"):
                self._do(self.pc.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(15)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        self._loop.close()

    async def _offer(self, gather: bool) -> str:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.on("track", self._track)
        self.pc.on("connectionstatechange", self._state)
        if self.audio in {"sendrecv", "sendonly"}:
            self.pc.addTransceiver(self.mic, self.audio)
        elif self.audio is not None:
            self.pc.addTransceiver("audio", self.audio)
        if self.video:
            self.pc.addTransceiver("video", "recvonly")
        if self.label is not None:
            self.channel = self.pc.createDataChannel(self.label)
            self.channel.on("open", self.opened.set)
            self.channel.on("message", self._message)
            self.channel.on("close", self.closed.set)
        offer = await self.pc.createOffer()
        with addresses("all"):
            await self.pc.setLocalDescription(offer)
        return self.pc.localDescription.sdp if gather else offer.sdp

    def _state(self) -> None:
        if self.pc.connectionState == "closed":
            self.closed.set()

    def _message(self, message: str) -> None:
        with self._news:
            self.events.append(json.loads(message))
            self._news.notify_all()

    def _track(self, track: MediaStreamTrack) -> None:
        task = self._loop.create_task(self._hear(track))
        self._tasks.add(task)

    async def _hear(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                self.heard.append(frame.to_ndarray().reshape(-1, 2)[:, 0].astype(float))
        except MediaStreamError:
            pass


def connect(relay: Callable[[bytes], Any], peer: Peer, gather: bool = True) -> Any:
    """Bring a peer's offer to something that answers, and its answer back. Returns what that gave."""
    call = relay(peer.offer(gather))
    peer.accept(call.sdp)
    return call


def pitch(sound: np.ndarray) -> float:
    """The strongest frequency, in Hz. Written apart from the provider's: it is the measure that this is tested with."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    power[: int(40 * len(sound) / RATE)] = 0
    return float(np.argmax(power)) * RATE / len(sound)
