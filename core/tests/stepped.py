"""Calls through the real router that a test drives step by step.

Each waits where it asks its provider, and is told what comes back when the test likes. Time is the test's, too. What is
known of each choice of a deployment is kept, beside the router's own books: who could have been taken, who was.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from attrs import define, evolve, field, frozen

from callsheet import io as io_module
from callsheet import models as m
from callsheet.account import Account
from callsheet.config import configure
from callsheet.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CallsheetError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from callsheet.ids import IdCodec
from callsheet.io import IO, Sent
from callsheet.models.base import IdKind
from callsheet.operations import OPERATIONS
from callsheet.registry import Registry
from callsheet.routing import Accounts, CallRecord, Models, Router
from callsheet.routing import retry as retry_module
from callsheet.routing import router as router_module
from callsheet.routing.backend import Backend
from callsheet.routing.budget import RetryBudget
from callsheet.routing.route import Place, Route
from callsheet.spec import Provider, hookimpl
from callsheet.stream import Event, Stream

__all__ = ["ACCOUNTS", "FAILURES", "PAID", "TENANTS", "Call", "Choice", "World", "managed"]

PAID = {"generate_video", "edit"}
"""What is never sent again after nobody knows what became of it."""
TENANTS = {"400", "404", "content", "too long"}
"""Failures that are the caller's own doing."""


class _Waits:
    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self)


@frozen
class Asked(_Waits):
    """A provider has been asked."""

    io: IO


@frozen
class Sleeps(_Waits):
    seconds: float


def _refused(io: IO, status: int) -> None:
    io.sent[-1] = evolve(io.sent[-1], outcome="rejected", refused=io.provider.refused(status, {}))


def _status(status: int, kind: type[CallsheetError], code: str | None = None) -> Callable[[IO, float | None], Any]:
    def fails(io: IO, hint: float | None) -> CallsheetError:
        if 400 <= status < 500 and status not in {408, 409}:
            _refused(io, status)
        return kind(f"it is {status}", status_code=status, code=code, retry_after=hint)

    return fails


def _unsent(io: IO, _hint: float | None) -> CallsheetError:
    io.sent[-1] = evolve(io.sent[-1], outcome="not_sent")
    return APIConnectionError("nobody there", sent=False)


FAILURES: dict[str, Callable[[IO, float | None], CallsheetError]] = {
    "unsent": _unsent,
    "lost": lambda _io, _hint: APIConnectionError("it broke", sent=True),
    "timeout": lambda _io, _hint: APITimeoutError("too late", sent=True),
    "500": _status(500, InternalServerError),
    "429": _status(429, RateLimitError, "rate_limit_exceeded"),
    "quota": _status(429, RateLimitError, "insufficient_quota"),
    "401": _status(401, AuthenticationError, "invalid_api_key"),
    "no model": _status(404, NotFoundError, "model_not_found"),
    "400": _status(400, BadRequestError, "invalid_value"),
    "404": _status(404, NotFoundError, "not_found"),
    "content": _status(400, BadRequestError, "content_policy_violation"),
    "too long": _status(400, BadRequestError, "context_length_exceeded"),
}


class _Events:
    async def __anext__(self) -> Event:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        pass


async def _ask(io: IO) -> Any:
    io.sent.append(Sent(io.operation.method, io.operation.billable, "maybe"))
    return (await Asked(io))(io)


class Stepped(Provider):
    """Asks the test what to do. Promises nothing by a refusal."""

    @hookimpl
    async def chat_completions(self, request: m.CreateChatCompletion, io: IO) -> m.ChatCompletion | Stream:
        used = await _ask(io)
        return Stream(_Events()) if request.stream else m.ChatCompletion({"usage": {"total_tokens": used}})

    @hookimpl
    async def responses(self, request: m.CreateResponse, io: IO) -> m.Response | Stream:
        return m.Response({"id": "resp_own", "usage": {"total_tokens": await _ask(io)}})

    @hookimpl
    async def generate_video(self, request: m.GenerateVideo, io: IO) -> m.Video:
        await _ask(io)
        return m.Video(id="video_own", status="queued")

    @hookimpl
    async def edit(self, request: m.Edit, io: IO) -> m.Video:
        await _ask(io)
        return m.Video(id="video_own", status="queued")

    @hookimpl
    async def get_video(self, request: m.GetVideo, io: IO) -> m.Video:
        await _ask(io)
        return m.Video(id=request.video_id, status="completed")


class Polite(Stepped):
    """Promises that a refusal began nothing."""

    rejects_before_accepting = frozenset({429})


def _nobody() -> Accounts:
    registry = Registry(points=[], wraps=())
    registry.register("plain", Stepped)
    registry.register("polite", Polite)
    return Accounts(registry)


def _accounts() -> tuple[Accounts, list[Account]]:
    accounts = _nobody()
    return accounts, [accounts.add(name, {}, f"{name}{number}") for number in range(3) for name in ("polite", "plain")]


_SHARED, ACCOUNTS = _accounts()
"""For all tests: nothing of a call is kept in them."""


def managed(kind: IdKind, account: Account) -> str:
    """The managed id of something at an account."""
    return IdCodec().encode(kind, account.tag, f"{kind}_own")


class Plenty(RetryBudget):
    """A budget that is never used up: so that what is tested is not the budget."""

    def spend(self, throttled: bool, to_well: bool = False) -> bool:
        return True


@define(eq=False)
class Choice:
    """One attempt's deployment, with the router's reasons."""

    backend: Backend
    at: float
    tokens: int
    probe: bool
    running: bool = True


@define(eq=False)
class Call:
    """A call that is under way, or over. `home` is the account that it must not leave, if there is one."""

    operation: str
    coroutine: Any
    record: CallRecord
    home: str | None = None
    hurried: bool = False
    streams: bool = False
    asked: IO | None = None
    wakes: float | None = None
    accounts: list[str] = field(factory=list)
    """Of its attempts."""
    choices: list[Choice] = field(factory=list)
    result: Any = None
    error: BaseException | None = None
    over: bool = False


class World:
    """A router over groups of deployments, its calls, and the clock."""

    def __init__(self, models: Models, plenty: bool, accounts: Accounts = _SHARED) -> None:
        self.now = 1000.0
        self.router = Router(accounts, IdCodec(), models=models)
        self.calls: list[Call] = []
        self.ledger: list[Choice] = []
        self.stepping: Call | None = None
        self.problems: list[str] = []
        """What was wrong with choices."""
        self.check: Callable[[Route, Place | None, dict[Backend, bool]], None] = lambda *_: None
        """Asked after each choice: the route, who was taken, and of all who could be, whether they were usable before."""
        if plenty:
            self.router._budgets = defaultdict(Plenty)

    @classmethod
    @contextmanager
    def of(cls, config: Mapping[str, Any]) -> Iterator[World]:
        """A world of what a configuration says. Its providers are `plain` and `polite`."""
        accounts = _nobody()
        world = cls(configure(accounts, config, {}), plenty=True, accounts=accounts)
        with world.patched():
            yield world

    @contextmanager
    def patched(self) -> Iterator[None]:
        """The clock is this one, and choices are seen."""
        begin, again = Route._begin, Route.again
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)

        def begins(route: Route) -> tuple[Place | None, float]:
            route.clock = clock.monotonic
            before = {backend: backend.health.usable(self.now) for backend in route._untried()}
            place, seconds = begin(route)
            try:
                self.check(route, place, before)
            except AssertionError as wrong:  # told afterwards: the router is not to be disturbed
                self.problems.append(str(wrong).partition("\n")[0])
            self._took(route, place)
            return place, seconds

        def once_more(route: Route, place: Place) -> Place | None:
            route.clock = clock.monotonic
            again_there = again(route, place)
            self._took(route, again_there)
            return again_there

        with (
            patch.object(Route, "_begin", begins),
            patch.object(Route, "again", once_more),
            patch.object(router_module, "time", clock),
            patch.object(retry_module, "time", clock),
            patch.object(io_module, "time", clock),
        ):
            yield

    def _took(self, route: Route, place: Place | None) -> None:
        if place is not None and place.lease is not None and self.stepping is not None:
            choice = Choice(place.lease.backend, self.now, route.tokens, place.lease.probe)
            self.ledger.append(choice)
            self.stepping.choices.append(choice)

    # What a test does

    def begin(self, operation: str, *, home: str | None = None, timeout: float | None = None, **fields: Any) -> Call:
        """Begin a call. `home`: it must stay at that account."""
        provider, targets = fields.pop("provider", None), fields.pop("target_model_names", None)
        request = OPERATIONS[operation].request.model_validate(fields)
        record = CallRecord()
        coroutine = self.router.call(
            operation,
            request,
            _Transport(),  # type: ignore[arg-type]  # it opens nothing
            provider=provider,
            timeout=timeout,
            hurried=timeout is not None,
            target_model_names=targets,
            record=record,
        )
        call = Call(operation, coroutine, record, home, timeout is not None, bool(fields.get("stream")))
        self.calls.append(call)
        self._step(call, None)
        return call

    def answer(self, call: Call, used: int, headers: dict[str, str] | None = None) -> None:
        """The provider does what it was asked."""
        if call.choices and not call.streams:
            self._ended(call, used)

        def good(io: IO) -> int:
            io.meta.limits = headers or {}
            return used

        self._step(call, good)

    def fail(self, call: Call, failure: str, hint: float | None = None) -> None:
        """The provider fails. What provably did nothing takes no tokens from anybody."""
        self._ended(call, None)
        if call.choices and not (OPERATIONS[call.operation].billable and failure in {"lost", "timeout", "500"}):
            call.choices[-1].tokens = 0

        def bad(io: IO) -> Any:
            raise FAILURES[failure](io, hint)

        self._step(call, bad)

    def give_up(self, call: Call) -> None:
        """Nobody waits for it any longer."""
        self._ended(call, None)
        call.coroutine.close()
        call.over, call.asked, call.wakes = True, None, None

    def let_go(self, call: Call) -> None:
        """A stream that is not closed, and that nobody holds any longer."""
        self._ended(call, None)
        call.result = None

    def close(self, call: Call) -> None:
        """A stream is closed."""
        self._ended(call, None)
        try:
            call.result.aclose().send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")

    def tick(self, seconds: float) -> None:
        """Time passes; calls that paused go on."""
        end = self.now + seconds
        while due := sorted(
            (call for call in self.calls if call.wakes is not None and call.wakes <= end), key=lambda c: c.wakes or 0.0
        ):
            self.now = max(self.now, due[0].wakes or 0.0)
            due[0].wakes = None
            self._step(due[0], None)
        self.now = end

    def running(self, backend: Backend) -> list[Choice]:
        """The attempts that are under way at a deployment."""
        return [choice for choice in self.ledger if choice.running and choice.backend is backend]

    def of_the_last_minute(self, backend: Backend) -> list[Choice]:
        """The attempts that count against a deployment's limits."""
        return [choice for choice in self.ledger if choice.backend is backend and choice.at > self.now - 60]

    def room(self, backend: Backend, tokens: int) -> bool:
        """Whether a deployment's limits let one more begin."""
        limits, late = backend.deployment, self.of_the_last_minute(backend)
        used = sum(choice.tokens for choice in late)
        return (
            (limits.max_parallel_requests is None or len(self.running(backend)) < limits.max_parallel_requests)
            and (limits.rpm is None or len(late) < limits.rpm)
            and (limits.tpm is None or used + tokens <= limits.tpm)
        )

    def _ended(self, call: Call, used: int | None) -> None:
        if call.choices:
            call.choices[-1].running = False
            if used is not None and call.operation in {"chat_completions", "responses"}:
                call.choices[-1].tokens = used

    def _step(self, call: Call, value: Any) -> None:
        call.asked, call.wakes, self.stepping = None, None, call
        try:
            waits = call.coroutine.send(value)
        except StopIteration as end:
            call.result, call.over = end.value, True
        except CallsheetError as error:
            call.error, call.over = error, True
        else:
            if isinstance(waits, Sleeps):
                call.wakes = self.now + math.ceil(waits.seconds * 4) / 4  # in quarters, all times are exact
            else:
                call.asked = waits.io
                call.accounts.append(waits.io.account.id)
        finally:
            self.stepping = None


class _Transport:
    blocking = False

    async def sleep(self, seconds: float) -> None:
        await Sleeps(seconds)

    async def run(self, function: Callable[..., Any], *args: object) -> Any:
        return function(*args)
