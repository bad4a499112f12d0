"""How a provider reaches the world. Hooks wait through `IO` and through nothing else.

`IO` knows the account: it adds the base URL and the credential, holds the call's one deadline, caps what is read,
turns error answers into exceptions and records whether paid work may have begun. How bytes get to the wire is the
business of a `Transport` (see transport.py), blocking or async: the same hook runs over both.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import unquote_plus, urljoin

from attrs import Factory, define, evolve, field, frozen

from callsheet import headers as hints
from callsheet.account import long_enough, names_a_secret
from callsheet.body import Body, Upload
from callsheet.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    CallsheetError,
    ConfigurationError,
    status_error,
)
from callsheet.exchange import ByteStream, Incoming, Outgoing, Reply, Request, Transport
from callsheet.models.base import Meta
from callsheet.urls import is_loopback, leads_on, origin, parsed, path_segment, with_query

if TYPE_CHECKING:
    from callsheet.account import Account
    from callsheet.operations import Operation
    from callsheet.spec import Provider

__all__ = [
    "IO",
    "Body",
    "ByteStream",
    "Incoming",
    "Outgoing",
    "Reply",
    "Request",
    "Transport",
    "Upload",
    "path_segment",
]

T = TypeVar("T")
MEGABYTE = 1024 * 1024
PATIENCE_WITH_ERRORS = 5.0
"""Seconds for the words of an error: its status and headers are what counts."""
Outcome = Literal["not_sent", "rejected", "maybe"]


@frozen
class Sent:
    """One request that left, or tried to, and what became of it."""

    method: str
    billable: bool
    outcome: Outcome
    refused: bool = False
    """Whether the vendor promises, by the status it answered, that no paid work began."""


SOMEWHERE = "http://somewhere.invalid"
"""Where an account without a base URL is: not in this machine's network."""


def new_idempotency_key() -> str:
    """Something that nobody says twice."""
    return secrets.token_hex(16)


@define(eq=False)
class IO:
    """One attempt at one operation on one account."""

    account: Account
    provider: Provider = field(repr=False)
    operation: Operation
    transport: Transport = field(repr=False)
    deadline: float
    """A reading of time.monotonic(): when the call, all its attempts together, must be over."""
    idempotency_key: str = Factory(new_idempotency_key)
    """New for each call and the same in all its attempts: for vendors who promise to do once what is asked twice."""
    meta: Meta = Factory(Meta)
    sent: list[Sent] = field(factory=list, init=False)
    answered: bool = field(default=False, init=False)
    """Whether the request that was sent last got an answer, of whatever kind."""
    _credentials: list[str] = field(factory=list, init=False, repr=False)
    _opened: list[ByteStream] = field(factory=list, init=False, repr=False)

    async def send(self, request: Request, max_bytes: int = 32 * MEGABYTE) -> Reply:
        """Send a request and read its whole answer.

        Error statuses (and redirects, which are never followed here) are raised as what `Provider.error` makes of them.
        APIConnectionError and APITimeoutError tell that no answer came; APIResponseValidationError that it was too big.
        """
        incoming = await self._open(request)
        async with aclosing(incoming):
            if not 200 <= incoming.status < 300:
                raise self._error(await self._read_error(request, incoming))
            return await self._read(request, incoming, max_bytes)

    async def stream(self, request: Request) -> ByteStream:
        """Send a request and hand out its answer's body as it comes.

        GET follows up to three redirects; the credential stays behind when they lead to another origin. Once the answer
        has begun, each piece must come within the account's timeout.
        """
        redirects = 0
        while True:
            incoming = await self._open(request)
            if incoming.status in {301, 302, 303, 307, 308} and request.method == "GET" and redirects < 3:
                redirects += 1
                await incoming.aclose()
                request = self._redirected(request, incoming.headers.get("location", ""))
                continue
            if not 200 <= incoming.status < 300:
                async with aclosing(incoming):
                    raise self._error(await self._read_error(request, incoming))
            if _encoding(incoming):
                await incoming.aclose()
                raise self._encoded(incoming)
            self._opened.append(
                ByteStream(
                    incoming.status, incoming.headers, incoming, self.account.settings.timeout, deadline=self.deadline
                )
            )
            return self._opened[-1]

    async def get(self, url: str, **query: object) -> Reply:
        """GET a path with query parameters; None leaves one out."""
        return await self.send(Request("GET", url, query=query))

    async def post_json(self, url: str, document: object) -> Reply:
        """POST a JSON document."""
        return await self.send(Request("POST", url, body=Body.json(document)))

    async def post_form(self, url: str, fields: Iterable[tuple[str, Any]]) -> Reply:
        """POST a multipart form; files are streamed. See `Body.form` for the values."""
        return await self.send(Request("POST", url, body=Body.form(fields)))

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises APITimeoutError when the deadline comes first."""
        left = self.deadline - time.monotonic()
        if seconds > left:
            await self.transport.sleep(max(0.0, left))
            raise APITimeoutError(
                f"{self.operation.name} ran out of time while waiting",
                provider=self.account.provider,
                sent=bool(self.sent),
            )
        await self.transport.sleep(seconds)

    def now(self) -> float:
        """The Unix time in seconds."""
        return time.time()

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that blocks: directly in a sync call, in a worker thread in an async one."""
        return await self.transport.run(function, *args)

    def hand_out(self) -> None:
        """The hook has returned: what it opened is now the caller's, who may take his time."""
        for answer in self._opened:
            answer.deadline = math.inf

    @property
    def outcome(self) -> Outcome:
        """What became of this attempt's billable requests: the worst that can be said of any of them."""
        outcomes = {sent.outcome for sent in self.sent if sent.billable}
        return "maybe" if "maybe" in outcomes else "rejected" if "rejected" in outcomes else "not_sent"

    async def _open(self, request: Request) -> Incoming:
        outgoing = await self._outgoing(request)
        billable = request.billable
        if billable is None:
            billable = self.operation.billable and request.method not in {"GET", "HEAD"}
        # Until the answer says otherwise, a request that left may have been accepted: a cancellation must find it so.
        self.sent.append(Sent(request.method, billable, "maybe"))
        self.answered = False
        try:
            incoming = await self.transport.open(outgoing)
        except APIConnectionError as error:
            error.provider = self.account.provider
            self._settle("maybe" if error.sent else "not_sent")
            raise
        self.answered = True
        self._note(incoming)
        return incoming

    async def _outgoing(self, request: Request) -> Outgoing:
        """The request as it leaves. Its headers are in no frame that a failure of the transport's would show."""
        url = self._address(request)
        headers = {"accept-encoding": "identity", "user-agent": "callsheet"}
        own, home = _lower(request.headers), self._is_home(url)
        if home:
            headers |= _lower(self.account.settings.headers)
        if request.auth is not None:
            self._guard_origin(url)
            credential = _lower(await self.provider.auth_headers(request, self))
            shown = [value.rpartition(" ")[2] for name, value in credential.items() if names_a_secret(name)]
            self._credentials = [key for key in shown if long_enough(key)]
            headers |= credential
        elif not home:
            self._guard_inside(url)
        headers |= own
        self._guard_secrets(url, headers)
        for name, value in headers.items():
            if not hints.can_be_sent(name, value):
                raise ConfigurationError(
                    f"the header {name!r} for provider '{self.account.provider}' can't be sent: there is a line break, a"
                    " blank at an end or a character beyond ASCII in it; look at the key"
                )
        if request.body is not None:
            if "content-type" not in own:  # an account's own headers can't know of boundaries
                headers["content-type"] = request.body.content_type
            size = request.body.size
            headers["content-length" if size is not None else "transfer-encoding"] = (
                "chunked" if size is None else str(size)
            )
        elif request.method not in {"GET", "HEAD"}:
            headers["content-length"] = "0"
        return Outgoing(request.method, url, headers, request.body, self.deadline)

    def _settle(self, outcome: Outcome, refused: bool = False) -> None:
        self.sent[-1] = evolve(self.sent[-1], outcome=outcome, refused=refused)

    def _note(self, incoming: Incoming) -> None:
        """Keep what the headers tell, and what the status tells about acceptance."""
        status = incoming.status
        refused = status >= 400 and self.provider.refused(status, incoming.headers)
        if refused or (400 <= status < 500 and status not in {408, 409}):
            self._settle("rejected", refused)
        if (id := hints.request_id(incoming.headers)) and not any(secret in id for secret in self.secrets()):
            self.meta.request_id = id
        self.meta.poll_after = hints.poll_after(incoming.headers)
        self.meta.limits = hints.limits(incoming.headers)

    async def _read(self, request: Request, incoming: Incoming, max_bytes: int) -> Reply:
        if _encoding(incoming):
            raise self._encoded(incoming)
        pieces, size = [], 0
        while chunk := await incoming.read(self.deadline):
            size += len(chunk)
            if size > max_bytes:
                raise self._unreadable(f"is longer than {max_bytes:,} bytes", incoming)
            pieces.append(chunk)
        return Reply(incoming.status, incoming.headers, b"".join(pieces), request.url)

    async def _read_error(self, request: Request, incoming: Incoming) -> Reply:
        """An error answer, or what can be had of it: its status counts, however the rest of it fails."""
        content = b""
        if not _encoding(incoming):
            patience = min(self.deadline, time.monotonic() + PATIENCE_WITH_ERRORS)
            with suppress(APIConnectionError):
                while len(content) < MEGABYTE and (chunk := await incoming.read(patience)):
                    content += chunk
        return Reply(incoming.status, incoming.headers, content, request.url)

    def secrets(self) -> list[str]:
        """The account's secrets, and what was shown as credential: an ephemeral key, a token that was fetched."""
        return [*self.account.secrets, *self._credentials]

    def _error(self, reply: Reply) -> Exception:
        """What the provider makes of an error answer; the status as it stands if it makes nothing of it."""
        try:
            error: object = self.provider.error(reply)
        except Exception as failure:  # an odd body must not hide the status
            error = failure
        if isinstance(error, CallsheetError):
            return error
        plain = status_error(
            reply.status, f"the provider answered {reply.status}, and its plugin failed on it: {error!r:.200}"
        )
        plain.request_id = reply.request_id
        return plain

    def _encoded(self, incoming: Incoming) -> APIResponseValidationError:
        error = self._unreadable(f"is encoded as {_encoding(incoming)[:40]!r} though identity was asked for", incoming)
        error.should_retry = False  # it would be the next time, too, and be paid for again
        return error

    def _unreadable(self, why: str, incoming: Incoming) -> APIResponseValidationError:
        return APIResponseValidationError(
            f"the answer of provider '{self.account.provider}' {why}",
            request_id=hints.request_id(incoming.headers),
            provider=self.account.provider,
        )

    def _address(self, request: Request) -> str:
        url = request.url
        if not url.startswith(("http://", "https://")):
            base = self.account.settings.base_url
            if not base:
                variable = self.account.settings.env.get("base_url", "base_url")
                raise ConfigurationError(f"provider '{self.account.provider}' has no base URL; set {variable}")
            if "?" in base or "#" in base:
                raise ConfigurationError(
                    f"the base URL of provider '{self.account.provider}' must end before any ? or #"
                )
            url = f"{base.rstrip('/')}/{url.lstrip('/')}"
        if "@" in parsed(url).netloc:
            raise ConfigurationError(
                f"an address of provider '{self.account.provider}' holds a user name or a password; give it as api_key"
            )
        return with_query(url, request.query)

    def _is_home(self, url: str) -> bool:
        base = self.account.settings.base_url
        return bool(base) and origin(url) == origin(base or "")

    def _guard_origin(self, url: str) -> None:
        if not self._is_home(url):
            raise ConfigurationError(
                f"provider '{self.account.provider}' tried to send its credential to {origin(url)[1]}, which is not the"
                " account's own host; a request elsewhere must say auth=None"
            )

    def _guard_inside(self, url: str) -> None:
        """Where an answer says that a file is: not in this machine's network, unless the account itself is there."""
        if not leads_on(self.account.settings.base_url or SOMEWHERE, url):
            raise APIResponseValidationError(
                f"provider '{self.account.provider}' points to {origin(url)[1]}, which can't be followed: from outside into"
                " this machine's network, or from https to http",
                should_retry=False,
            )

    def _guard_secrets(self, url: str, headers: Mapping[str, str]) -> None:
        """However a secret got into a request: it goes to the account's own origin or nowhere, and not in the open.

        In an address it goes nowhere: addresses are logged, by clients and by servers.
        """
        told = url.removeprefix(self.account.settings.base_url or "")  # that is the account's own word
        texts, known = {told, unquote_plus(told)}, self.secrets()
        if any(secret in text for secret in known for text in texts):
            self._guard_origin(url)
            raise APIResponseValidationError(
                f"provider '{self.account.provider}' points to an address with a key in it, which is not called: keys go in"
                " headers",
                should_retry=False,
            )
        open_wire = url.lower().startswith("http:") and not is_loopback(url) and not self.account.settings.allow_http
        if self._is_home(url) and not open_wire:
            return
        if any(secret in text for secret in known for text in headers.values()):
            self._guard_origin(url)
            raise ConfigurationError(
                f"provider '{self.account.provider}': the key would travel unencrypted to {origin(url)[1]}; use https://,"
                " or set allow_http=true for the account if that network is trusted"
            )

    def _redirected(self, request: Request, location: str) -> Request:
        target = ""
        with suppress(ValueError):  # "http://[" is no address
            target = urljoin(self._address(request), location) if location else ""
        if not target.startswith(("http://", "https://")) or not leads_on(self._address(request), target):
            raise APIResponseValidationError(
                f"provider '{self.account.provider}' redirects to {location[:80]!r}, which can't be followed",
                should_retry=False,
            )
        same = origin(target) == origin(self._address(request))
        kept = {k: v for k, v in request.headers.items() if same or k.lower() in {"range", "if-range"}}
        return Request("GET", target, headers=kept, auth=request.auth if same else None, billable=False)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    if not headers:  # as most are
        return {}
    return {name.lower(): value for name, value in headers.items()}


def _encoding(incoming: Incoming) -> str:
    """How an answer's body is encoded; empty if it isn't."""
    encoding = incoming.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding
