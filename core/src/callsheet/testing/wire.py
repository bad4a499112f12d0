"""The fake vendor: what is the same for every wire. A vendor is a subclass that says how its wire is spelled.

    class AcmeWire(Wire):
        prefix = "/v1"
        key_header, key_prefix = "x-api-key", ""

        @route("POST", "/jobs", takes=JSON)
        def start(self, seen: Seen) -> Answer:
            fields = check(seen.document, {"text": text(1), "length": integer(1)}, ["text"])
            job = self.begin_job(seen, fields["text"])
            return document({"job": job.id, "state": "waiting"})

        @route("GET", "/jobs/{id}")
        def look(self, seen: Seen, id: str) -> Answer:
            job = self.look_at(id)
            return document({"job": id, "state": WORDS.get(job.status, job.status)})

It is strict: what no correct client sends is a `Violation`, and noted in `problems`.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from attrs import evolve

from callsheet.testing.answers import Answer, Mark, Step, document
from callsheet.testing.book import Book, Entry, Problem
from callsheet.testing.faults import Fault, Happened
from callsheet.testing.media import bytes_of
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.requests import check_headers, check_query, read_body
from callsheet.testing.route import Route, find_route, routes_of
from callsheet.testing.seen import Seen
from callsheet.testing.state import Job, State

if TYPE_CHECKING:
    import ssl

    from callsheet.testing.inprocess import AsyncFakeTransport, BlockingFakeTransport

__all__ = ["FAKE_KEY", "Wire"]

FAKE_KEY = "sk-fake-0123456789"


class Wire:
    """One vendor account in memory. Safe to use from several threads, servers and transports at once.

    Every class attribute below is a setting: a subclass may change it, and so may `AcmeWire(reply="Hi")`. What else a
    wire has to remember belongs into `self.state.kept`.
    """

    prefix: str = ""
    """What all paths begin with; an account's base URL ends with it."""
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    """How the key is shown."""
    model: str = "kit-model"
    """The model that a conformance test asks for, if the provider's `models` names none."""
    job_states: Collection[str] = ("queued", "in_progress", "completed", "failed")
    """The states that this vendor tells apart. Those of a job that are not among them are left out.

    It may have three more: "cancelled", "expired", and "empty": the job is done, and there is no result.
    """
    unknown_state: str | None = "hibernating"
    """A state that an adapter can't know. None if the wire could not tell one."""
    unknown_event: bytes | None = b'data: {"type": "x.weather", "x_weather": "fine"}\n\n'
    """An event that an adapter can't know. None if the wire could not tell one."""
    error_event: bytes | None = b'data: {"error": {"message": "The server had an error.", "code": "server_error"}}\n\n'
    """How an error is told in a stream that has begun. None if it is not."""
    polls_until_done: int = 2
    """How often a job must be looked at until it is done."""
    states: Sequence[str] | None = None
    """What new jobs go through, if `polls_until_done` does not say it: one state at the beginning, one more per look."""
    reply: str = "Paris, of course – la ville lumière."
    """What responses and chats say."""
    video_bytes: int = 96 * 1024
    """The length of a video's content."""
    keys: Collection[str] = frozenset({FAKE_KEY})
    """The keys that this account has. None at all: the vendor knows no keys, and is shown none."""
    extra_fields: Collection[str] = ()
    """Fields that requests may have beyond the wire's own. Those whose names begin with "x_" always may."""
    table: ClassVar[tuple[Route, ...]] = ()
    """Routes that are no methods."""
    samples: Mapping[str, Mapping[str, Any]] = {}
    """By operation: what the conformance kit must say in a request where this vendor is particular, such as `seconds`."""
    known_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of the kit that can't pass, by id ("W05", or "W05 edit" for one operation), each with the reason."""
    routes: ClassVar[tuple[Route, ...]] = ()
    """All routes; made of `table` and of the methods that `@route` marks."""

    def __init__(self, *, seed: str = "", clock: Callable[[], float] = time.time, **settings: Any) -> None:
        """Wires with different seeds give different ids; `clock` tells the Unix time in seconds."""
        for name, value in settings.items():
            if name.startswith("_") or not hasattr(type(self), name) or callable(getattr(type(self), name)):
                raise TypeError(f"{type(self).__name__} has no setting {name!r}")
            setattr(self, name, value)
        self.clock = clock
        self.seen: list[Seen] = []
        self.problems: list[Problem] = []
        self.book = Book()
        self.state = State(seed)
        self.connections = 0
        """How many connections to its servers are open."""
        self._lock = threading.RLock()
        self._faults: list[tuple[str | None, Fault | None, float]] = []
        """Which route, what happens to it (None: it is served well), and how often."""
        self._failures: list[tuple[str, str]] = []
        self._rehearsing = False

    def __init_subclass__(cls) -> None:
        cls.routes = (*routes_of(cls), *cls.table)

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

    def fail(self, route: str | None, fault: Fault, times: int | None = 1, *, after: int = 0) -> Fault:
        """Let a fault happen to the next requests of a route ("POST /videos", None for any), `times` of them or all.

        Faults wait in line; when they are used up, service is normal again. One that happens after acceptance waits for
        a request that is accepted. So many requests as `after` says are served well before.
        """
        if route is not None and route not in {known.name for known in self.routes}:
            names = ", ".join(known.name for known in self.routes)
            raise ValueError(f"there is no route {route!r}; there are: {names}")
        with self._lock:
            self._faults += [(route, None, 1)] * after
            self._faults.append((route, fault, float("inf") if times is None else times))
        return fault

    def fail_job(self, code: str = "moderation_blocked", message: str = "Your request was blocked.") -> None:
        """Let the next video job that is accepted end as failed."""
        with self._lock:
            self._failures.append((code, message))

    def offers(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, scheme: str = "http"
    ) -> Iterator[Step]:
        """Take a request in, and tell step by step what comes back. Both doors, server and transports, lead here."""
        path, _, query = target.partition("?")
        with self._lock:
            pairs = parse_qsl(query, keep_blank_values=True)
            lower = [(name.lower(), value) for name, value in headers]
            seen = Seen(len(self.seen), method, path, pairs, lower, body, scheme)
            self.seen.append(seen)
            route, ids = find_route(self.routes, self.prefix, method, path)
            seen.route = route.name if route else None
            fault = self._waiting(seen.route)
            if fault is None:  # there is none, or its time has not come
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

    # What routes are written with

    def now(self) -> int:
        """The Unix time in whole seconds."""
        return int(self.clock())

    def begin(self, seen: Seen, kind: str, id: str, model: str | None = None) -> None:
        """Write into the book that work was begun. Kinds: see `Book`."""
        if not self._rehearsing:
            self.book.entries.append(Entry(kind, id, seen.number, model))

    def bill(self, microdollars: int, **facts: Any) -> None:
        """Write what the work that was begun last costs, in micro-dollars, and for what: see `Entry`."""
        if not self._rehearsing:
            self.book.entries[-1] = evolve(self.book.entries[-1], microdollars=microdollars, **facts)

    def begin_job(
        self,
        seen: Seen,
        prompt: str,
        *,
        kind: str = "video",
        id: str | None = None,
        model: str | None = None,
        **facts: Any,
    ) -> Job:
        """Accept a job, and write it into the book. `id` is made up if there is none; `facts` are kept with it.

        A job that is going to fail has a `failure`, code and message, from its beginning.
        """
        failure = self._next_failure()
        states = self.states or ("queued", *("in_progress",) * (self.polls_until_done - 1), "completed")
        if not self.states and not self.polls_until_done:
            states = ("completed",)
        if failure:
            states = (*states[:-1], "failed")
        elif states[-1] == "failed":
            failure = ("server_error", "The job failed.")
        named = [state for state in states if state in self.job_states or state == self.unknown_state]
        job = Job(id or self.state.new_id(f"{kind}_"), prompt, self.now(), named, model, failure, facts)
        self.state.jobs[job.id] = job
        self.begin(seen, kind, job.id, model)
        self._settle(job)
        return job

    def job(self, id: str) -> Job:
        """A job, as it is. Refusal (404) if there is none."""
        if id not in self.state.jobs:
            raise Refusal(f"Video with id '{id}' not found.", 404, code="not_found")
        return self.state.jobs[id]

    def look_at(self, id: str) -> Job:
        """A job that is looked at: it goes on by a step."""
        job = self.job(id)
        job.looks += 1
        self._settle(job)
        return job

    def id_of(self, job: Job) -> str:
        """What the provider calls a job: where the vendor's own id is not enough to find it again, more than that."""
        return job.id

    def film_of(self, id: str, variant: str = "video") -> bytes:
        """The bytes of a job's video ("video"), or of a "thumbnail" or "spritesheet" of it."""
        return bytes_of(id, variant, self.video_bytes if variant == "video" else 2048)

    def address(self, seen: Seen, path: str) -> str:
        """The whole address of a path of this wire's, for answers that point somewhere."""
        return f"{seen.scheme}://{seen.headers['host']}{self.prefix}{path}"

    # What a subclass may change

    def settings(self, folder: Path) -> Mapping[str, Any]:  # noqa: ARG002  for those who keep files
        """What an account here is configured with beyond its key and base URL. `folder` is empty, and its own."""
        return {}

    def key_of(self, seen: Seen) -> str:
        """The credential that a request shows. Violation if it shows none, or not in this vendor's way."""
        shown = seen.all(self.key_header)
        if len(shown) != 1 or not shown[0].startswith(self.key_prefix) or shown[0] == self.key_prefix:
            raise Violation(f"The key is wanted in one header: {self.key_header}: {self.key_prefix}KEY", 401)
        return shown[0].removeprefix(self.key_prefix)

    def is_ephemeral(self, key: str) -> bool:  # noqa: ARG002  for those who give such keys
        """Whether a credential is an ephemeral key, made for a browser."""
        return False

    def query_allowed(self, route: Route) -> Collection[str]:
        """The query parameters that a route knows."""
        return route.query

    def extra_headers(self, seen: Seen) -> Mapping[str, str]:
        """What every answer carries besides."""
        return {"x-request-id": f"req_{seen.number:032x}"}

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

    def _next_failure(self) -> tuple[str, str] | None:
        """How the job that is accepted now will fail, if it is told to."""
        if not self._failures:
            return None
        return self._failures[0] if self._rehearsing else self._failures.pop(0)

    def _settle(self, job: Job) -> None:
        if job.ended_at is None and job.over:
            job.ended_at = self.now()

    def _waiting(self, route: str | None) -> Fault | None:
        for number, (wanted, fault, _) in enumerate(self._faults):
            if wanted in {None, route}:
                if fault is None:
                    del self._faults[number]
                return fault
        return None

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
        if route.public or not self.keys:
            shown = any(key in value for key in self.keys for _, value in seen.raw_headers)
            if shown or (not self.keys and self.key_header in seen.headers):
                raise Violation("A key was shown where none belongs.")
            return
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
