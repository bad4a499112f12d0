"""What the realtime tests share: an open call, the OpenAI SDK's models as an oracle, a session without a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from openai.types.realtime import realtime_server_event

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
        connected.id = answered.id  # type: ignore[attr-defined]  # for tests that hang up
        connected.accept(answered.sdp)
        yield connected
        for event in connected.events:
            valid(event)


class Bench:
    """A session with no connection: events go in and out as they are."""

    def __init__(self, **session: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.dialogue = Dialogue(session_of(session), self._send, self._start, audible=True)
        self.talk = Talk(self.dialogue)

    def _send(self, event: dict[str, Any]) -> None:
        self.events.append(json.loads(json.dumps(event)))

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    async def done(self) -> None:
        while waiting := [task for task in self.tasks if not task.done()]:
            await asyncio.gather(*waiting)
