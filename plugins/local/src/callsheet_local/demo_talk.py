"""The demo's second half: a realtime call over WebRTC, and a conversation whose items go back as they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from callsheet import AsyncClient, Client, Event

if TYPE_CHECKING:
    from callsheet_local.caller import Caller
    from callsheet_local.demo import Stage

__all__ = ["Said", "talk"]

REALTIME, SCRIBE = "local/realtime-1", "local/scribe-1"
Show = Callable[[Event], None]


async def call(client: AsyncClient, caller: Caller) -> str:
    secret = await client.mint_realtime_secret(
        model="local/realtime-1", session={"audio": {"output": {"voice": "sage"}}}
    )
    answered = await client.relay_sdp(sdp=await caller.offer(), ephemeral_key=secret.value)
    await caller.accept(answered.sdp)
    caller.say("What is 6 times 7?")
    spoken = await caller.until("response.output_audio_transcript.done")
    await caller.until("output_audio_buffer.stopped")
    await client.hang_up(call_id=answered)
    return str(spoken["transcript"])


def first_turn(client: Client, items: list[Any], show: Show) -> None:
    items.append({"role": "user", "content": "My name is Ada. What is 12 times 34?"})
    with client.responses(model="local/scribe-1", input=items, stream=True) as stream:
        for event in stream:
            show(event)
    items += event.data["response"]["output"]  # as it came, `phase` included


def second_turn(client: Client, items: list[Any]) -> str:
    items.append({"role": "user", "content": "What is my name?"})
    response = client.responses(model="local/scribe-1", input=items)
    return str(response.output[-1]["content"][0]["text"])


@frozen
class Said:
    """A line of the table at the end."""

    what: str
    where: str
    took: float


def talk(stage: Stage, settings: dict[str, str]) -> list[Said]:
    """Both of it, told as the films were told."""
    return [asyncio.run(_call(stage, settings)), *_conversation(stage, settings)]


async def _call(stage: Stage, settings: dict[str, str]) -> Said:
    from callsheet_local.caller import Caller

    stage.begin("Call it: an ephemeral key, an SDP exchange, sound", "AsyncClient, async", call, "transcript")
    async with AsyncClient(REALTIME, settings=settings) as client, Caller() as caller:
        transcript = await call(client, caller)
    said = Said("realtime call", f"{transcript!r}, heard as {caller.heard}", stage.took())
    stage.say(f"   {said.where}; {len(caller.events)} events over the data channel")
    return said


def _conversation(stage: Stage, settings: dict[str, str]) -> list[Said]:
    with Client(SCRIBE, settings=settings) as client:
        stage.begin("Ask for a response, and watch its phases", "Client, sync", first_turn)
        items: list[Any] = []
        writer = _Writer(stage)
        first_turn(client, items, writer.show)
        writer.end()
        first = Said("response", writer.answer, stage.took())
        stage.begin("Go on: the items went back as they came", "Client, sync", second_turn, "answer")
        answer = second_turn(client, items)
        stage.say(f"   {answer}")
        return [first, Said("response, second turn", answer, stage.took())]


class _Writer:
    """Writes a streamed response as it comes, each message after its phase."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._phase, self.answer = stage, "", ""

    def show(self, event: Event) -> None:
        if event.type == "response.output_item.added":
            self.end()
            self._phase = event.data["item"].get("phase") or ""
            self._write(f"   {self._phase}: ", dim=True)
        elif event.type == "response.output_text.delta":
            delta = event.data["delta"]
            self._write(delta)
            self.answer += delta if self._phase == "final_answer" else ""

    def end(self) -> None:
        if self._phase:
            self._write("\n")
        self._phase = ""

    def _write(self, words: str, **style: Any) -> None:
        if not self._stage.session.json:
            click.secho(words, nl=False, **style)
