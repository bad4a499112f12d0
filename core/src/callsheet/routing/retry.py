"""The one retry loop. What may be sent again is decided by the operation table and by what io saw happen.

A request that may have started paid work is never sent twice unless it provably did not arrive - except chat and
responses that are not stored, of which a lost answer leaves nothing behind but its price. A look, which costs nothing,
follows the upstream's own word, whatever its status. Attempts end at three, at the call's deadline, at the model's
budget, and wherever the upstream says so. Where another deployment can take the call it goes there, at once; what has to
go to one place stays there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from callsheet.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    AuthenticationError,
    MissingCredentials,
)
from callsheet.io import IO
from callsheet.models.base import OperationRequest
from callsheet.operations import Operation
from callsheet.routing.budget import RetryBudget
from callsheet.routing.health import Outcome as HealthOutcome
from callsheet.routing.policy import Routing, is_refusal
from callsheet.routing.route import Place, Route

__all__ = ["MAX_ATTEMPTS", "delay_before_retry", "outcome_of", "with_retries"]

T = TypeVar("T")
MAX_ATTEMPTS = 3
MAX_HINT = 120.0
"""Seconds: an upstream that asks for a longer wait gets no second try; the caller learns of the hint."""
_NO_SUCH_MODEL = {"model_not_found", "deploymentnotfound"}


async def with_retries(
    operation: Operation,
    request: OperationRequest,
    route: Route,
    new_io: Callable[[Place], IO],
    attempt: Callable[[Place, IO], Awaitable[T]],
    budget: RetryBudget,
    routing: Routing,
    wanted: Callable[[], bool] = lambda: True,
) -> T:
    """Run attempts, each with an io and a place of its own, until one succeeds or none may follow.

    `wanted` tells whether anybody still wants the result: there is no further attempt if nobody does. The error
    of the last attempt is raised. Where paid work may have begun it says `should_retry` False.
    """
    number, unknown, place, most = 1, None, route.first(), _most(operation)
    budget.began()
    while True:
        io = new_io(place)
        io.meta.attempts = number
        try:
            result = await attempt(place, io)
            budget.succeeded()
            unknown = None  # its traceback holds this frame, and with that the result, which nobody may want for long
            return result
        except MissingCredentials:
            if io.outcome == "maybe" or number >= most:
                raise
            if (next_place := route.elsewhere()) is None:
                raise
            place, number = next_place, number + 1  # nothing was done, and nothing will be as long as it has no key
        except APIError as error:
            if unknown is not None and error.status_code == 404 and operation.method != "GET":
                unknown.add_note("A second attempt found nothing there: the first one was probably carried out.")
                raise unknown from error
            delay = delay_before_retry(operation, request, error, io, number)
            if delay is not None and time.monotonic() + delay >= io.deadline:
                delay = None
            # Nobody is to blame for being asked too late.
            may_go_on = number < most and time.monotonic() < io.deadline
            if number > routing.retries_after(error, route.names):
                route.leave_group()  # retries are over; what it falls back to is asked all the same
                delay = None
            names = routing.after_refusal(error, route.names)
            refused = (
                may_go_on and bool(names) and io.outcome != "maybe" and _replayable(request) and route.follow(names)
            )
            moves = may_go_on and (
                refused
                or (_may_move(operation, request, error, io, number, own_model=place.own_model) and route.has_others())
            )
            if not moves and (delay is None or not may_go_on):
                if (io.outcome == "maybe" or _unpromised(error, operation, io)) and not operation.may_resend_blindly(
                    request, number
                ):
                    error.should_retry = False
                raise
            if not wanted():
                raise
            throttled = error.status_code in {429, 503}
            if not refused and not budget.spend(throttled, to_well=moves and route.has_well()):
                error.add_note("Not tried again: too many calls to this account have failed of late.")
                raise
            next_place = route.elsewhere() if moves else None
            unknown = None
            if next_place is None:
                if delay is None:
                    raise
                await io.sleep(delay)
                if not wanted() or (next_place := route.again(place)) is None:
                    raise
                unknown = error if _is_ambiguous(error) else None
            place = next_place
            number += 1


def delay_before_retry(
    operation: Operation, request: OperationRequest, error: APIError, io: IO, number: int
) -> float | None:
    """Seconds to wait before attempt `number` + 1 at the same place, or None when there must be none."""
    if number >= _most(operation) or not io.sent or error.should_retry is False:
        return None
    if is_refusal(error):
        return None  # whatever its status: it would be the next time, too
    if not _replayable(request) or not _allowed(operation, request, error, io, number):
        return None
    if (hint := error.retry_after) is not None and hint > 0:
        return hint * random.uniform(1.0, 1.1) if hint <= MAX_HINT else None  # noqa: S311  jitter, not a secret
    return random.uniform(0.0, min(8.0, 0.5 * 2**number))  # noqa: S311  full jitter


def _most(operation: Operation) -> int:
    return min(MAX_ATTEMPTS, operation.attempts)


def outcome_of(error: APIError, *, own_key: bool, own_model: bool) -> HealthOutcome:
    """What an error tells of the deployment: only what the upstream is to blame for speaks against it.

    A refused key is the account's, unless the call showed another one (then it is not its `own_key`). That a model is not
    there is the deployment's fault, unless the caller has chosen the name, by way of a * (then it is not its `own_model`).
    """
    code = (error.code or "").lower()
    status = _said_inside(code) if error.status_code is None else error.status_code
    if is_refusal(error) or status in {408, 409}:
        return "neutral"
    if status == 429:
        return "failed" if code == "insufficient_quota" else "throttled"
    if isinstance(error, AuthenticationError):
        return "failed" if own_key else "neutral"
    if status == 404:
        return "failed" if own_model and code in _NO_SUCH_MODEL else "neutral"
    failed = status >= 500 or _is_ambiguous(error) or isinstance(error, APIConnectionError)
    return "failed" if failed else "neutral"


def _said_inside(code: str) -> int:
    """The status that an error speaks of which came in an answer of status 200, or in a stream; 0 for none."""
    if code.isdecimal() and len(code) == 3:
        return int(code)
    return {"server_error": 500, "rate_limit_exceeded": 429, "insufficient_quota": 429}.get(code, 0)


def _replayable(request: OperationRequest) -> bool:
    return not any(upload.started and not upload.replayable for upload in request.uploads())


def _may_move(
    operation: Operation, request: OperationRequest, error: APIError, io: IO, number: int, *, own_model: bool
) -> bool:
    """Whether another deployment may be asked. Where nothing began that is so also against the upstream's own word."""
    if not io.sent or not _replayable(request) or is_refusal(error):
        return False
    if io.outcome != "maybe" and not _is_ambiguous(error):
        code = (error.code or "").lower()
        if isinstance(error, AuthenticationError):
            return True
        if error.status_code == 404 and code in _NO_SUCH_MODEL:
            return own_model  # what a caller has made up is nowhere else, either
    elif error.should_retry is False:
        return False
    return _allowed(operation, request, error, io, number)


def _allowed(operation: Operation, request: OperationRequest, error: APIError, io: IO, number: int) -> bool:
    if isinstance(error, APIConnectionError) and not error.sent:
        # The request that failed did not arrive; an earlier one of the same attempt may have.
        return io.outcome != "maybe" or operation.may_resend_blindly(request, number)
    turned_away = error.status_code == 429 or (error.status_code == 503 and not operation.billable)
    promised = io.sent[-1].refused and operation.after_rejection != "never"
    if promised or (turned_away and operation.after_rejection == "always"):
        # io has noted the refusal as such; what the same attempt sent before may have been accepted.
        return io.outcome != "maybe" or operation.may_resend_blindly(request, number)
    if error.should_retry and operation.method == "GET" and not operation.billable:
        return True
    return _is_ambiguous(error) and operation.may_resend_blindly(request, number)


def _unpromised(error: APIError, operation: Operation, io: IO) -> bool:
    """Whether paid work was turned away by a vendor that does not say what became of it."""
    turned_away = error.status_code in {429, 503} and operation.after_rejection != "always"
    return turned_away and bool(io.sent) and io.sent[-1].billable and not io.sent[-1].refused


def _is_ambiguous(error: APIError) -> bool:
    """Whether nobody knows if the request was accepted: no answer, an unreadable one, or a failure on the way."""
    if isinstance(error, APIConnectionError):
        return error.sent
    status = error.status_code or 0
    return isinstance(error, APIResponseValidationError) or status in {408, 409} or status >= 500
