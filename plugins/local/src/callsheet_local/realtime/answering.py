"""Responses: one at a time, streamed event by event, spoken if that is wanted, and stopped when somebody says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from callsheet_local.realtime.dialogue import Dialogue
from callsheet_local.realtime.events import Refused, error_event
from callsheet_local.realtime.plans import Plan, plan_of
from callsheet_local.realtime.voice import Utterance, seconds_of
from callsheet_local.scribe.machine import Reply, ToolCall, reply, tokens
from callsheet_local.studio import new_id

__all__ = ["Answers"]

_PACE_SECONDS = 0.01
_MOST_DELTAS = 300
_INPUT_TOKEN_SECONDS, _OUTPUT_TOKEN_SECONDS = 0.1, 0.05


class Answers:
    """The responses of one session."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._active: _Answer | None = None
        self._wanted = False

    def create(self, given: Any) -> None:
        """Begin a response as `response.create` asks. Refused while another is being given."""
        if not self._dialogue.answers:
            raise Refused("invalid_session_type", "a transcription session gives no answers: open one of type realtime")
        if self._active is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"response {self._active.id} is being given: wait for its response.done, or send response.cancel",
            )
        self._begin(plan_of(self._dialogue.session, self._dialogue.conversation, given))

    def want(self) -> None:
        """Begin a response to what was said, or when the one that is being given is over."""
        if self._active is not None:
            self._wanted = True
            return
        try:
            self.create(None)
        except Refused as refused:  # the session says what can't be done
            self._dialogue.send(error_event(refused, None))

    def cancel(self, id: object = None) -> None:
        """Stop the response that is being given, or just its sound. Refused if there is nothing to stop."""
        if self._active is not None and (id is None or id == self._active.id):
            self._active.stop("client_cancelled")
        elif id is not None or not self._hush():
            what = "no response is" if id is None else f"response {id!r:.80} is not"
            param = None if id is None else "response_id"
            raise Refused("response_cancel_not_active", f"{what} being given: there is nothing to cancel", param)

    def clear(self) -> None:
        """Be silent, and stop the response that is being spoken."""
        if self._active is not None and self._active.plan.spoken:
            self._active.stop("client_cancelled")
        else:
            self._hush()

    def interrupt(self) -> None:
        """Somebody else speaks: stop."""
        self._wanted = False
        if self._active is not None:
            self._active.stop("turn_detected")
        else:
            self._hush()

    def _hush(self) -> bool:
        silenced = self._dialogue.mouth.hush()
        for id in silenced:
            self._dialogue.emit("output_audio_buffer.cleared", response_id=id)
        return bool(silenced)

    def _begin(self, plan: Plan) -> None:
        self._active = answer = _Answer(self._dialogue, plan)
        self._dialogue.start(self._give(answer))

    async def _give(self, answer: _Answer) -> None:
        try:
            await answer.give()
        finally:
            self._active = None
        for id in answer.silenced:
            self._dialogue.emit("output_audio_buffer.cleared", response_id=id)
        if self._wanted:
            self._wanted = False
            self.want()


class _Stopped(Exception):
    """The response ends here."""


class _Answer:
    """One response while it is given."""

    def __init__(self, dialogue: Dialogue, plan: Plan) -> None:
        self.id = new_id("resp")
        self.plan = plan
        self.reason: str | None = None
        """Why it ends early: client_cancelled, turn_detected, max_output_tokens."""
        self.silenced: list[str] = []
        self._dialogue = dialogue
        self._output: list[dict[str, Any]] = []
        self._before: dict[str, str | None] = {}
        self._left = plan.most_tokens
        self._text_tokens = 0
        self._spoken: list[str] = []
        self._thinking: asyncio.Future[Reply] | None = None

    def stop(self, reason: str) -> None:
        """Be silent now, and end with the next event."""
        if self.reason is None:
            self.reason = reason
            self.silenced = self._dialogue.mouth.hush()
            if self._thinking is not None:
                self._thinking.cancel()

    async def give(self) -> None:
        """Give the whole response, event by event."""
        self._emit("response.created", response=self._document("in_progress"))
        status = "completed"
        details: dict[str, Any] | None = None
        try:
            await self._all(await self._think())
        except _Stopped:
            status = "incomplete" if self.reason == "max_output_tokens" else "cancelled"
            details = {"type": status, "reason": self.reason}
        except Exception as error:  # a fault of ours: the peer is told, the session goes on
            status, told = "failed", f"a fault in the local provider: {type(error).__name__}"
            details = {"type": "failed", "error": {"type": "server_error", "code": "internal_error", "message": told}}
        self._emit("response.done", response=self._document(status, details))

    async def _think(self) -> Reply:
        """What to say. It may take long to find, and is not waited for when the response is to end."""
        if self.reason is not None:
            raise _Stopped
        self._thinking = self._dialogue.think(reply, self.plan.turns, self.plan.tools, self.plan.tool_choice)
        try:
            await asyncio.wait([self._thinking])
        finally:  # when the call ends, nobody wants to know any more
            self._thinking.cancel()
        if self.reason is not None:
            raise _Stopped
        return self._thinking.result()

    async def _all(self, said: Reply) -> None:
        """The calls, or else the answer. What is planned is not said: there are no phases here to tell it apart by."""
        for call in said.calls:
            await self._call(call)
        if said.answer or not said.calls:
            await self._message(said.answer)

    async def _message(self, text: str) -> None:
        spoken = self.plan.spoken
        part = {"type": "output_audio", "transcript": ""} if spoken else {"type": "output_text", "text": ""}
        key, short = ("transcript", "audio") if spoken else ("text", "text")
        item = self._item("message", role="assistant", content=[])
        where = {"item_id": item["id"], "output_index": len(self._output) - 1, "content_index": 0}
        self._emit("response.content_part.added", **where, part={"type": short, key: ""})
        item["content"].append(part)
        pieces, fits = self._fitting(tokens(text))
        if spoken:
            if self.plan.kept:
                self._dialogue.conversation.speeds[item["id"]] = self.plan.speed
            self._dialogue.say(Utterance(self.id, pieces, self.plan.hz, self.plan.speed))
        stream = "response.output_audio_transcript" if spoken else "response.output_text"
        try:
            async for delta in self._deltas(pieces):
                part[key] += "".join(delta)
                self._spoken += delta if spoken else []
                self._emit(f"{stream}.delta", **where, delta="".join(delta))
        finally:
            if spoken:
                self._emit("response.output_audio.done", **where)
            self._emit(f"{stream}.done", **where, **{key: part[key]})
            self._emit("response.content_part.done", **where, part={"type": short, key: part[key]})
            self._finish(item, whole=fits and self.reason is None)
        self._stop_unless(fits)

    async def _call(self, call: ToolCall) -> None:
        item = self._item("function_call", name=call.name, call_id=new_id("call"), arguments="")
        where = {"item_id": item["id"], "output_index": len(self._output) - 1, "call_id": item["call_id"]}
        pieces, fits = self._fitting(tokens(json.dumps(call.arguments)))
        stream = "response.function_call_arguments"
        try:
            async for delta in self._deltas(pieces):
                item["arguments"] += "".join(delta)
                self._emit(f"{stream}.delta", **where, delta="".join(delta))
        finally:
            self._emit(f"{stream}.done", **where, name=call.name, arguments=item["arguments"])
            self._finish(item, whole=fits and self.reason is None)
        self._stop_unless(fits)

    def _fitting(self, pieces: list[str]) -> tuple[list[str], bool]:
        """As many pieces as `max_output_tokens` leaves room for, and whether that is all of them."""
        if self._left is None:
            return pieces, True
        fitting = pieces[: self._left]
        self._left -= len(fitting)
        return fitting, len(fitting) == len(pieces)

    def _stop_unless(self, fits: bool) -> None:
        if not fits:
            self.reason = self.reason or "max_output_tokens"
            raise _Stopped

    async def _deltas(self, pieces: Sequence[str]) -> AsyncIterator[list[str]]:
        """The pieces, some at a time if there are many. Raises _Stopped as soon as the response is to end."""
        step = 1 + len(pieces) // _MOST_DELTAS
        for start in range(0, len(pieces), step):
            await asyncio.sleep(_PACE_SECONDS)
            if self.reason is not None:
                raise _Stopped
            delta = list(pieces[start : start + step])
            self._text_tokens += len(delta)
            yield delta

    def _item(self, type: str, **fields: Any) -> dict[str, Any]:
        """Begin an item, and put it into the conversation if the response belongs there."""
        item = {"id": new_id("item"), "object": "realtime.item", "type": type, "status": "in_progress", **fields}
        self._output.append(item)
        self._emit("response.output_item.added", output_index=len(self._output) - 1, item=item)
        if self.plan.kept:
            self._before[item["id"]] = before = self._dialogue.conversation.add(item)
            self._dialogue.emit("conversation.item.added", previous_item_id=before, item=item)
        return item

    def _finish(self, item: dict[str, Any], *, whole: bool) -> None:
        item["status"] = "completed" if whole else "incomplete"
        self._emit("response.output_item.done", output_index=self._output.index(item), item=item)
        if self.plan.kept:
            self._dialogue.conversation.weigh(item)
            self._dialogue.emit("conversation.item.done", previous_item_id=self._before[item["id"]], item=item)

    def _emit(self, type: str, **fields: Any) -> None:
        if "response" not in fields:
            fields = {"response_id": self.id, **fields}
        self._dialogue.emit(type, **fields)

    def _document(self, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            **self.plan.document,
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": self._output,
            "usage": None if status == "in_progress" else self._usage(),
        }

    def _usage(self) -> dict[str, Any]:
        text_in = sum(len(tokens(turn.text)) for turn in self.plan.written)
        audio_in = round(self.plan.heard_seconds / _INPUT_TOKEN_SECONDS)
        audio_out = round(seconds_of(self._spoken, self.plan.speed) / _OUTPUT_TOKEN_SECONDS)
        return {
            "total_tokens": text_in + audio_in + self._text_tokens + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": self._text_tokens + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": self._text_tokens, "audio_tokens": audio_out},
        }
