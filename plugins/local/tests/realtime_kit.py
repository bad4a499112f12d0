"""What the realtime tests share: an open call, the OpenAI SDK's models as an oracle, a session without a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
from openai.types.realtime import realtime_server_event

from callsheet_local.realtime import answering
from callsheet_local.realtime.dialogue import Dialogue
from callsheet_local.realtime.sessions import session_of
from callsheet_local.realtime.talk import Talk

from .conftest import Hooks
from .peer import Peer

_MODELS = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(realtime_server_event.RealtimeServerEvent)[0])
}


def valid(event: dict[str, Any]) -> None:
    """Whether the OpenAI SDK knows such an event."""
    _MODELS[event["type"]].model_validate(event)


@contextmanager
def call(hooks: Hooks, peer: Peer | None = None, **relay: Any) -> Iterator[Peer]:
    """A peer that is connected; each event it got is held against the SDK's models in the end."""
    with peer or Peer() as connected:
        answered = hooks("relay_sdp", sdp=connected.offer(), **relay)
        connected.call_id = answered.id
        connected.accept(answered.sdp)
        yield connected
        for event in connected.events:
            valid(event)


class Bench:
    """A session with no connection: events go in and out as they are."""

    def __init__(self, **session: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.dialogue = Dialogue(session_of(session), self._send, self._start, inline, audible=True)
        self.talk = Talk(self.dialogue)

    def _send(self, event: dict[str, Any]) -> None:
        self.events.append(json.loads(json.dumps(event)))

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    def say(self, type: str, **fields: Any) -> None:
        """Send an event as a peer would."""
        self.talk.receive(json.dumps({"type": type, **fields}))

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def done(self) -> None:
        while waiting := [task for task in self.tasks if not task.done()]:
            await asyncio.gather(*waiting)


def inline(function: Callable[..., Any], /, *args: object) -> asyncio.Future[Any]:
    """What Thinker.think does, with no thread: nothing here takes long."""
    future = asyncio.get_running_loop().create_future()
    try:
        future.set_result(function(*args))
    except Exception as error:
        future.set_exception(error)
    return future


def message(text: str, role: str = "user", **more) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def bench(script):
    """Run a script against a session without a wire."""

    def run(**session):
        async def main():
            made = Bench(**session)
            made.talk.open()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(answering, "_PACE_SECONDS", 0.001)
                await script(made)
                await made.done()
            for event in made.events:
                valid(event)
                assert event["event_id"].startswith("event_")
            assert len({event["event_id"] for event in made.events}) == len(made.events)

        asyncio.run(main())

    return run


def last_error(made) -> dict[str, Any]:
    assert made.events[-1]["type"] == "error"
    return made.events[-1]["error"]
