"""What must hold of every cell. Each oracle says in words what does not.

O5 is the ledger's, and a single call has none: what it says of itself must agree with the vendor's bill. Where there are
several deployments all of them together are meant; what is about each of them stands in oracles_groups.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.faults.cells import REJECTIONS, Cell
from tests.faults.oracles_groups import of_groups
from tests.faults.play import HINT, Record

from callsheet import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

__all__ = ["attempts_wanted", "violations"]

UNSENT = {1, 2, 3, 4, 5, 6}
OUT_OF_TIME = {3, 6, 8, 9, 10}
STATUSES = {15: 400, 16: 401, 17: 403, 18: 404, 19: 408, 20: 409, 21: 429, 22: 429, 23: 500, 24: 502, 25: 503, 26: 529}
CLASSES: dict[int, type[APIError]] = {
    15: BadRequestError,
    16: AuthenticationError,
    17: PermissionDeniedError,
    18: NotFoundError,
    19: APIStatusError,
    20: ConflictError,
    21: RateLimitError,
    22: RateLimitError,
    **dict.fromkeys([23, 24, 25, 26], InternalServerError),
    **dict.fromkeys([1, 2, 4, 5, 7, 11, 12, 13, 31], APIConnectionError),
    **dict.fromkeys([3, 6, 8, 9, 10], APITimeoutError),
    **dict.fromkeys([14, 27, 28, 29, 30, 32, 33], APIResponseValidationError),
    34: APIStatusError,
}
IN_THE_BODY = {9, 10, 11, 12, 13, 14, 32, 33}
"""Faults after good headers: a stream or a download has begun by then."""
STAGES = {
    7: "before headers",
    8: "in headers",
    9: "after headers",
    10: "in body",
    11: "in body",
    12: "in stream, before content",
    13: "in stream, after content",
    14: "in stream, after content",
    31: "in headers",
    32: "in body",
}
ELSEWHERE = {16, 18, 22}
"""What is no use at the same deployment, and may be at another: its key, its models, its hour. (429: all but calls.)"""
NO_USE = {29, 30}
"""What is encoded unasked will be so again, and nobody is advised to try."""
ENDS = {"response.completed", "response.incomplete", "response.failed", "[DONE]"}
CONTENT = {"content", "response.output_text.delta"}
ALLOWANCE = 0.35
"""Seconds for a machine that is busy with other cells."""
BODY_ONLY_SAYS = {("bytes", 14), ("bytes", 33), ("stream", 33)}
"""Where the fault can't be told from a good answer: half of a file of unknown length, bytes of any kind."""


def violations(record: Record) -> list[str]:
    """Everything that must not be."""
    return [
        *_happened(record),
        *_one_job(record),
        *_right_error(record),
        *_in_time(record),
        *_billed(record),
        *(f"O4 secret: {secret} in a text" for secret in record.secrets),
        *(f"O4 secret: {headers} went to another host" for headers in record.trapped if _carries(headers)),
        *(f"O6 leak: {leak}" for leak in record.leaks),
        *_hint_obeyed(record),
        *_stream_ended(record),
        *_advice(record),
        *(of_groups(record, attempts_wanted(record.cell)) if record.cell.topology != "one" else ()),
        *(f"wire: {problem}" for problem in record.problems),
    ]


def attempts_wanted(cell: Cell) -> int:
    """How often the operation table lets a call be sent when the fault comes every time."""
    number, resend = cell.number, cell.op.resend
    if number in OUT_OF_TIME:
        return 1
    if cell.spreads and number in ELSEWHERE and (number != 22 or resend != "call"):
        return 2 if cell.topology == "two" or resend == "call" else 3
    if number in UNSENT:
        return 2 if resend == "call" else 3
    if number == 21:
        unsafe = resend == "never" and 429 not in cell.vendor.promises
        return 1 if resend == "call" or unsafe else 3
    if number in REJECTIONS | NO_USE or number == 34:
        return 1
    if _broke_in_the_body(cell):
        return 1
    if (cell.op.answer, number) in BODY_ONLY_SAYS:
        return 1
    if number == 25 and resend == "once":
        return 3
    return {"unstored": 3, "get": 3, "once": 2, "never": 1, "call": 1}[resend]


def requests_wanted(cell: Cell) -> int:
    """How many requests arrive in all: each attempt makes those before the fault again."""
    attempts, broken = attempts_wanted(cell), cell.op.before + (cell.number not in UNSENT)
    if cell.spreads and not cell.always:  # the second one does it
        return broken + (attempts > 1)
    whole = broken + cell.op.after
    if cell.always and not _succeeds(cell):
        return attempts * broken
    return whole if attempts == 1 and _succeeds(cell) else broken + (whole if attempts > 1 else 0)


def _succeeds(cell: Cell) -> bool:
    """Whether the call has a good end: the fault is none for this answer, or came once and was overcome."""
    return (cell.op.answer, cell.number) in BODY_ONLY_SAYS or (not cell.always and attempts_wanted(cell) > 1)


def _broke_in_the_body(cell: Cell) -> bool:
    """Whether the caller had the answer in hand already. (A stream of events is no film: that is seen by its headers.)"""
    handed_out = cell.op.answer in {"stream", "bytes"} and cell.number in IN_THE_BODY
    return handed_out and (cell.op.answer, cell.number) != ("bytes", 32)


def _carries(headers: dict[str, str]) -> bool:
    keys = {"authorization", "x-access-token", "api-key", "x-goog-api-key"}
    return bool(keys & headers.keys()) or "canary" in str(headers)


def _happened(record: Record) -> Iterator[str]:
    """The fault happened, as often as it should, where it says, on its side of acceptance."""
    cell, wanted = record.cell, attempts_wanted(record.cell)
    if cell.number in UNSENT:
        if not record.proof:
            yield "fault: it is not proved that it happened"
        tries = wanted if cell.always else 1
        if record.tried is not None and record.tried != tries:
            yield f"O3 attempts: {record.tried} connections, {tries} wanted"
        if len(record.arrivals) != requests_wanted(cell):
            yield f"fault: {len(record.arrivals)} requests arrived, {requests_wanted(cell)} wanted"
        return
    expected = wanted if cell.always else 1
    if len(record.happened) != expected:
        yield f"fault: it happened {len(record.happened)} times, {expected} wanted"
    for happened in record.happened:
        if happened.stage != STAGES.get(cell.number, "answer"):
            yield f"fault: it happened {happened.stage}"
        if cell.op.mutates and happened.begun != (1 if cell.accept == "after" else 0):
            yield f"fault: {happened.begun} begun when it happened, in a cell {cell.accept or 'of a rejection'}"
    if len(record.arrivals) != requests_wanted(cell):
        yield f"O3 attempts: {len(record.arrivals)} requests, {requests_wanted(cell)} wanted"


def _one_job(record: Record) -> Iterator[str]:
    """O1: at most one accepted job for each call, wherever the table forbids to send again."""
    most = {"never": 1, "call": 1, "get": 0}.get(record.cell.op.resend, 3)
    if record.begun > most:
        yield f"O1 double send: {record.begun} jobs were begun by one call"


def _right_error(record: Record) -> Iterator[str]:
    """O2: an exception of the declared tree, with class, status, code and request id; or a good result."""
    cell, error = record.cell, record.error
    if _succeeds(cell):
        if error is not None:
            yield f"O2 outcome: {error!r:.200} where the call should have succeeded"
        elif cell.op.answer == "stream" and not CONTENT & set(record.events):
            yield "O2 outcome: a stream without content"
        return
    if error is None:
        yield f"O2 outcome: no error, but {record.result!r:.200}"
        return
    number = cell.number
    led_away = number == 34 and cell.op.answer == "bytes"
    kind = NotFoundError if led_away else CLASSES[number]
    if type(error) is not kind:
        yield f"O2 class: {type(error).__name__}, {kind.__name__} wanted: {error}"
        return
    wanted: dict[str, Any] = {"provider": cell.provider}
    if number in STATUSES or number == 34:
        status = STATUSES.get(number, 302)
        wanted |= {"status_code": 404 if led_away else status, "code": cell.vendor.codes.get(status)}
    elif kind is APIResponseValidationError:
        wanted |= {"status_code": 502}
    else:
        wanted |= {"status_code": 504 if kind is APITimeoutError else 502, "sent": number not in UNSENT}
    for name, value in wanted.items():
        if getattr(error, name) != value:
            yield f"O2 {name}: {getattr(error, name)!r}, {value!r} wanted"
    if number in STATUSES and not str(getattr(error, "request_id", "")).startswith("req_"):
        yield f"O2 request_id: {getattr(error, 'request_id', None)!r}"
    if any(name == "got.mp4" for name in record.files):
        yield f"O2 file: a download that failed left {record.files}"


def _in_time(record: Record) -> Iterator[str]:
    """O3: the deadline holds for the whole call; once a stream has begun, for each of its pieces."""
    limit = record.deadline * 1.05 + ALLOWANCE
    if record.cell.op.answer in {"stream", "bytes"} and record.cell.number in IN_THE_BODY:
        limit += record.deadline
    if record.seconds > limit:
        yield f"O3 time: {record.seconds:.2f} s, {limit:.2f} s allowed"


def _billed(record: Record) -> Iterator[str]:
    """O5: what the call says agrees with the bill, so that a ledger that is kept by what calls say is right."""
    cell, error, book = record.cell, record.error, record.book
    if wrong := [entry.kind for entry in book if entry.kind != cell.op.entry]:
        yield f"O5 bill: {wrong} on it, after {cell.op.entry or 'a look'}"
    lost = [happened.request for happened in record.happened]
    tries: int | None = len(record.arrivals)
    if cell.number in UNSENT and not cell.op.before:  # those that came to nothing count; others followed in a group
        tries = None if record.tried is None else record.tried + len(record.arrivals)
    if tries is not None and not (cell.op.before or cell.op.after) and record.attempts != tries:
        yield f"O5 attempts: {record.attempts} as the call says, and there were {tries}"
    if error is None and cell.op.entry:
        named = (record.named or "").lstrip("\ufffd")  # what fault 33 puts in front of a text that is an id
        if not book or book[-1].id != named:
            yield f"O5 bill: the result is {record.named}, and billed was {[entry.id for entry in book]}"
        if len(book) > 1 and cell.op.resend not in {"unstored", "once"}:
            yield f"O5 bill: {len(book)} entries for one result"
        if unexplained := [entry for entry in book[:-1] if entry.request not in lost]:
            yield f"O5 bill: {unexplained} without a fault that would have lost it"
    if error is None or not book:
        return
    if cell.number in UNSENT | REJECTIONS:
        yield f"O5 bill: {len(book)} entries, and nothing can have begun"
    if getattr(error, "sent", None) is False:
        yield f"O5 bill: {len(book)} entries, and the error says that nothing was sent"
    # Of what costs nothing (a secret that nobody uses) io keeps no account.
    if record.outcome != "maybe" and cell.op.resend != "once":
        yield f"O5 bill: {len(book)} entries, and io says {record.outcome}"
    if unexplained := [entry for entry in book if entry.request not in lost]:
        yield f"O5 bill: {unexplained} was paid for, and thrown away"


def _hint_obeyed(record: Record) -> Iterator[str]:
    """O7: the pause that the upstream asks for is kept, or there is no second attempt."""
    if record.cell.number == 21:
        for happened in record.happened:
            came = list(zip(record.arrivals, record.sides, strict=True))[happened.request :]
            earlier, *following = [at for at, side in came if side == came[0][1]]
            if following and (later := following[0]) - earlier < HINT:
                yield f"O7 hint: {later - earlier:.3f} s between attempts, {HINT} s asked for"
    if record.cell.number == 22 and record.seconds > 1:
        yield f"O7 hint: waited {record.seconds:.1f} s in spite of an hour's hint"


def _stream_ended(record: Record) -> Iterator[str]:
    """O9: a stream that broke says so, and says nothing that looks like an end."""
    cell = record.cell
    if cell.op.answer != "stream" or cell.number not in IN_THE_BODY or _succeeds(cell):
        return
    if ENDS & set(record.events):
        yield f"O9 stream: it broke, and there was {ENDS & set(record.events)}"
    if len(record.arrivals) > 1:
        yield f"O9 stream: {len(record.arrivals)} attempts though the answer had begun"
    if cell.number in {13, 14} and not CONTENT & set(record.events):
        yield f"O9 stream: the content did not reach the caller: {record.events}"
    if cell.number == 12 and CONTENT & set(record.events):
        yield "O9 stream: content before there was any"


def _advice(record: Record) -> Iterator[str]:
    """O10: no retry is advised where paid work may have begun, and the hint is handed on."""
    cell, error = record.cell, record.error
    if error is None or not isinstance(error, APIError):
        return
    # A vendor that turns paid work away, and does not promise that nothing began, is not asked again by anybody.
    unpromised = cell.number in {21, 22} and cell.op.resend == "never" and 429 not in cell.vendor.promises
    nothing_begun = (cell.number in UNSENT | REJECTIONS and not unpromised) or cell.op.looks
    # After the first byte that reached the caller the table lets nothing be sent again.
    final = cell.op.resend in {"never", "call"} or bool(record.events)
    if final and not nothing_begun and error.should_retry is not False:
        yield f"O10 should_retry: {error.should_retry}, False wanted: paid work may have begun"
    if nothing_begun and cell.number not in REJECTIONS | NO_USE and error.should_retry is False:
        yield "O10 should_retry: False though nothing was begun"
    wanted = {21: HINT, 22: 3600.0}.get(cell.number)
    if error.retry_after != wanted:
        yield f"O10 retry_after: {error.retry_after}, {wanted} wanted"
