"""Idempotency-Key: a request that comes a second time is not done a second time, but gets the first one's answer.

What counts as the same request is the document that was read, not its bytes: clients make a new boundary for each try of a
form. So a route's function is run until it has read its body, and says by `claim` what it is about to do; there it ends for
a request that is not the first. How it ends decides whether the answer is kept:

- It succeeded, or failed so that something may have begun, or so that it would fail again: kept.
- Nothing was done, or what was given up leaves nothing behind but its price: the key is free.
- A bug, the end of the process, or one who left or was refused after something may have been paid for: nobody knows, and
  that is what the next one is told.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from attrs import define
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callsheet import APIConnectionError, APIError, CallsheetError, ConfigurationError, UnsupportedOperation, Upload
from callsheet.operations import Operation
from callsheet.routing import CallRecord
from callsheet_gateway.errors import Refused, error_response
from callsheet_gateway.kept_answers import Answer, Answers, Claim, place_of
from callsheet_gateway.principal import Principal, principal_of
from callsheet_gateway.request_record import record_in, record_of

__all__ = ["HEADER", "claim", "done_once"]

HEADER = "idempotency-key"
MOST_OF_STREAM = 4 * 1024 * 1024
MOST_OF_STREAMS = 64 * 1024 * 1024
"""Bytes of one stream, and of all that are under way, that are remembered."""
_KEY = re.compile("[ -~]{1,255}")
_NOTHING_DONE = {401, 402, 403, 429, 503}
"""What a provider answers who has done nothing, and may do it later: where nothing may have been paid for all the same."""
_GONE = {"client_gone", "ending"}
"""The refusals of those whose call was given up on its way (see `face.unless_gone`)."""
_CHUNK = 256 * 1024


@define(eq=False)
class _Once:
    """A request with a key, until it is over. `claim` is there once it is known to be the first, of these `fields`."""

    answers: Answers
    key: str
    claim: Claim | None = None
    fields: object = None


class _Replay(Exception):
    """Ends the work for a request that is not the first."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def response(self) -> Response:
        answer = self.answer
        return Response(answer.body, answer.status, {**dict(answer.headers), "idempotent-replayed": "true"})


async def claim(request: Request, fields: object, who: str | None = None) -> None:
    """Say what is about to be done, once the body was read. Returns for who asks first, or without a key; ends for others.

    `fields` is all that is not in the path: documents, texts, bytes and files. `who` stands in the place of who sent it.
    """
    once: _Once | None = request.scope.get("state", {}).get("once")
    if once is None:
        return
    path = request.scope["path"].removeprefix("/v1")
    who = who or _named(principal_of(request))
    place = place_of(who, json.dumps([who, request.method, path, once.key]))
    content = await anyio.to_thread.run_sync(_canonical, fields)  # files are read, which may be on the disk
    found = await once.answers.begin(place, _hash(place + content))
    if isinstance(found, Answer):
        raise _Replay(found)
    once.claim, once.fields = found, fields


async def done_once(
    request: Request,
    handler: Callable[[Request], Coroutine[Any, Any, Response]],
    answers: Answers,
    operation: Operation | None,
    *,
    given_up: bool,
) -> ASGIApp:
    """The answer to a request with a key: the handler's, if it is the first. Documents are written down by then.

    `operation` is what is asked of a provider. `given_up`: a handler that is cancelled has given up what it did, and does
    not leave it half done.
    """
    shown = request.headers.getlist(HEADER)
    if len(shown) != 1 or not _KEY.fullmatch(shown[0]):
        raise Refused(400, "Idempotency-Key takes 1 to 255 printable ASCII characters, once", "invalid_idempotency_key")
    once = request.scope["state"]["once"] = _Once(answers, shown[0])
    try:
        response = await handler(request)
    except _Replay as replay:
        return replay.response()
    except BaseException as error:
        if once.claim is not None:
            await _failed(once, once.claim, error, record_of(request).call, operation, given_up)
        raise
    if once.claim is None:
        return response
    if isinstance(response, StreamingResponse):
        return _Recorded(response, once.claim, answers)
    await answers.keep(once.claim, _answer_of(response, bytes(response.body)))
    return response


async def _failed(
    once: _Once, claim: Claim, error: BaseException, call: CallRecord, operation: Operation | None, given_up: bool
) -> None:
    """Settle the claim of a request that failed."""
    tried = call.attempts > 0  # a provider was asked, or was about to be
    if isinstance(error, asyncio.CancelledError):
        free = given_up and (not call.maybe or _leaves_nothing(operation, once.fields))
    elif isinstance(error, Refused):
        gone = error.code in _GONE
        free = not call.maybe or (gone and _leaves_nothing(operation, once.fields))
    elif isinstance(error, CallsheetError):
        if tried and (call.maybe or _stays(error)):
            response = error_response(error)
            await once.answers.keep(claim, _answer_of(response, bytes(response.body)))
            return
        free = True
    else:
        free = isinstance(error, sqlite3.Error) and not tried
    if free:
        await once.answers.free(claim)
    else:
        once.answers.leave(claim)


def _leaves_nothing(operation: Operation | None, fields: object) -> bool:
    """Whether a request that may have been accepted leaves nothing behind but its price: then it may be sent again."""
    if operation is None or not isinstance(fields, Mapping):
        return False
    try:
        return operation.may_resend_blindly(operation.request.model_validate(fields), 1)
    except ValidationError:  # what the fields make together with the path, say: of that nothing is known here
        return False


def _stays(error: CallsheetError) -> bool:
    """Whether a provider's error may mean that something was begun, or would be the same again."""
    if isinstance(error, Refused | UnsupportedOperation | ConfigurationError):
        return False  # that of who has left, say
    if isinstance(error, APIError) and error.should_retry is not None:
        return not error.should_retry
    if isinstance(error, APIConnectionError):
        return error.sent
    return error.status_code not in _NOTHING_DONE


@define(eq=False)
class _Recorded:
    """A stream that is remembered while it is sent, and written down before its end is. One that breaks off is lost."""

    response: StreamingResponse
    claim: Claim
    answers: Answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces, fits, ended = list[bytes](), True, False

        async def sent(message: Message) -> None:
            nonlocal fits, ended
            if message["type"] == "http.response.body":
                piece = message.get("body", b"")
                if fits := fits and _takes(piece):
                    pieces.append(piece)
                if not message.get("more_body"):
                    ended = True
                    whole = fits and record_in(scope).error is None  # a failure on the way is an event like others
                    answer = _answer_of(self.response, b"".join(pieces)) if whole else None
                    await self.answers.keep(self.claim, answer)
            await send(message)

        with self.answers.room.lease(MOST_OF_STREAMS) as lease:

            def _takes(piece: bytes) -> bool:
                try:
                    lease.take(len(piece))
                except Refused:
                    return False
                return lease.used <= MOST_OF_STREAM

            try:
                await self.response(scope, receive, sent)
            finally:
                if not ended:
                    await self.answers.keep(self.claim, None)


def _answer_of(response: Response, body: bytes) -> Answer:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
    # Limits are those of the moment.
    return Answer(
        response.status_code,
        [pair for pair in headers if pair[0] != "content-length" and not pair[0].startswith("x-ratelimit-")],
        body,
    )


def _named(principal: Principal) -> str:
    """Whose keys are told apart: an owner's programs may help each other out, and a key that was rotated is the same."""
    return f"the {principal.name} key" if principal.admin else f"owner {principal.owner}"


def _canonical(fields: object) -> str:
    """A text that is the same for the same fields, however they were spelled."""
    return json.dumps(_plain(fields), sort_keys=True, default=_hashed)


def _plain(value: object) -> object:
    """A value whose equal numbers are the same: clients write 1 and 1.0, -0.0 and 0 as their language likes."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def _hashed(value: object) -> list[str]:
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    assert isinstance(value, Upload)
    digest = hashlib.sha256()
    value.source.seek(0)
    for piece in iter(partial(value.source.read, _CHUNK), b""):
        digest.update(piece)
    value.source.seek(0)
    return ["file", value.content_type, digest.hexdigest()]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
