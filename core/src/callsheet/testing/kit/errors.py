"""Group E: what goes wrong, and what the caller hears of it."""

from __future__ import annotations

import copy
import json
import pickle
import socket
from email.utils import formatdate
from functools import partial
from itertools import product
from typing import Any

import pytest

from callsheet import (
    OPERATIONS,
    APIConnectionError,
    APITimeoutError,
    BlockingTransport,
    CallsheetError,
    InternalServerError,
    RateLimitError,
    Result,
    status_error,
)
from callsheet.drive import finish
from callsheet.testing.faults import Fault
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import MODES, NOW, Bench, Desk
from callsheet.testing.kit.catalogue import any_operation, check
from callsheet.testing.kit.samples import sample
from callsheet.testing.kit.sent import Outcome, asked, requests_of, upstream_id
from callsheet.testing.kit.upsets import answered
from callsheet.testing.refusals import Refusal
from callsheet.testing.wire import Wire

__all__ = ["ErrorTests"]

STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504)
WORDS = "The vendor's own words about the goose"
GARBAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "a page": (b"<!doctype html><html><body>Please wait</body></html>", "text/html"),
    "half a document": (b'{"id": "x_1", "status": ', "application/json"),
    "an empty object": (b"{}", "application/json"),
    "a list": (b"[]", "application/json"),
    "a text": (b'"ok"', "application/json"),
    "a number": (b"7", "application/json"),
    "null": (b"null", "application/json"),
    "no UTF-8": (b'{"id": "\xff\xfe"}', "application/json"),
    "objects for texts": (
        b'{"id": {}, "job": {}, "name": {}, "status": {}, "state": {}, "value": {}, "output": {}}',
        "application/json",
    ),
}
TAKES_ANYTHING = {"delete_video", "delete_response", "hang_up", "download_video"}
"""Where an answer may say nothing, or anything."""
ELSEWHERE = "https://elsewhere.example/taken"


class ErrorTests(KitTests):
    """E01 to E07."""

    @check("E01", over=any_operation)
    def test_e01_statuses(self, bench: Bench, operation: str) -> None:
        """Each error status becomes its error, with the vendor's words, code and request id; nothing is bought twice.

        If this fails: let io raise what `Provider.error` makes of the answer; override `error` where your vendor spells it
        in another way, by `status_error`.
        """
        for status, place in product(STATUSES, _places(bench, operation)):
            done, wire = _failing(bench, operation, Fault.status(status, message=WORDS, code="goose"), place)
            wanted = type(status_error(status, ""))
            assert done.error is not None, f"{operation}: {status} is no error"
            ours = next(kind for kind in type(done.error).__mro__ if kind.__module__ == "callsheet.errors")
            assert ours is wanted, f"{operation}: {status} became {type(done.error).__name__}, not {wanted.__name__}"
            assert done.error.status_code == status, f"{operation}: the status of {status} is {done.error.status_code}"
            told = json.dumps(wire.error_document(Refusal(WORDS, status, code="goose")))
            kept = WORDS in str(done.error) or WORDS not in told  # some vendors have words of their own for a status
            assert kept, f"{operation}: {status} lost the vendor's words: {done.error}"
            assert done.error.code == "goose" or '"goose"' not in told, f"{operation}: {status} lost the vendor's code"
            given = wire.extra_headers(wire.seen[-1]).get("x-request-id")
            assert given in {None, done.error.request_id}, f"{operation}: {status} lost the request id {given}"
            assert done.error.provider == bench.name
        if OPERATIONS[operation].after_ambiguity == "never":
            for fault in (Fault.status(500, after_accept=True), Fault.reset_before_headers(after_accept=True)):
                done, wire = _failing(bench, operation, fault)
                begun = len(wire.book.of_request(done.seen[-1].number)) if done.seen else 0
                several = [seen for seen in done.seen if wire.book.of_request(seen.number)]
                assert len(several) <= 1, f"{operation}: after {fault.name} the work was begun {len(several)} times"
                assert not begun or getattr(done.error, "should_retry", None) is False, (
                    f"{operation}: after {fault.name} the error does not say that trying again could pay twice"
                )

    @check("E02", over=any_operation)
    def test_e02_status_before_words(self, bench: Bench, operation: str) -> None:
        """The status decides what an error is, whatever words stand in it.

        If this fails: do not look for words such as "policy" or "quota" in messages; a 500 that quotes them is a 500.
        """
        words = "invalid api key: content policy violation, rate limit, not found, insufficient quota"
        done, _ = _failing(bench, operation, Fault.status(500, message=words))
        if not done.seen:
            pytest.skip(f"{operation} asks the vendor nothing")
        assert isinstance(done.error, InternalServerError), f"{operation}: 500 became {done.error!r}"
        done, _ = _failing(bench, operation, Fault.status(403, message="internal server error, try again later"))
        assert done.error is not None
        assert done.error.status_code == 403, f"{operation}: 403 became {done.error!r}"

    @check("E03", over=any_operation)
    def test_e03_retry_after(self, bench: Bench, operation: str) -> None:
        """What the vendor says of when to come back reaches the caller, in seconds or as a date.

        If this fails: pass `retry_after` on when you override `error` (callsheet.headers.retry_after reads it).
        """
        hints = {"7": 7.0, formatdate(NOW + 3600 * 24 * 3650, usegmt=True): None}
        for hint, seconds in hints.items():
            done, _ = _failing(bench, operation, Fault.status(429, headers={"retry-after": hint}))
            if not done.seen:
                pytest.skip(f"{operation} asks the vendor nothing")
            assert isinstance(done.error, RateLimitError), f"{operation}: 429 became {done.error!r}"
            assert done.error.retry_after is not None, f"{operation}: Retry-After: {hint} is lost"
            assert seconds is None or done.error.retry_after == seconds, (
                f"{operation}: Retry-After: {hint} became {done.error.retry_after}"
            )
            short = [pause for pause in done.slept if seconds is not None and pause < seconds]
            assert not short, f"{operation}: the vendor asked for {hint} s, and was asked again after {short}"

    @check("E04", over=any_operation)
    def test_e04_garbage(self, bench: Bench, operation: str) -> None:
        """An answer that can't be understood is an error of callsheet's, never a KeyError, and never a result.

        If this fails: take what you need from `reply.document()`; a field that must be there is read by `document["id"]`.
        """
        kept_raw = not issubclass(OPERATIONS[operation].result or Result, Result)
        for (name, (content, kind)), place in product(GARBAGE.items(), _places(bench, operation)):
            if kept_raw and name == "objects for texts":
                continue  # documents are handed on as they came
            if operation.startswith("list_") and name in {"a list", "an empty object"}:
                continue  # of nothing, some vendors say it so
            done = _guarded(bench, operation, answered(content, kind), name, place)
            if operation not in TAKES_ANYTHING:
                assert done.error is not None, f"{operation}: {name} was taken for an answer: {done.result!r:.200}"
        lie = answered(b'{"id": "x"}', content_encoding="gzip")
        done = _guarded(bench, operation, lie, "a gzip that is none")
        assert done.error is not None or operation in TAKES_ANYTHING - {"download_video"}

    @check("E05", over=any_operation)
    def test_e05_no_answer(self, bench: Bench, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no answer comes - refused, unknown host, no TLS, reset, silence - the error says so, with its cause.

        If this fails: let errors of io pass, or `raise ... from` them.
        """
        for mode, place in product(MODES, _places(bench, operation)):
            reset = partial(_fail, Fault.reset_before_headers(), place)
            done = asked(bench, operation, mode=mode, before=reset)
            assert isinstance(done.error, APIConnectionError), f"{operation}, {mode}: a reset became {done.error!r}"
            done = asked(
                bench,
                operation,
                mode=mode,
                before=lambda w: w.fail(None, Fault.stall_after_headers(), times=None),
                timeout=0.3,
            )
            if operation != "download_video":
                assert isinstance(done.error, APITimeoutError), f"{operation}, {mode}: silence became {done.error!r}"
        wire = bench.wire()
        with socket.socket() as taken, wire.serve() as served:
            without_tls = served.removesuffix(wire.prefix).replace("http:", "https:", 1)
            taken.bind(("127.0.0.1", 0))  # and nobody listens
            port = taken.getsockname()[1]
            fields = _without_past(bench, operation)
            for url in (f"http://127.0.0.1:{port}", without_tls, "https://nowhere.invalid"):
                if "nowhere" in url:
                    monkeypatch.setattr(socket, "getaddrinfo", _unknown_host)
                error = _unreached(bench, operation, url, fields)
                assert isinstance(error, APIConnectionError), f"{operation} at {url}: {error!r}"
                assert error.__cause__ is not None, f"{operation} at {url}: the cause is lost"
                assert not error.sent, f"{operation} at {url}: it says that something was sent"

    @check("E06", over=any_operation)
    def test_e06_redirects(self, bench: Bench, operation: str) -> None:
        """Where an answer points elsewhere, the key does not go along; only downloads follow at all.

        If this fails: send by io, and address other hosts by Request(..., auth=None).
        """

        async def scene(desk: Desk) -> tuple[list[Any], str]:
            assert desk.wire is not None
            fields = await sample(desk, operation)
            start = len(desk.transport.asked)
            desk.wire.fail(None, Fault.redirect(ELSEWHERE), times=1)
            try:
                await desk.call(operation, **fields)
            except CallsheetError as error:
                return desk.transport.asked[start:], repr(error)
            return desk.transport.asked[start:], ""

        wire = bench.wire()
        requests, _ = bench.play(scene, wire=wire)
        if not requests:
            pytest.skip(f"{operation} asks the vendor nothing")
        away = [request for request in requests if "elsewhere.example" in request.url]
        assert not away or OPERATIONS[operation].method == "GET", (
            f"{operation}: a {requests[0].method} was sent on elsewhere"
        )
        for request in away:
            shown = f"{request.url} {request.headers}"
            assert not any(key in shown for key in wire.keys), f"{operation}: the key went along to another host"

    @check("E07", over=any_operation)
    def test_e07_errors_travel(self, bench: Bench, operation: str) -> None:
        """Errors can be pickled and copied, and lose nothing.

        If this fails: give an error class of your own the arguments of its base, or set attributes after making it.
        """
        for fault in (
            Fault.status(400, message=WORDS, code="goose"),
            Fault.status(429, retry_after=9),
            Fault.bad_json(),
        ):
            done, _ = _failing(bench, operation, fault)
            if done.error is None:
                pytest.skip(f"{operation} asks the vendor nothing, or takes anything")
            for other in (pickle.loads(pickle.dumps(done.error)), copy.copy(done.error)):  # noqa: S301  our own
                assert type(other) is type(done.error)
                assert str(other) == str(done.error)
                for name in ("status_code", "code", "param", "request_id", "retry_after", "provider"):
                    assert getattr(other, name) == getattr(done.error, name), f"{name} is lost on the way"


def _fail(fault: Fault, place: int, wire: Wire) -> None:
    wire.fail(None, fault, times=None, after=place)


def _places(bench: Bench, operation: str) -> range:
    """The requests that a call sends, by their numbers: what goes wrong may go wrong with each."""
    number = requests_of(bench, operation)
    if not number:
        pytest.skip(f"{operation} asks the vendor nothing")
    return range(number)


def _failing(bench: Bench, operation: str, fault: Fault, place: int = 0) -> tuple[Outcome, Wire]:
    """What a call comes to when, from the request number `place` on, every one fails in one way."""
    wire = bench.wire()
    return asked(bench, operation, wire=wire, before=partial(_fail, fault, place)), wire


def _guarded(bench: Bench, operation: str, fault: Fault, name: str, place: int = 0) -> Outcome:
    try:
        return asked(bench, operation, before=partial(_fail, fault, place), after=_read)
    except (pytest.fail.Exception, pytest.skip.Exception):
        raise
    except Exception as error:
        pytest.fail(f"{operation}: {name} became {type(error).__name__}: {error}, which is no error of callsheet's")


async def _read(result: Any) -> Any:
    """A download is not over before it is read."""
    if hasattr(result, "__anext__"):
        async with result:
            return b"".join([piece async for piece in result if isinstance(piece, bytes)])
    return result


def _without_past(bench: Bench, operation: str) -> dict[str, Any]:
    """The fields of a right request, of which nobody at the other end needs to know."""

    async def scene(desk: Desk) -> dict[str, Any]:
        return await sample(desk, operation)

    return bench.play(scene)


class Hasty(BlockingTransport):
    """A real transport that does not pause between attempts."""

    async def sleep(self, seconds: float) -> None:
        pass


def _unreached(bench: Bench, operation: str, url: str, fields: dict[str, Any]) -> Exception | None:
    """What a call comes to over a real transport, where there is nobody."""
    transport = Hasty()
    desk = bench.desk(transport, bench.wire(), url + bench.wire().prefix)
    # Ids name their account, and another address is another account: the vendor's own ids are told instead.
    told = {name: upstream_id(desk, value) for name, value in fields.items()}
    try:
        finish(desk.call(operation, **told, timeout=5))
    except CallsheetError as error:
        return error
    finally:
        desk.close()
        transport.close()
    return None


def _unknown_host(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
