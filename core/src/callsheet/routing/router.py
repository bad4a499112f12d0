"""The way of a call: ids say which account, or the model does; the hook runs there; ids are managed on the way back."""

from __future__ import annotations

import time
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field

from callsheet import headers
from callsheet.account import Account
from callsheet.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    CallsheetError,
    MissingCredentials,
    PluginError,
    without_secrets,
)
from callsheet.io import IO, Transport, new_idempotency_key
from callsheet.models.base import Meta, OperationRequest
from callsheet.models.video import Video
from callsheet.operations import OPERATIONS
from callsheet.routing.backend import Lease
from callsheet.routing.budget import RetryBudget
from callsheet.routing.deployment import Deployment
from callsheet.routing.directory import Directory, Ids
from callsheet.routing.record import CallRecord
from callsheet.routing.retry import outcome_of, with_retries
from callsheet.routing.rewrite import with_managed_ids
from callsheet.routing.route import Place, Route
from callsheet.routing.usage import on_usage, total_tokens
from callsheet.stream import Download, Event, Stream

__all__ = ["Router"]

Admit = Callable[[Deployment], Awaitable[None]]
"""Asked before each attempt. What it raises ends the call before anything is sent."""


@define(eq=False)
class Router(Directory):
    """Routes calls of any kind to accounts. Knows nothing of sync and async: the transport decides that."""

    _budgets: defaultdict[tuple[str, str | None], RetryBudget] = field(
        factory=lambda: defaultdict(RetryBudget), init=False, repr=False
    )

    async def call(
        self,
        name: str,
        request: OperationRequest,
        transport: Transport,
        *,
        provider: str | None = None,
        timeout: float | None = None,
        target_model_names: Sequence[str] | None = None,
        ids: Ids | None = None,
        record: CallRecord | None = None,
        wanted: Callable[[], bool] = lambda: True,
        hurried: bool = False,
        admit: Admit | None = None,
    ) -> Any:
        """Do an operation: `name` is the hook's. `request.model` is what the caller says, `provider` a name or account id.

        `timeout` is in seconds, for all attempts together; None means the account's own setting. `target_model_names` are
        several models in the place of one: the best deployment of them all does it. `ids` reads and makes this caller's
        ids, where several tenants share a router; None means the router's own. `record` takes down what becomes of the
        call. `wanted` is asked before each attempt but the first, whether anybody still wants the result. `hurried`: the
        time is this call's own, and no deployment is to blame when it is over. `admit` is asked before each attempt, and
        raises if there must be none.
        """
        operation, record = OPERATIONS[name], record or CallRecord()
        known: dict[str, str] = {}
        codec: Ids = self.ids if ids is None else ids
        home, request = self.resolve_ids(request, provider, known, codec)
        route = self.route(operation, request, provider, home, target_model_names)
        place_of_budget = (route.targets[0][0].name, None) if route.targets else _account_and_model(route)
        budget = self._budgets[place_of_budget]
        idempotency_key = new_idempotency_key()
        deadline: float | None = None
        whole = 0.0

        def new_io(place: Place) -> IO:
            nonlocal deadline, whole
            account = place.deployment.account
            if deadline is None:
                whole = account.settings.timeout if timeout is None else timeout
                deadline = time.monotonic() + whole
            record.provider, record.account, record.model = account.provider, account.id, place.deployment.model
            try:
                dispatcher = self.accounts.dispatcher(account)
                if name not in dispatcher.operations:
                    dispatcher.require(name, self.accounts.offering(name))
            except BaseException:
                if place.lease is not None:
                    place.lease.release()
                raise
            return IO(account, dispatcher.provider, operation, transport, deadline, idempotency_key)

        async def attempt(place: Place, io: IO) -> Any:
            lease, model, account = place.lease, place.deployment.model, place.deployment.account
            asked = request if model == request.model else request.model_copy(update={"model": model})
            try:
                if admit is not None:
                    record.attempts = io.meta.attempts - 1
                    await admit(place.deployment)
                record.attempts, began = io.meta.attempts, time.monotonic()
                record.outcome = "not_sent"
                try:
                    result = await self.accounts.dispatcher(account).call(name, asked, io)
                finally:
                    record.seconds += time.monotonic() - began
                    record.outcome = io.outcome
                    record.maybe = record.maybe or io.outcome == "maybe"
                io.hand_out()
                result = self._finished(result, io, account, codec)
            except BaseException as error:
                if lease is not None:
                    self._judge(lease, error, io, own_key=_own_key(asked), hurried=hurried, whole=whole)
                raise
            self._follow(result, lease, io, record)
            return result

        try:
            return await with_retries(operation, request, route, new_io, attempt, budget, self.models.routing, wanted)
        except CallsheetError as error:
            error.provider = error.provider or record.provider
            if home is not None:
                _say_it_stays(error, home)
            _say_managed_ids(error, known)
            raise

    def _judge(self, lease: Lease, error: BaseException, io: IO, *, own_key: bool, hurried: bool, whole: float) -> None:
        """Take down what a failure tells of a deployment, and let others have its place. `whole`: the seconds that the call
        was given, all attempts together.
        """
        now = time.monotonic()
        if isinstance(error, APIError):
            own_model = "*" not in (lease.backend.deployment.model or "")
            outcome = outcome_of(error, own_key=own_key, own_model=own_model)
            if isinstance(error, APITimeoutError):
                given_little = io.deadline - lease.began < whole / 2  # another one had used up most of it
                too_soon = (hurried or given_little) and (error.sent or now >= io.deadline)
                if too_soon or error.code == "pool_timeout":
                    outcome = "neutral"  # the caller was in too much of a hurry, or has too much under way
            lease.judge(outcome, now, error.retry_after)
        elif isinstance(error, MissingCredentials):
            lease.judge("failed", now)
        if io.outcome != "maybe":
            lease.used(0)  # nothing was done: nobody shall be kept out by it
        lease.release(now)

    def _follow(self, result: Any, lease: Lease | None, io: IO, record: CallRecord) -> None:
        """Take down what a result tells, now or, of a stream, at its end."""

        def tell(usage: Mapping[str, Any]) -> None:
            record.usage = usage
            if lease is not None and lease.taken is not None and (tokens := total_tokens(usage)) is not None:
                lease.used(tokens)

        on_usage(result, tell)
        if lease is None:
            return
        now = time.monotonic()
        if isinstance(result, Stream):
            # Its head says little: many a stream has one, and nothing behind it.
            result.tap(partial(_stream_began, lease), partial(_stream_ended, lease))
            weakref.finalize(result, lease.release).atexit = False  # of one that nobody has read, or closed
        else:
            lease.release(now, "good")
        if io.meta.limits and (pause := headers.used_up(io.meta.limits)) is not None:
            with lease.backend.lock:
                lease.backend.health.pause(now + pause)

    def _finished(self, result: Any, io: IO, account: Account, ids: Ids) -> Any:
        kind = io.operation.result
        if not isinstance(result, Stream | (type(None) if kind is None else kind)):
            raise PluginError(
                f"{io.operation.name} of provider '{account.provider}' returned {type(result).__name__}; it must return"
                f" {'None' if kind is None else kind.__name__}: this is a bug of the plugin",
                provider=account.provider,
            )
        # Some servers send documents with empty ids, which stand for nothing.
        result = with_managed_ids(
            result, lambda id, kind: ids.encode(kind, account.tag, id) if id or kind != "resp" else id
        )
        if isinstance(result, Stream | Download):
            result.hide(io.secrets())
        if isinstance(result, Video) and result.error is not None:  # `wait` makes an exception of it
            result.error.message = without_secrets(result.error.message, io.secrets())
            result.error.code = without_secrets(result.error.code, io.secrets())
        if isinstance(result, Stream) and io.operation.billable:
            result.tap(on_end=_say_it_was_begun)
        if isinstance(meta := getattr(result, "meta", None), Meta):
            result.meta = _merged(meta, io.meta, account)
        return result


def _stream_began(lease: Lease, _event: Event) -> None:
    if not lease.judged:
        lease.judge("good", time.monotonic())


def _stream_ended(lease: Lease, error: BaseException | None) -> None:
    if isinstance(error, APIError):
        lease.judge(outcome_of(error, own_key=True, own_model=True), time.monotonic())
    lease.release()


def _account_and_model(route: Route) -> tuple[str, str | None]:
    assert route.fixed is not None
    return route.fixed.account.id, route.fixed.model


def _own_key(request: OperationRequest) -> bool:
    """Whether a call is made with the account's own key, and not with an ephemeral one that somebody brings."""
    return getattr(request, "ephemeral_key", None) is None


def _say_it_stays(error: CallsheetError, home: Account) -> None:
    """Where an account is down, say that what lives there is nowhere else."""
    if isinstance(error, APIConnectionError) or (isinstance(error, APIError) and (error.status_code or 0) >= 500):
        error.message += f" (What the request refers to lives at account '{home.id}', and is not looked for elsewhere.)"
        error.args = (error.message, *error.args[1:])


def _say_managed_ids(error: CallsheetError, known: dict[str, str]) -> None:
    """Let an error speak of the ids that the caller knows. Very short ones could be parts of words."""
    for upstream, managed in known.items():
        if len(upstream) >= 8 and upstream in error.message:
            error.message = error.message.replace(upstream, managed)
            error.args = (error.message, *error.args[1:])


def _say_it_was_begun(error: BaseException | None) -> None:
    """A stream that breaks has been paid for, up to where it broke: whoever asks again pays again."""
    if isinstance(error, APIError):
        error.should_retry = False


def _merged(said: Meta, seen: Meta, account: Account) -> Meta:
    """What the provider said of its result, and what io saw where it said nothing."""
    return Meta(
        provider=account.provider,
        account=account.id,
        request_id=said.request_id or seen.request_id,
        poll_after=seen.poll_after if said.poll_after is None else said.poll_after,
        attempts=seen.attempts,
        limits=said.limits or seen.limits,
    )
