"""The Responses API over the machine: requests checked, answered and kept. Everything here blocks; hooks call it by `io.run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

from attrs import frozen

from callsheet import BadRequestError, NotFoundError
from callsheet import models as m
from callsheet_local.index import Index
from callsheet_local.scribe.checks import (
    MODEL,
    MOST_BYTES,
    check_choice,
    check_metadata,
    check_model,
    check_range,
    check_size,
    read_tools,
    refuse,
)
from callsheet_local.scribe.forms import Form
from callsheet_local.scribe.items import new_id, read_input, turns_of
from callsheet_local.scribe.machine import reply
from callsheet_local.scribe.script import Script, items_for
from callsheet_local.scribe.shelf import Kept, Shelf
from callsheet_local.scribe.talk import Reply, Turn, tokens
from callsheet_local.settings import LocalSettings

__all__ = ["Answered", "Desk"]

JSON = dict[str, Any]
_MOST_CHAIN = 1000
_TOOL_FIELDS = ("description", "parameters", "strict")


@frozen
class Answered:
    """A response that was made: how it goes, and whether it is kept."""

    id: str
    kept: Kept
    stored: bool


@frozen
class Context:
    """What earlier responses said: their turns, and the ids of the calls that were made in them."""

    turns: list[Turn]
    calls: set[str]


class Desk:
    """Answers requests and keeps the answers. `open_index` brings the index when it is first needed."""

    def __init__(self, open_index: Callable[[], Index], settings: LocalSettings) -> None:
        self._open_index, self._settings = open_index, settings
        self._kept_shelf: Shelf | None = None

    @property
    def shelf(self) -> Shelf:
        """What is kept."""
        if self._kept_shelf is None:
            settings = self._settings
            seconds, most = settings.keep_responses_hours * 3600, settings.keep_responses_mb * 1_000_000
            self._kept_shelf = Shelf(self._open_index(), seconds, most)
        return self._kept_shelf

    def answer(self, request: m.CreateResponse, now: float) -> Answered:
        """Make a response: everything that it will say is known at once, only the telling takes time."""
        _check(request)
        tools = read_tools(request.tools, nested=False)
        choice = check_choice(request.tool_choice, tools)
        text = request.text or {}
        form = Form.of(text.get("format"), "text.format", None)
        context = self._context(request.previous_response_id, now)
        read = read_input(cast("str | list[Any]", request.input), lambda id: self.shelf.item(id), context.calls)
        rules = [Turn("system", request.instructions)] if request.instructions else []
        turns = [*rules, *context.turns, *read.turns]
        size = sum(len(turn.text) for turn in turns)
        if size > 4 * MOST_BYTES:
            raise refuse(
                f"the conversation has {size:,} characters; {4 * MOST_BYTES:,} are allowed. Begin a new one, without"
                " previous_response_id",
                "previous_response_id",
                "context_length_exceeded",
            )
        brief = [Turn("system", "Be brief.")] if text.get("verbosity") == "low" else []
        said = shaped(reply([*brief, *turns], tools, choice), read.notes, form, turns)
        items = items_for(said, parallel=request.parallel_tool_calls is not False)
        id, background, stored = new_id("resp"), bool(request.background), request.store is not False
        rate = self._settings.tokens_per_second if request.stream or background else 0.0
        script = Script(_document(id, request, items, turns, now)).limited(request.max_output_tokens)
        kept = Kept(script, read.items, now, rate)
        if script.document["status"] == "completed":
            kept = Kept(Script({**script.document, "completed_at": int(kept.ends)}), read.items, now, rate)
        if stored:
            self.shelf.add(id, kept)
        return Answered(id, kept, stored)

    def _context(self, previous: str | None, now: float) -> Context:
        """The turns of the response that is continued, and of those that it continued."""
        turns: list[list[Turn]] = []
        calls: set[str] = set()
        size = 0
        for id, kept in self._chain(previous):
            document = kept.document(now)
            if document["status"] in {"queued", "in_progress"}:
                raise refuse(
                    f"response {id} is {document['status']}; continue it when it is done", "previous_response_id"
                )
            items = [*kept.input, *document["output"]]
            calls |= {str(item.get("call_id")) for item in items if item.get("type") == "function_call"}
            turns.append(turns_of(items))
            size += sum(len(turn.text) for turn in turns[-1])
            if size > 4 * MOST_BYTES:
                break
        if previous is not None and not turns:
            raise _unknown(previous, "previous_response_id", "previous_response_not_found")
        return Context([turn for group in reversed(turns) for turn in group], calls)

    def _chain(self, id: str | None) -> Iterator[tuple[str, Kept]]:
        """A response and those that it continues, the newest first.

        It ends at one that was deleted or has expired: that one, and what it continued, is forgotten.
        """
        for _ in range(_MOST_CHAIN):
            kept = None if id is None else self.shelf.get(id)
            if id is None or kept is None:
                return
            yield id, kept
            id = kept.whole.document["previous_response_id"]

    def find(self, id: str) -> Kept:
        """A kept response. NotFoundError if there is none."""
        kept = self.shelf.get(id)
        if kept is None:
            raise _unknown(id, "response_id", "response_not_found")
        return kept

    def cancel(self, id: str, now: float) -> JSON:
        """Stop a background response; one that is done stays as it is."""
        kept = self.find(id)
        if not kept.background:
            raise BadRequestError(
                f"response {id} was not made in the background, so there is nothing to cancel; close its stream to stop it",
                param="response_id",
                code="not_in_background",
            )
        return self.shelf.cancel(id, kept, now).document(now)

    def delete(self, id: str) -> None:
        if not self.shelf.remove(id):
            raise _unknown(id, "response_id", "response_not_found")

    def input_items(self, request: m.ListInputItems) -> JSON:
        """A page of what a response was made from, earlier turns included; the newest first unless told otherwise."""
        limit = 20 if request.limit is None else request.limit
        if not 1 <= limit <= 100:
            raise refuse(f"limit is {limit}; it can be 1 to 100", "limit")
        items = self._items_before(request.response_id, newest_first=request.order != "asc")
        if request.after is not None and not any(item.get("id") == request.after for item in items):
            raise refuse(f"there is no item {request.after!r:.70} in this response", "after", "item_not_found")
        page = list(islice(items, limit))  # not more is read than the page needs
        first, last = (page[0].get("id"), page[-1].get("id")) if page else (None, None)
        more = next(items, None) is not None
        return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more}

    def _items_before(self, id: str, newest_first: bool) -> Iterator[JSON]:
        """What a response was asked, and all that was asked and answered in the turns that it continues, each once."""
        self.find(id)
        chain: Iterable[str] = (one for one, _ in self._chain(id))
        seen: set[str] = set()
        for one in chain if newest_first else reversed(list(chain)):
            kept = self.shelf.get(one)
            items = [] if kept is None else kept.input if one == id else [*kept.input, *kept.script.document["output"]]
            for item in reversed(items) if newest_first else items:
                # An item may be sent again, or referred to. Listed twice, it would lead a reader of pages in a circle.
                name = item.get("id")
                if not isinstance(name, str) or name not in seen:
                    yield item
                if isinstance(name, str):
                    seen.add(name)


def shaped(said: Reply, notes: list[str], form: Form | None, turns: list[Turn]) -> Reply:
    """A reply with what could not be read said in it, or in the form that was asked for - then without commentary."""
    if said.calls:
        return said
    if form is not None:
        return Reply(None, form.filled(turns, said.answer))
    return Reply(said.commentary, " ".join([said.answer, *notes])) if notes else said


def _check(request: m.CreateResponse) -> None:
    check_model(request.model)
    if request.input is None or request.input == []:
        raise refuse("input is missing: give a text, or a list of messages", "input", "missing_required_parameter")
    for name in ("conversation", "prompt"):
        if getattr(request, name) is not None:
            raise refuse(f"{MODEL} does not offer {name!r}: use previous_response_id, or send it all as input", name)
    if request.background and request.store is False:
        raise refuse("background needs store: a response that is not kept can't be fetched later", "background")
    check_size(request.input, "input")
    for name in ("instructions", "text", "reasoning", "tool_choice"):
        check_size(getattr(request, name), name)
    if request.truncation not in {None, "auto", "disabled"}:
        raise refuse(f"truncation is {request.truncation!r:.40}; it can be 'auto' or 'disabled'", "truncation")
    check_metadata(request.metadata)
    check_range(request.temperature, 0, 2, "temperature")
    check_range(request.top_p, 0, 1, "top_p")
    check_range(request.max_output_tokens, 1, 10**9, "max_output_tokens")


def _document(id: str, request: m.CreateResponse, items: list[JSON], turns: list[Turn], now: float) -> JSON:
    given = sum(len(tokens(turn.text)) for turn in turns)
    script = Script({"output": items})
    tools = [tool | {name: None for name in _TOOL_FIELDS if name not in tool} for tool in request.tools or ()]
    return {
        "id": id,
        "object": "response",
        "created_at": int(now),
        "completed_at": int(now),
        "status": "completed",
        "background": bool(request.background),
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": MODEL,
        "output": items,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None, **(request.reasoning or {})},
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {
            "format": {"type": "text"},
            **{key: one for key, one in (request.text or {}).items() if one is not None},
        },
        "tool_choice": "auto" if request.tool_choice is None else request.tool_choice,
        "tools": tools,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": script.length,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + script.length,
        },
        "metadata": request.metadata or {},
    }


def _unknown(id: str, param: str, code: str) -> NotFoundError:
    return NotFoundError(
        f"there is no response {id!r:.80} here: it was deleted, has expired, or was made with store: false",
        code=code,
        param=param,
    )
