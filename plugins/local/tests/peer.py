"""A browser's part, played by aiortc: makes an offer, takes the answer, collects events, sends a tone, measures sound.

    with Peer() as peer:
        offer = peer.offer()                      # blocks until the candidates are in it
        ...                                       # bring it to /realtime/calls, by whatever way
        peer.accept(answer)                       # returns when the data channel is open
        peer.send("response.create")
        done = peer.wait("response.done")

It is a Caller in a loop thread of its own, so that it can be used from sync tests, and beside any event loop; with a
microphone, and with offers of all kinds.
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
from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from callsheet_local.caller import Caller

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
        self.closed = threading.Event()
        self.mic = Tone()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="peer", daemon=True)
        self._thread.start()
        self.caller = self._do(self._call())
        self.pc, self.channel, self.events = self.caller.connection, self.caller.channel, self.caller.events

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def offer(self, gather: bool = True) -> bytes:
        """An SDP offer. Without `gather`, as it is before any candidate is known."""
        return self._do(self.caller.offer(gather=gather))

    def accept(self, answer: bytes, timeout: float = 10) -> None:
        """Take the answer, and wait until the data channel is open."""
        try:
            self._do(self.caller.accept(answer, timeout))
        except TimeoutError:
            raise AssertionError(f"not open: {self.pc.connectionState} {self.pc.iceConnectionState}") from None

    def send(self, type: str | None = None, /, **fields: Any) -> None:
        """Send an event."""
        self.send_raw(json.dumps({**({"type": type} if type else {}), **fields}))

    def send_raw(self, message: str | bytes) -> None:
        self._loop.call_soon_threadsafe(self.channel.send, message)

    def wait(self, type: str, timeout: float = 10, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first event of a type, with these fields, from event number `after` on."""
        try:
            return self._do(self.caller.until(type, timeout, after, **fields), timeout)
        except TimeoutError:
            raise AssertionError(f"no {type} in {self.types(after)}") from None

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
        self.forget()
        time.sleep(seconds)
        return self.sound()

    def sound(self) -> np.ndarray:
        """All that came in so far, mono."""
        return np.concatenate([*self.caller.pieces, np.zeros(1)])

    def forget(self) -> None:
        """Begin anew with the sound that comes in."""
        self.caller.pieces.clear()

    def close(self) -> None:
        """Close the connection and the thread."""
        if self._thread.is_alive():
            self._do(self.caller.__aexit__())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _do(self, coroutine: Any, timeout: float = 10) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout + 5)

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

    async def _call(self) -> Caller:
        return Caller(self._arrange)

    def _arrange(self, connection: RTCPeerConnection) -> RTCDataChannel | None:
        connection.on("connectionstatechange", self._state)
        if self.audio is not None:
            connection.addTransceiver(self.mic if self.audio.startswith("send") else "audio", self.audio)
        if self.video:
            connection.addTransceiver("video", "recvonly")
        if self.label is None:
            return None
        channel = connection.createDataChannel(self.label)
        channel.on("close", self.closed.set)
        return channel

    def _state(self) -> None:
        if self.pc.connectionState == "closed":
            self.closed.set()


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
