"""The fake vendor: OpenAI's wire with one account behind it, strict about requests and exact about answers.

    fake = FakeUpstream()
    with fake.serve() as url:                                  # a real server on loopback
        client = Client("acme/sora-2", api_key=FAKE_KEY, base_url=url)
    client = Client(..., transport=fake.blocking_transport())  # or without a socket, at any address
    assert not fake.problems

Another vendor of the same wire is a subclass: see the methods from `key_of` to `annotate_events`.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from attrs import define, field

from callsheet.testing.answers import Answer, Mark, Step, document
from callsheet.testing.book import Book, Entry, Problem
from callsheet.testing.faults import Fault, Happened
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.requests import check_headers, check_query, read_body
from callsheet.testing.routes import ROUTES, Route, find_route
from callsheet.testing.seen import Seen
from callsheet.testing.state import State

if TYPE_CHECKING:
    import ssl

    from callsheet.testing.inprocess import AsyncFakeTransport, BlockingFakeTransport

__all__ = ["FAKE_KEY", "FakeUpstream"]

FAKE_KEY = "sk-fake-0123456789"


@define(eq=False, slots=False)
class FakeUpstream:
    """One vendor account in memory. Safe to use from several threads, servers and transports at once."""

    prefix: str = "/v1"
    keys: Collection[str] = field(factory=lambda: {FAKE_KEY}, repr=False)
    polls_until_done: int = 2
    """How often a video (or a response in the background) must be looked at until it is done."""
    clock: Callable[[], float] = time.time
    seed: str = ""
    """Fakes with different seeds give different ids."""
    extra_fields: set[str] = field(factory=set)
    """Fields that requests may have beyond OpenAI's. Those whose names begin with "x_" always may."""
    reply: str = "Paris, of course – la ville lumière."
    """What responses and chats say."""
    video_bytes: int = 96 * 1024
    """The length of a video's content."""
    poll_after: float | None = None
    """Seconds: what `openai-poll-after-ms` asks for, if anything."""

    seen: list[Seen] = field(factory=list, init=False)
    problems: list[Problem] = field(factory=list, init=False)
    book: Book = field(factory=Book, init=False)
    state: State = field(init=False, repr=False)
    connections: int = field(default=0, init=False)
    """How many connections to its servers are open."""
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _faults: list[tuple[str | None, Fault, float]] = field(factory=list, init=False, repr=False)
    _failures: list[tuple[str, str]] = field(factory=list, init=False, repr=False)
    _rehearsing: bool = field(default=False, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.state = State(self.seed)

    # How tests use it

    def serve(self, tls: ssl.SSLContext | None = None) -> AbstractContextManager[str]:
        """Run a server on loopback; the context manager gives its URL, prefix included."""
        from callsheet.testing.server import serving

        return serving(self, tls)

    def blocking_transport(self) -> BlockingFakeTransport:
        """A way here without a socket, for `Client(transport=...)`. Any host name leads here."""
        from callsheet.testing.inprocess import BlockingFakeTransport

        return BlockingFakeTransport(self)

    def async_transport(self) -> AsyncFakeTransport:
        """The same for `AsyncClient`, under asyncio and trio."""
        from callsheet.testing.inprocess import AsyncFakeTransport

        return AsyncFakeTransport(self)

    def fail(self, route: str | None, fault: Fault, times: int | None = 1) -> Fault:
        """Let a fault happen to the next requests of a route ("POST /videos", None for any), `times` of them or all.

        Faults wait in line; when they are used up, service is normal again. One that happens after acceptance waits for
        a request that is accepted.
        """
        if route is not None and route not in {known.name for known in ROUTES}:
            raise ValueError(f"there is no route {route!r}; there are: {', '.join(known.name for known in ROUTES)}")
        with self._lock:
            self._faults.append((route, fault, float("inf") if times is None else times))
        return fault

    def fail_job(self, code: str = "moderation_blocked", message: str = "Your request was blocked.") -> None:
        """Let the next video job that is accepted end as failed."""
        with self._lock:
            self._failures.append((code, message))

    def offers(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> Iterator[Step]:
        """Take a request in, and tell step by step what comes back. Both doors, server and transports, lead here."""
        path, _, query = target.partition("?")
        with self._lock:
            pairs = parse_qsl(query, keep_blank_values=True)
            lower = [(name.lower(), value) for name, value in headers]
            seen = Seen(len(self.seen), method, path, pairs, lower, body)
            self.seen.append(seen)
            route, ids = find_route(self.prefix, method, path)
            seen.route = route.name if route else None
            fault = self._waiting(seen.route)
            if fault is None:
                return self._dressed(self._served(seen, route, ids), seen).steps()
            if fault.after_accept:
                answer = self._served(seen, route, ids)
                if answer.status >= 400:
                    return self._dressed(answer, seen).steps()
            else:
                answer = self._rehearsed(seen, route, ids)
            self._use_up(fault)
            return self._noting(fault, seen, self._dressed(answer, seen))

    def connected(self, more: int) -> None:
        """Count a connection that began (1) or ended (-1)."""
        with self._lock:
            self.connections += more

    def problem(self, message: str, seen: Seen | None = None, param: str | None = None) -> None:
        """Note a violation of the wire."""
        self.problems.append(Problem(None if seen is None else seen.number, message, param))

    # What a subclass may change

    def key_of(self, seen: Seen) -> str:
        """The credential that a request shows. Violation if it shows none, or not in this vendor's way."""
        values = seen.all("authorization")
        if seen.all("api-key") or seen.all("x-api-key"):
            raise Violation("A key came in a header that is not this vendor's.", 401, code="invalid_api_key")
        if len(values) != 1 or not values[0].startswith("Bearer ") or " " in values[0][7:] or not values[0][7:]:
            raise Violation(
                "You didn't provide an API key in an Authorization header using Bearer auth.",
                401,
                code="missing_api_key",
            )
        return values[0].removeprefix("Bearer ")

    def is_ephemeral(self, key: str) -> bool:
        """Whether a credential is of the kind that `POST /realtime/client_secrets` gives."""
        return key.startswith("ek_")

    def query_allowed(self, route: Route) -> Collection[str]:
        """The query parameters that a route knows."""
        return route.query

    def check_call(self, seen: Seen) -> None:
        """Which credential goes with which form at `POST /realtime/calls`: raw SDP with an ephemeral key, else a form."""
        if (seen.content_type == "application/sdp") != self.is_ephemeral(seen.key or ""):
            raise Violation("Raw SDP goes with an ephemeral key, a form with the API key.", 401, code="invalid_api_key")

    def location(self, call_id: str) -> str:
        """How the `Location` of a call is spelled."""
        return f"{self.prefix}/realtime/calls/{call_id}"

    def extra_headers(self, seen: Seen) -> Mapping[str, str]:
        """What every answer carries: the request's id, limits, and what else this vendor adds."""
        return {
            "x-request-id": f"req_{seen.number:032x}",
            "openai-organization": "org-fake",
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-remaining-tokens": "29976",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-reset-tokens": "6m0s",
        }

    def error_document(self, error: Refusal) -> object:
        """The body of an error."""
        return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}

    def annotate(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  for subclasses
        """What a vendor adds to a document: kinds are video, character, response and chat."""
        return value

    def annotate_events(self, kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: ARG002
        """What a vendor adds to a stream: kinds are response and chat."""
        return events

    # How it works

    def now(self) -> int:
        return int(self.clock())

    def begin(self, seen: Seen, kind: str, id: str, model: str | None = None) -> None:
        """Write into the book that work was begun."""
        if not self._rehearsing:
            self.book.entries.append(Entry(kind, id, seen.number, model))

    def next_failure(self) -> tuple[str, str] | None:
        """How the job that is accepted now will fail, if it is told to."""
        if not self._failures:
            return None
        return self._failures[0] if self._rehearsing else self._failures.pop(0)

    def _waiting(self, route: str | None) -> Fault | None:
        return next((fault for wanted, fault, _ in self._faults if wanted in {None, route}), None)

    def _use_up(self, fault: Fault) -> None:
        number = next(number for number, waiting in enumerate(self._faults) if waiting[1] is fault)
        wanted, _, left = self._faults[number]
        self._faults[number : number + 1] = [(wanted, fault, left - 1)] if left > 1 else []

    def _noting(self, fault: Fault, seen: Seen, answer: Answer) -> Iterator[Step]:
        def error(status: int, message: str, *, type: str, code: str | None, headers: Mapping[str, str]) -> Answer:
            made = document(self.error_document(Refusal(message, status, type=type, code=code)), status, headers)
            return self._dressed(made, seen)

        for step in fault.steps(answer, error):
            if isinstance(step, Mark):
                fault.happened.append(Happened(seen.number, step.stage, len(self.book.of_request(seen.number))))
            else:
                yield step

    def _rehearsed(self, seen: Seen, route: Route | None, ids: list[str]) -> Answer:
        """The answer that there would be, without anything being begun."""
        before = self.state
        self.state, self._rehearsing = copy.deepcopy(before), True
        self.state.seed += "never"  # ids that nobody will know
        try:
            return self._served(seen, route, ids)
        finally:
            self.state, self._rehearsing = before, False

    def _served(self, seen: Seen, route: Route | None, ids: list[str]) -> Answer:
        try:
            check_headers(seen)
            if route is None:
                raise Violation(f"Invalid URL ({seen.method} {seen.path})", 404)
            self._authorise(seen, route)
            check_query(seen, self.query_allowed(route))
            read_body(seen, route)
            return route.handler(self, seen, *ids)
        except Refusal as error:
            if isinstance(error, Violation):
                self.problem(error.message, seen, error.param)
            return document(self.error_document(error), error.status)

    def _authorise(self, seen: Seen, route: Route) -> None:
        seen.key = self.key_of(seen)
        if self.is_ephemeral(seen.key):
            if not route.takes_ephemeral:
                raise Violation("An ephemeral key opens calls, and nothing else.", 401, code="invalid_api_key")
            secret = self.state.secrets.get(seen.key)
            if secret is None or secret.expires_at <= self.clock():
                raise Refusal("The ephemeral key is wrong or has expired.", 401, code="invalid_api_key")
        elif seen.key not in self.keys:
            raise Refusal(f"Incorrect API key provided: {seen.key[:6]}****.", 401, code="invalid_api_key")

    def _dressed(self, answer: Answer, seen: Seen) -> Answer:
        headers = {**self.extra_headers(seen), **answer.headers}
        return Answer(answer.status, headers, answer.pieces, answer.stream, answer.content_from, answer.last)
