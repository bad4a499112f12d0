"""The one retry loop. What may be sent again is decided by the operation table and by what io saw happen.

A request that may have started paid work is never sent twice unless it provably did not arrive. Attempts end at three,
at the call's deadline, and wherever the upstream says so.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from callsheet.errors import APIConnectionError, APIError, APIResponseValidationError
from callsheet.io import IO
from callsheet.models.base import OperationRequest
from callsheet.operations import Operation

__all__ = ["MAX_ATTEMPTS", "delay_before_retry", "with_retries"]

T = TypeVar("T")
MAX_ATTEMPTS = 3
MAX_HINT = 120.0
"""Seconds: an upstream that asks for a longer wait gets no second try; the caller learns of the hint."""


async def with_retries(
    operation: Operation, request: OperationRequest, new_io: Callable[[], IO], attempt: Callable[[IO], Awaitable[T]]
) -> T:
    """Run attempts, each with an io of its own, until one succeeds or none may follow.

    The error of the last attempt is raised. Where paid work may have begun it says `should_retry` False.
    """
    number = 1
    while True:
        io = new_io()
        io.meta.attempts = number
        try:
            return await attempt(io)
        except APIError as error:
            delay = delay_before_retry(operation, request, error, io, number)
            if delay is None or time.monotonic() + delay >= io.deadline:
                if operation.after_ambiguity == "never" and io.outcome == "maybe" and _is_ambiguous(error):
                    error.should_retry = False
                raise
            await io.sleep(delay)
            number += 1


def delay_before_retry(
    operation: Operation, request: OperationRequest, error: APIError, io: IO, number: int
) -> float | None:
    """Seconds to wait before attempt `number` + 1, or None when there must be none."""
    if number >= MAX_ATTEMPTS or not io.sent or error.should_retry is False:
        return None
    if any(upload.started and not upload.replayable for upload in request.uploads()):
        return None
    if not _allowed(operation, request, error, io, number):
        return None
    if (hint := error.retry_after) is not None and hint > 0:
        return hint * random.uniform(1.0, 1.1) if hint <= MAX_HINT else None  # noqa: S311  jitter, not a secret
    return random.uniform(0.0, min(8.0, 0.5 * 2**number))  # noqa: S311  full jitter


def _allowed(operation: Operation, request: OperationRequest, error: APIError, io: IO, number: int) -> bool:
    if isinstance(error, APIConnectionError) and not error.sent:
        # The request that failed did not arrive; an earlier one of the same attempt may have.
        return io.outcome != "maybe" or operation.may_resend_blindly(request, number)
    if error.status_code in {429, 503} and not isinstance(error, APIResponseValidationError):
        declared = error.status_code in io.provider.rejects_before_accepting
        return (operation.after_rejection or declared) and _nothing_accepted_before(io)
    return _is_ambiguous(error) and operation.may_resend_blindly(request, number)


def _is_ambiguous(error: APIError) -> bool:
    """Whether nobody knows if the request was accepted: no answer, an unreadable one, or a failure on the way."""
    if isinstance(error, APIConnectionError):
        return error.sent
    status = error.status_code or 0
    return isinstance(error, APIResponseValidationError) or status in {408, 409} or status >= 500


def _nothing_accepted_before(io: IO) -> bool:
    return all(sent.outcome != "maybe" for sent in io.sent[:-1] if sent.billable)
