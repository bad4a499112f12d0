"""Ways to spoil Callsheet on purpose. A matrix that does not notice one of them proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from tests.faults.cells import Cell

from callsheet import APIError, envelope, errors, event_stream, ids, io, operations, spec, transport
from callsheet.models.base import Meta
from callsheet.routing import backend, directory, retry, router
from callsheet_gemini import GeminiProvider

__all__ = ["BREAKS", "Break"]

Patch = Callable[[Any, str, Any], None]
"""Puts a value in place of an attribute, until the cell is over."""


@frozen
class Break:
    """One way to spoil it, a cell that must notice, and what it must say."""

    spoil: Callable[[Patch], None]
    cell: Cell
    words: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        replaced: list[tuple[Any, str, Any]] = []

        def patch(target: Any, name: str, value: Any) -> None:
            replaced.append((target, name, getattr(target, name)))
            setattr(target, name, value)

        self.spoil(patch)
        try:
            yield
        finally:
            for target, name, value in reversed(replaced):
                setattr(target, name, value)


def send_again_blindly(patch: Patch) -> None:
    """After any failure the request is sent again."""
    patch(operations.Operation, "may_resend_blindly", lambda *_: True)


def take_refusals_for_nothing(patch: Patch) -> None:
    """A call is offered again after a refusal."""
    patch(retry, "_allowed", lambda *_: True)


def leave_connections_open(patch: Patch) -> None:
    """An answer that was not read to its end keeps its connection."""

    async def kept(self: Any) -> None:
        _alive.append(self)

    patch(transport._BlockingIncoming, "aclose", kept)


_alive: list[Any] = []


def quote_keys(patch: Patch) -> None:
    """What an upstream says is repeated as it is, keys included."""
    patch(io.IO, "secrets", lambda *_: [])


def wait_for_each_read(patch: Patch) -> None:
    """The deadline holds for one read, not for all."""
    real = transport._BlockingIncoming.read

    async def read(self: Any, _deadline: float) -> bytes:
        return await real(self, time.monotonic() + 0.3)

    patch(transport._BlockingIncoming, "read", read)


def ignore_hints(patch: Patch) -> None:
    """Attempts follow each other at once, whatever pause was asked for."""
    real = retry.delay_before_retry
    patch(retry, "delay_before_retry", lambda *arguments: None if real(*arguments) is None else 0.0)


def take_any_end(patch: Patch) -> None:
    """A stream that ends in the middle is a stream that ends."""
    real = event_stream.Checked.__anext__

    async def following(self: Any) -> Any:
        try:
            return await real(self)
        except APIError:
            raise StopAsyncIteration from None

    patch(event_stream.Checked, "__anext__", following)


def advise_retries(patch: Patch) -> None:
    """Errors don't say that one had better not try again."""
    real = errors.APIError.__setattr__

    def set_only_others(self: Any, name: str, value: Any) -> None:
        real(self, name, None if name == "should_retry" else value)

    patch(errors.APIError, "__setattr__", set_only_others)


def carry_keys_along(patch: Patch) -> None:
    """A redirected request takes its credential with it."""
    real = io.IO._redirected

    def redirected(self: Any, request: Any, location: str) -> Any:
        made = real(self, request, location)
        key = self.account.settings.api_key.get_secret_value()
        made.headers = {**made.headers, "authorization": f"Bearer {key}"}
        return made

    patch(io.IO, "_redirected", redirected)
    patch(io.IO, "_guard_secrets", lambda *_: None)


def forget_the_status(patch: Patch) -> None:
    """Every error status is the same error."""
    same = errors.InternalServerError
    patch(envelope, "status_error", lambda _status, message, **told: same(message, status_code=500, **told))


def promise_for_others(patch: Patch) -> None:
    """A vendor that promises nothing by a refusal is taken at a word that it did not give."""
    patch(GeminiProvider, "rejects_before_accepting", frozenset({429}))


def suspect_looks(patch: Patch) -> None:
    """A request that only looks is said to have begun something."""
    patch(io.IO, "outcome", "maybe")


def believe_in_refusals(patch: Patch) -> None:
    """Whatever status an error has, nothing is said to have begun."""
    real = io.IO._note

    def note(self: Any, incoming: Any) -> None:
        real(self, incoming)
        if incoming.status >= 400:
            self._settle("rejected")

    patch(io.IO, "_note", note)


def deny_sending(patch: Patch) -> None:
    """A connection that broke is said to have carried nothing."""
    patch(transport._Progress, "may_have_arrived", lambda *_: False)


def name_another(patch: Patch) -> None:
    """The result's id is that of something else."""
    real = ids.IdCodec.encode
    patch(ids.IdCodec, "encode", lambda self, kind, account, own: real(self, kind, account, own[::-1]))


def forget_attempts(patch: Patch) -> None:
    """A call says that it was the first attempt, whichever it was."""
    patch(Meta, "attempts", property(lambda _: 1, lambda *_: None))


def ask_others_blindly(patch: Patch) -> None:
    """What failed is done elsewhere, whatever became of it."""
    patch(retry, "_may_move", lambda *_, **__: True)


def follow_refusals_of_calls(patch: Patch) -> None:
    """A refusal is taken for a promise that nothing began, where the table asks for more."""
    real = retry._may_move
    patch(retry, "_may_move", lambda *told, **more: told[2].status_code == 429 or real(*told, **more))


def blame_for_mistakes(patch: Patch) -> None:
    """A deployment is thought badly of whatever goes wrong, the caller's own mistakes included."""
    patch(router, "outcome_of", lambda *_, **__: "failed")


def blame_nobody(patch: Patch) -> None:
    """No failure says anything of a deployment."""
    patch(router, "outcome_of", lambda *_, **__: "neutral")


def let_ids_wander(patch: Patch) -> None:
    """What lives at an account is looked for at all of its group."""
    real = directory.Directory.route

    def route(self: Any, operation: Any, request: Any, *others: Any) -> Any:
        if (found := real(self, operation, request, *others)).fixed is None:
            return found
        group, part = self.models.find("m")
        return type(found)([(group, part)], ["m"])

    patch(directory.Directory, "route", route)


def share_keys(patch: Patch) -> None:
    """One provider's accounts show whichever key was shown first."""
    real, shown = spec.Provider.credential, list[str]()

    def credential(self: Any, request: Any, at: Any) -> str:
        shown.append(real(self, request, at))
        return shown[0]

    patch(spec.Provider, "credential", credential)
    patch(io.IO, "_guard_secrets", lambda *_: None)


def keep_places(patch: Patch) -> None:
    """A call that is over counts as one that is under way."""
    patch(backend.Lease, "release", lambda *_, **__: None)


def _cell(fault: str, operation: str, accept: str = "", always: bool = True, provider: str = "openai") -> Cell:
    return Cell(provider, fault, operation, accept, "sync", always)


def _two(fault: str, operation: str, accept: str = "", always: bool = True) -> Cell:
    return Cell("openai", fault, operation, accept, "sync", always, "two")


def _gemini(fault: str, operation: str, accept: str = "", always: bool = True) -> Cell:
    return _cell(fault, operation, accept, always, "gemini")


BREAKS: tuple[Break, ...] = (
    Break(send_again_blindly, _cell("23 500", "video create", "after"), "O1 double send: 3 jobs"),
    Break(send_again_blindly, _cell("7 reset before headers", "calls", "after", False), "O1 double send: 2 jobs"),
    Break(take_refusals_for_nothing, _cell("21 429 + 2 s", "calls"), "O3 attempts: 2 requests, 1 wanted"),
    Break(leave_connections_open, _cell("29 truncated gzip", "edit", "before"), "O6 leak: busy"),
    Break(quote_keys, _cell("16 401", "chat"), "O4 secret: sk-canary"),
    Break(quote_keys, _cell("16 401", "calls"), "O4 secret: ek_canary"),
    Break(wait_for_each_read, _cell("10 slow body", "video get"), "O3 time"),
    Break(ignore_hints, _cell("21 429 + 2 s", "responses"), "O7 hint"),
    Break(believe_in_refusals, _cell("23 500", "edit", "after"), "O5 bill: 1 entries, and io says rejected"),
    Break(deny_sending, _cell("7 reset before headers", "extend", "after"), "O5 bill: 3 entries, and the error says"),
    Break(name_another, _cell("21 429 + 2 s", "video create", "", False), "O5 bill: the result is"),
    Break(forget_attempts, _cell("23 500", "video get"), "O5 attempts: 1 as the call says, and there were 3"),
    Break(take_any_end, _cell("14 SSE without terminal event", "chat-SSE"), "O2 outcome: no error"),
    Break(advise_retries, _cell("25 503", "extend", "after"), "O10 should_retry: None, False wanted"),
    Break(carry_keys_along, _cell("34 302 to 127.0.0.1", "content"), "went to another host"),
    Break(send_again_blindly, _gemini("23 500", "extend: start", "after"), "O1 double send: 3 jobs"),
    Break(send_again_blindly, _gemini("23 500", "extend: look"), "O3 attempts: 3 requests, 1 wanted"),
    Break(leave_connections_open, _gemini("29 truncated gzip", "content: film"), "O6 leak: busy"),
    Break(quote_keys, _gemini("16 401", "video create"), "O4 secret: sk-canary"),
    Break(ignore_hints, _gemini("21 429 + 2 s", "content: film"), "O7 hint"),
    Break(carry_keys_along, _gemini("34 302 to 127.0.0.1", "content: film"), "went to another host"),
    Break(promise_for_others, _gemini("21 429 + 2 s", "extend: start"), "O3 attempts: 6 requests, 2 wanted"),
    Break(suspect_looks, _gemini("25 503", "extend: look"), "O10 should_retry: False though nothing was begun"),
    Break(forget_the_status, _cell("17 403", "character get"), "O2 class: InternalServerError"),
    Break(ask_others_blindly, _two("23 500", "video create", "after"), "O1 double send: 2 jobs"),
    Break(
        ask_others_blindly, _two("7 reset before headers", "calls by model", "after", False), "O1 double send: 2 jobs"
    ),
    Break(follow_refusals_of_calls, _two("21 429 + 2 s", "calls by model"), "O3 attempts: 2 requests, 1 wanted"),
    Break(blame_for_mistakes, _two("15 400", "chat"), "O8 health: deployment 0 is Doing(failures=1"),
    Break(blame_nobody, _two("23 500", "chat"), "O8 health: deployment 1 is Doing(failures=0"),
    Break(let_ids_wander, _two("23 500", "video get"), "I9 pinned"),
    Break(share_keys, _two("23 500", "chat", "", False), "O4 secret: another account was shown sk-canary"),
    Break(keep_places, _two("24 502", "responses"), "O6 leak: 1 calls are under way"),
)
