"""What the provider's hooks for responses and chat do: the blocking work by `io.run`, the telling by streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from callsheet import IO, Event, Stream
from callsheet import models as m
from callsheet_local.index import Closed
from callsheet_local.scribe.chat import Chat
from callsheet_local.scribe.desk import Answered, Desk
from callsheet_local.scribe.pace import Followed, Paced
from callsheet_local.scribe.shelf import Kept

__all__ = ["chat_completions", "get_response", "responses"]


async def responses(desk: Desk, request: m.CreateResponse, io: IO) -> m.Response | Stream:
    """A response, told at once or piece by piece."""
    answered = await io.run(desk.answer, request, io.now())
    kept = answered.kept
    if not request.stream:
        return m.Response(kept.document(io.now()))
    if kept.background:
        return _followed(desk, answered.id, kept, 0, io)

    def stop() -> None:
        # Not by `io.run`: in a cancelled scope its thread would not even begin, and the response would go on as if
        # somebody listened. One row is written instead, right here.
        if answered.stored:
            with suppress(Closed):  # the client went first: its streams end with it, and open nothing again
                desk.shelf.cancel(answered.id, kept, io.now())

    return Stream(Paced(io, _timed(answered), stop))


def _timed(answered: Answered) -> Iterator[tuple[Event, float]]:
    kept = answered.kept
    for beat in kept.whole.beats():
        yield Event.of(beat.type, beat.document), kept.due(beat) - kept.created_at


async def get_response(desk: Desk, request: m.GetResponse, io: IO) -> m.Response | Stream:
    """A kept response as it is now, or its events from one on."""
    kept = await io.run(desk.find, request.response_id)
    if not request.stream:
        return m.Response(kept.document(io.now()))
    after = -1 if request.starting_after is None else max(-1, request.starting_after)
    return _followed(desk, request.response_id, kept, after + 1, io)


def _followed(desk: Desk, id: str, kept: Kept, given: int, io: IO) -> Stream:
    async def look() -> Kept:
        return await io.run(desk.find, id)

    return Stream(Followed(io, kept, look, given))


async def chat_completions(request: m.CreateChatCompletion, io: IO, rate: float) -> m.ChatCompletion | Stream:
    """A chat completion, told at once or in chunks."""
    chat = await io.run(Chat.of, request, io.now())
    return Stream(Paced(io, chat.chunks(rate))) if request.stream else m.ChatCompletion(chat.document())
