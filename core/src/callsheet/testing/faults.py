"""What can go wrong on the way, as scripts that the fake plays instead of its answer.

    fake.fail("POST /videos", Fault.status(503, after_accept=True))
    fake.fail("GET /videos/{video_id}", Fault.slow_body(interval=0.1), times=2)

`after_accept` says on which side of the vendor's acceptance it happens: before, nothing was begun and nothing will be
billed; after, the work is in the book and only the answer is lost. For a GET there is no difference.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Protocol, TypeAlias

from attrs import define, field, frozen

from callsheet.testing.answers import Answer, Data, End, Mark, Pause, Reset, Stall, Step

__all__ = ["FAULTS", "Fault", "Happened"]

MEGABYTE = 1024 * 1024
REJECTIONS = {400, 401, 403, 404, 422, 429}
"""Statuses that say that nothing was begun. There is no such answer after acceptance."""
_MEANINGS = {
    400: ("invalid_request_error", "invalid_value", "The request was not understood."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported.",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("server_error", "timeout", "The request took too long."),
    409: ("invalid_request_error", "conflict", "The resource is busy."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    503: ("service_unavailable_error", "server_is_overloaded", "The server is overloaded."),
}


class MakeError(Protocol):
    """How the fake spells an error."""

    def __call__(
        self, status: int, message: str, *, type: str, code: str | None, headers: Mapping[str, str]
    ) -> Answer: ...


Script: TypeAlias = Callable[[Answer, MakeError], Iterator[Step]]


@frozen
class Happened:
    """Proof that a fault happened: to which request, at which stage, and how much work that request had begun by then."""

    request: int
    stage: str
    begun: int


@define(eq=False)
class Fault:
    """One thing that goes wrong. Make it by one of the class methods; `happened` proves that and when it took place."""

    name: str
    after_accept: bool
    _script: Script = field(repr=False)
    happened: list[Happened] = field(factory=list, init=False)

    def steps(self, answer: Answer, make_error: MakeError) -> Iterator[Step]:
        """What reaches the other side in place of `answer`."""
        return self._script(answer, make_error)

    @classmethod
    def status(
        cls,
        status: int,
        *,
        after_accept: bool = False,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        message: str | None = None,
        code: str | None = None,
    ) -> Fault:
        """An error answer. ValueError for a rejection after acceptance: by its meaning nothing was begun.

        `retry_after` is in seconds; a fraction is told by `retry-after-ms`, too.
        """
        if after_accept and status in REJECTIONS:
            raise ValueError(f"{status} says that nothing was begun: it can't come after acceptance")
        kind, usual, words = _MEANINGS.get(status, ("server_error", None, "The server had an error."))
        told = dict(headers or {})
        if retry_after is not None:
            told["retry-after"] = str(max(1, math.ceil(retry_after)))
            if retry_after != int(retry_after):
                told["retry-after-ms"] = str(round(retry_after * 1000))

        def script(_answer: Answer, make_error: MakeError) -> Iterator[Step]:
            yield Mark("answer")
            made = make_error(status, message or words, type=kind, code=code or usual, headers=told)
            yield from made.steps()

        return cls(str(status), after_accept, script)

    @classmethod
    def reset_before_headers(cls, *, after_accept: bool = False) -> Fault:
        """The connection is reset where the answer should begin."""

        def script(_answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield Mark("before headers")
            yield Reset()

        return cls("reset before headers", after_accept, script)

    @classmethod
    def slow_headers(cls, interval: float = 1.0, *, after_accept: bool = False) -> Fault:
        """The answer is right, but its headers come a byte at a time."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield Mark("in headers")
            head = answer.head()
            yield type(head)(head.status, head.headers, interval)
            yield from list(answer.steps())[1:]

        return cls("slow headers", after_accept, script)

    @classmethod
    def stall_after_headers(cls, *, after_accept: bool = False) -> Fault:
        """The headers come, and then nothing."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield answer.head()
            yield Mark("after headers")
            yield Stall()

        return cls("headers then stall", after_accept, script)

    @classmethod
    def slow_body(cls, interval: float = 1.0, *, after_accept: bool = False) -> Fault:
        """The answer is right, but its body comes a byte at a time."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield answer.head()
            yield Mark("in body")
            for piece in answer.pieces:
                yield Data(piece, interval)
            yield End()

        return cls("slow body", after_accept, script)

    @classmethod
    def reset_in_body(cls, *, pause: float = 0.05, after_accept: bool = False) -> Fault:
        """Half of the body, and a reset. `pause` is how long what was sent has to arrive: an RST overtakes it."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield answer.head()
            yield from _until_half(answer)
            yield Pause(pause)
            yield Mark("in body")
            yield Reset()

        return cls("reset in body", after_accept, script)

    @classmethod
    def reset_in_stream(cls, *, after_content: bool, pause: float = 0.05, after_accept: bool = True) -> Fault:
        """A reset in an event stream: after lifecycle events only, or after the first content."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield answer.head()
            if after_content:
                yield from _until_content(answer)
            else:
                yield from map(Data, answer.pieces[: answer.content_from])
            yield Pause(pause)
            yield Mark("in stream, after content" if after_content else "in stream, before content")
            yield Reset()

        return cls(f"reset in stream {'after' if after_content else 'before'} content", after_accept, script)

    @classmethod
    def stream_without_end(cls, *, after_accept: bool = True) -> Fault:
        """A stream that ends well as far as HTTP goes, but stops in the middle of what it has to say."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            half = list(_until_half(answer))
            yield answer.head(sum(len(step.content) for step in half))
            yield from half
            yield Mark("in stream, after content")
            yield End()

        return cls("stream without end", after_accept, script)

    @classmethod
    def bad_json(cls, *, after_accept: bool = False) -> Fault:
        """200, and a body that is no JSON."""
        return cls._replaced("bad JSON", b'{"id": "video_1", "status": ', "application/json", after_accept)

    @classmethod
    def html(cls, *, after_accept: bool = False) -> Fault:
        """200, and a page of some proxy's."""
        page = b"<!doctype html><html><head><title>Please wait</title></head><body>...</body></html>"
        return cls._replaced("HTML", page, "text/html; charset=utf-8", after_accept)

    @classmethod
    def truncated_gzip(cls, *, after_accept: bool = False) -> Fault:
        """A body that is compressed though nobody asked for it, and ends too soon."""

        def changed(answer: Answer) -> Answer:
            content = gzip.compress(answer.body or b"{}", mtime=0)
            return _plain(answer, content[: len(content) // 2], content_encoding="gzip")

        return cls._changed("truncated gzip", changed, after_accept)

    @classmethod
    def gzip_bomb(cls, size: int = 1024 * MEGABYTE, *, after_accept: bool = False) -> Fault:
        """A compressed body that would be `size` bytes long."""
        return cls._changed(
            "gzip bomb", lambda answer: _plain(answer, _bomb(size), content_encoding="gzip"), after_accept
        )

    @classmethod
    def huge_headers(cls, size: int = MEGABYTE, *, after_accept: bool = False) -> Fault:
        """So many bytes of headers."""

        def changed(answer: Answer) -> Answer:
            padding = {f"x-padding-{number}": "p" * (size // 16) for number in range(16)}
            return _with_headers(answer, padding)

        return cls._changed("huge headers", changed, after_accept, stage="in headers")

    @classmethod
    def huge_line(cls, size: int = 64 * MEGABYTE, *, after_accept: bool = False) -> Fault:
        """An event stream with one line of so many bytes."""

        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield _as_stream(answer).head()
            if answer.stream:
                yield from map(Data, answer.pieces[: answer.content_from])
            yield Data(b"data: ")
            yield Mark("in body")
            piece = b"x" * min(size, MEGABYTE)
            for _ in range(size // len(piece)):
                yield Data(piece)
            yield Data(b"\n\n")
            yield End()

        return cls("huge line", after_accept, script)

    @classmethod
    def bad_utf8(cls, *, after_accept: bool = False) -> Fault:
        """Bytes that are no UTF-8; in a stream, lines that end in a lone CR as well (which is allowed)."""

        def changed(answer: Answer) -> Answer:
            pieces = [piece.replace(b"\n", b"\r") if answer.stream else piece for piece in answer.pieces]
            spoiled = [piece.replace(b'":"', b'":"\xff\xc3', 1) for piece in pieces]
            if spoiled == pieces:  # no JSON
                spoiled = [*pieces, b"\xff\xc3"]
            return Answer(answer.status, answer.headers, spoiled, answer.stream, answer.content_from, answer.last)

        return cls._changed("bad UTF-8", changed, after_accept)

    @classmethod
    def redirect(cls, to: str = "http://127.0.0.1:9/latest/meta-data", *, after_accept: bool = False) -> Fault:
        """302 to an address that is not the vendor's."""

        def changed(answer: Answer) -> Answer:
            kept = {name: value for name, value in answer.headers.items() if name != "content-type"}
            return Answer(302, {**kept, "location": to})

        return cls._changed("redirect", changed, after_accept)

    @classmethod
    def _replaced(cls, name: str, content: bytes, content_type: str, after_accept: bool) -> Fault:
        def changed(answer: Answer) -> Answer:
            return Answer(200, {**answer.headers, "content-type": content_type}, [content])

        return cls._changed(name, changed, after_accept)

    @classmethod
    def _changed(
        cls, name: str, change: Callable[[Answer], Answer], after_accept: bool, stage: str = "answer"
    ) -> Fault:
        def script(answer: Answer, _make_error: MakeError) -> Iterator[Step]:
            yield Mark(stage)
            yield from change(answer).steps()

        return cls(name, after_accept, script)


def _until_half(answer: Answer) -> Iterator[Data]:
    """The pieces up to the middle of what the answer has to say, and not to the end of it."""
    if len(answer.pieces) == 1:
        yield Data(answer.body[: len(answer.body) // 2])
        return
    enough = max(answer.content_from + 1, (len(answer.pieces) - answer.last) // 2)
    yield from map(Data, answer.pieces[: min(enough, len(answer.pieces) - 1)])


def _until_content(answer: Answer) -> Iterator[Data]:
    if len(answer.pieces) == 1:
        yield from _until_half(answer)
    else:
        yield from map(Data, answer.pieces[: answer.content_from + 1])


def _plain(answer: Answer, content: bytes, **headers: str) -> Answer:
    """The same answer with another body of known length."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(answer.status, {**answer.headers, **named}, [content])


def _with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return Answer(
        answer.status,
        {**answer.headers, **headers},
        answer.pieces,
        answer.stream,
        answer.content_from,
        answer.last,
    )


def _as_stream(answer: Answer) -> Answer:
    return Answer(200, {**answer.headers, "content-type": "text/event-stream; charset=utf-8"}, (), stream=True)


@cache
def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(min(size, MEGABYTE)), mtime=0) * (size // min(size, MEGABYTE))


FAULTS: Mapping[str, Callable[..., Fault]] = {
    "reset before headers": Fault.reset_before_headers,
    "slow headers": Fault.slow_headers,
    "headers then stall": Fault.stall_after_headers,
    "slow body": Fault.slow_body,
    "reset in body": Fault.reset_in_body,
    "reset in stream before content": partial(Fault.reset_in_stream, after_content=False),
    "reset in stream after content": partial(Fault.reset_in_stream, after_content=True),
    "stream without end": Fault.stream_without_end,
    **{str(status): partial(Fault.status, status) for status in (400, 401, 403, 404, 408, 409)},
    "429 + 2 s": partial(Fault.status, 429, retry_after=2),
    "429 + 3600 s": partial(Fault.status, 429, retry_after=3600),
    **{str(status): partial(Fault.status, status) for status in (500, 502, 503, 529)},
    "bad JSON": Fault.bad_json,
    "HTML": Fault.html,
    "truncated gzip": Fault.truncated_gzip,
    "gzip bomb": Fault.gzip_bomb,
    "huge headers": Fault.huge_headers,
    "huge line": Fault.huge_line,
    "bad UTF-8": Fault.bad_utf8,
    "redirect": Fault.redirect,
}
"""Every fault by its name; call it with `after_accept` and, where there are any, its delays or sizes."""
