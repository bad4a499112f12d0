"""One call: a peer connection, and what is said over it. Lives on the loop thread, from an offer to its end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from callsheet import CallsheetError, InternalServerError
from callsheet_local.realtime.conversation import resampled
from callsheet_local.realtime.dialogue import Dialogue
from callsheet_local.realtime.engine import Ways, addresses
from callsheet_local.realtime.events import Refused, error_event
from callsheet_local.realtime.pitch import RATE, Samples
from callsheet_local.realtime.refusals import refusal, was_closed
from callsheet_local.realtime.sdp import Offer
from callsheet_local.realtime.talk import Talk
from callsheet_local.realtime.thinker import Think
from callsheet_local.realtime.track import VoiceTrack

__all__ = ["Call"]

CONNECT_SECONDS = 30.0
_CLOSE_SECONDS = 3.0
_GAP_SECONDS = 0.1
_MOST_UNSENT = 4_000_000
_log = logging.getLogger("callsheet_local.realtime")


class Call:
    """A call in progress. `ended` is told when it is over, whoever ended it."""

    def __init__(
        self, id: str, session: dict[str, Any], filtered: bool, think: Think, ended: Callable[[Call], None]
    ) -> None:
        self.id = id
        self._filtered, self._think = filtered, think
        self._session, self._ended = session, ended
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN: nothing is asked of anybody else
        self._channel: RTCDataChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._answering: asyncio.Task[str] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._talk: Talk | None = None
        self._voice: VoiceTrack | None = None
        self._opened = asyncio.Event()

    async def answer(self, offer: Offer, ways: Ways, session_seconds: float) -> str:
        """Take an offer, and give the answer with all candidates in it. BadRequestError if aiortc can't take it.

        Whoever cancels this must close the call: the answer itself is made to its end, as aioice loses the sockets that it
        has opened when it is cancelled among its candidates.
        """
        self._answering = asyncio.get_running_loop().create_task(self._answer(offer, ways, session_seconds))
        return await asyncio.shield(self._answering)

    async def _answer(self, offer: Offer, ways: Ways, session_seconds: float) -> str:
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(CONNECT_SECONDS, self._connected_by_now),
            loop.call_later(session_seconds, self.end),
        ]
        self._pc.on("connectionstatechange", self._state_changed)
        self._pc.on("datachannel", self._channel_opened)
        self._pc.on("track", self._track_came)
        audible = any(section.kind == "audio" and section.takes for section in offer.sections)
        dialogue = Dialogue(self._session, self._send, self._start, self._think, audible, self._filtered)
        self._talk = Talk(dialogue)
        if not offer.has_channel:
            self._opened.set()
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
            self._choose(offer, dialogue)
            with addresses(ways):
                await self._pc.setLocalDescription(await self._pc.createAnswer())
            sdp = self._pc.localDescription.sdp
        except CallsheetError:
            raise
        except Exception as error:
            if self._closing is not None:  # that is what aiortc tripped over
                raise was_closed() from None
            # Whatever else it trips over: its words may quote the SDP, so only their kind is told.
            raise refusal(f"it can't be answered ({type(error).__name__})") from None
        if self._closing is not None:
            raise was_closed()
        if "a=candidate:" not in sdp:
            raise InternalServerError(
                "no UDP port could be opened for the call; are there too many open files?", code="no_udp_port"
            )
        return sdp

    def end(self) -> None:
        """Begin to end the call."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def close(self) -> None:
        """End the call and wait until it has ended."""
        self.end()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._answering is not None and not self._answering.done():
            await asyncio.wait([self._answering], timeout=_CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        if self._voice is not None:
            self._voice.stop()
        try:
            if self._channel is not None and self._channel.readyState == "open":
                self._channel.close()
            await asyncio.wait_for(self._pc.close(), _CLOSE_SECONDS)
        except Exception as error:  # aiortc stumbles when it is closed half-built; it has opened nothing by then
            _log.debug("closing a call: %s", type(error).__name__)
        finally:
            self._ended(self)

    def _connected_by_now(self) -> None:
        if self._pc.connectionState != "connected":
            self.end()

    def _state_changed(self) -> None:
        if self._pc.connectionState in {"failed", "closed"}:
            self.end()

    def _choose(self, offer: Offer, dialogue: Dialogue) -> None:
        """Say what is sent and taken: our voice and the peer's, once. Video is declined, and so is a second voice."""
        media = [section for section in offer.sections if section.kind != "application"]
        heard = spoken = False
        for section, transceiver in zip(media, self._pc.getTransceivers(), strict=True):
            hear = section.kind == "audio" and section.sends and not heard
            speak = section.kind == "audio" and section.takes and not spoken
            heard, spoken = heard or hear, spoken or speak
            if speak:
                self._voice = VoiceTrack(dialogue.mouth)
                transceiver.sender.replaceTrack(self._voice)
            _direct(transceiver, hear=hear, speak=speak)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        """The peer's data channel, `oai-events` by custom; the first one counts. Its end is the call's end."""
        if self._channel is not None or self._talk is None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._talk.receive)
        channel.on("close", self.end)
        self._talk.open()
        self._opened.set()

    def _track_came(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._talk is not None:
            self._start(self._listen(track, self._talk))

    async def _listen(self, track: MediaStreamTrack, talk: Talk) -> None:
        """Hear the track from the moment when there is somebody to tell about it."""
        with suppress(MediaStreamError):
            while True:
                try:
                    frame = await asyncio.wait_for(track.recv(), _GAP_SECONDS if talk.hears_sound else None)
                except TimeoutError:  # a peer that falls silent may just send nothing
                    talk.hear(np.zeros(int(RATE * _GAP_SECONDS), np.int16))
                    continue
                if self._opened.is_set() and isinstance(frame, av.AudioFrame):
                    talk.hear(_mono(frame))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _send(self, event: dict[str, Any]) -> None:
        """Send the peer an event, if there is a channel that it can be sent over."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or self._closing is not None:
            return
        try:
            channel.send(json.dumps(event))
        except ValueError:  # longer than the peer takes
            told = Refused("message_too_big", f"the event {event['type']} is longer than your data channel takes")
            with suppress(ValueError):
                channel.send(json.dumps(error_event(told, None)))
        if channel.bufferedAmount > _MOST_UNSENT:  # a peer that does not read
            self.end()


def _direct(transceiver: RTCRtpTransceiver, *, hear: bool, speak: bool) -> None:
    transceiver.direction = {(True, True): "sendrecv", (True, False): "recvonly", (False, True): "sendonly"}.get(
        (hear, speak), "inactive"
    )


def _mono(frame: av.AudioFrame) -> Samples:
    """A decoded frame's sound: 16-bit samples, interleaved."""
    samples = frame.to_ndarray().astype(np.int32).reshape(-1, frame.layout.nb_channels)
    return resampled(samples.mean(axis=1).astype(np.int16), frame.sample_rate)
