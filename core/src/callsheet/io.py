"""How a provider reaches the world. Hooks wait through `IO` and through nothing else.

`IO` knows the account: it adds the base URL and the credential, holds the call's one deadline, caps what is read,
turns error answers into exceptions and records whether paid work may have begun. How bytes get to the wire is the
business of a `Transport` (see transport.py), blocking or async: the same hook runs over both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from attrs import Factory, define, field, frozen
from pydantic import SecretStr

from callsheet import headers as hints
from callsheet.body import Body, Upload
from callsheet.errors import APIConnectionError, APIResponseValidationError, APITimeoutError, ConfigurationError
from callsheet.models.base import Meta

if TYPE_CHECKING:
    from callsheet.account import Account
    from callsheet.operations import Operation
    from callsheet.spec import Provider

__all__ = ["IO", "Body", "ByteStream", "Incoming", "Outgoing", "Reply", "Request", "Transport", "Upload"]

T = TypeVar("T")
MEGABYTE = 1024 * 1024
Outcome = Literal["not_sent", "rejected", "maybe"]


@define(eq=False)
class Request:
    """One HTTP request. `url` may be a path below the account's base URL.

    `auth` is "account" for the account's own credential, an ephemeral key, or None for no credential at all.
    `billable` says whether it may start paid work; None means: what the operation table says, for anything but GET.
    """

    method: str
    url: str
    headers: Mapping[str, str] = Factory(dict)
    query: Mapping[str, object] = Factory(dict)
    body: Body | None = None
    auth: SecretStr | Literal["account"] | None = "account"
    billable: bool | None = None


@define(eq=False)
class Reply:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    url: str = ""

    @property
    def request_id(self) -> str | None:
        return hints.request_id(self.headers)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The decoded JSON document. Raises APIResponseValidationError when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            raise APIResponseValidationError(
                f"the provider answered {self.status} with {len(self.content)} bytes of {kind} where JSON was expected",
                request_id=self.request_id,
            ) from error


@define(eq=False)
class Outgoing:
    """What a transport sends. `deadline` is a reading of time.monotonic()."""

    method: str
    url: str
    headers: dict[str, str]
    body: Body | None
    deadline: float


class Incoming(Protocol):
    """An answer whose headers have arrived."""

    status: int
    headers: Mapping[str, str]

    async def read(self, deadline: float) -> bytes:
        """The next piece of the body, b"" at its end."""

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""


class Transport(Protocol):
    """Blocking or async way to the wire. A blocking one never suspends."""

    async def open(self, request: Outgoing) -> Incoming: ...
    async def sleep(self, seconds: float) -> None: ...
    async def run(self, function: Callable[..., T], *args: object) -> T: ...


@define(eq=False)
class ByteStream:
    """An answer whose body is read piece by piece: an async iterator of bytes. Close it, or read it to its end."""

    status: int
    headers: Mapping[str, str]
    _incoming: Incoming = field(repr=False)
    _patience: float = field(repr=False)

    def __aiter__(self) -> ByteStream:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._incoming.read(time.monotonic() + self._patience):
            return chunk
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._incoming.aclose()


@frozen
class Sent:
    """One request that left, or tried to, and what became of it."""

    method: str
    billable: bool
    outcome: Outcome


@define(eq=False)
class IO:
    """One attempt at one operation on one account."""

    account: Account
    provider: Provider = field(repr=False)
    operation: Operation
    transport: Transport = field(repr=False)
    deadline: float
    """A reading of time.monotonic(): when the call, all its attempts together, must be over."""
    meta: Meta = Factory(Meta)
    sent: list[Sent] = field(factory=list, init=False)

    async def send(self, request: Request, max_bytes: int = 32 * MEGABYTE) -> Reply:
        """Send a request and read its whole answer.

        Error statuses (and redirects, which are never followed here) are raised as what `Provider.error` makes of them.
        APIConnectionError and APITimeoutError tell that no answer came; APIResponseValidationError that it was too big.
        """
        incoming = await self._open(request)
        async with aclosing(incoming):
            reply = await self._read(request, incoming, max_bytes)
        if not 200 <= reply.status < 300:
            raise self.provider.error(reply)
        return reply

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
                    reply = await self._read(request, incoming, MEGABYTE)
                raise self.provider.error(reply)
            return ByteStream(incoming.status, incoming.headers, incoming, self.account.settings.timeout)

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
                f"{self.operation.name} ran out of time while waiting", provider=self.account.provider
            )
        await self.transport.sleep(seconds)

    def now(self) -> float:
        """The Unix time in seconds."""
        return time.time()

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that blocks: directly in a sync call, in a worker thread in an async one."""
        return await self.transport.run(function, *args)

    @property
    def outcome(self) -> Outcome:
        """What became of this attempt's billable requests: the worst that can be said of any of them."""
        outcomes = {sent.outcome for sent in self.sent if sent.billable}
        return "maybe" if "maybe" in outcomes else "rejected" if "rejected" in outcomes else "not_sent"

    async def _open(self, request: Request) -> Incoming:
        url = self._address(request)
        headers = {"accept-encoding": "identity", "user-agent": "callsheet", **self.account.settings.headers}
        if request.auth is not None:
            self._guard_origin(url)
            headers |= await self.provider.auth_headers(request, self)
        headers |= {name.lower(): value for name, value in request.headers.items()}
        self._guard_secrets(url, headers)
        if request.body is not None:
            headers["content-type"] = request.headers.get("content-type", request.body.content_type)
            size = request.body.size
            headers["content-length" if size is not None else "transfer-encoding"] = (
                "chunked" if size is None else str(size)
            )
        elif request.method not in {"GET", "HEAD"}:
            headers["content-length"] = "0"
        billable = request.billable
        if billable is None:
            billable = self.operation.billable and request.method not in {"GET", "HEAD"}
        # Until the answer says otherwise, a request that left may have been accepted: a cancellation must find it so.
        self.sent.append(Sent(request.method, billable, "maybe"))
        try:
            incoming = await self.transport.open(Outgoing(request.method, url, headers, request.body, self.deadline))
        except APIConnectionError as error:
            error.provider = self.account.provider
            self._settle("maybe" if error.sent else "not_sent")
            raise
        self._note(incoming)
        return incoming

    def _settle(self, outcome: Outcome) -> None:
        last = self.sent[-1]
        self.sent[-1] = Sent(last.method, last.billable, outcome)

    def _note(self, incoming: Incoming) -> None:
        """Keep what the headers tell, and what the status tells about acceptance."""
        status = incoming.status
        declared = status in self.provider.rejects_before_accepting
        if declared or (300 <= status < 500 and status not in {408, 409}):
            self._settle("rejected")
        self.meta.request_id = hints.request_id(incoming.headers) or self.meta.request_id
        self.meta.poll_after = hints.poll_after(incoming.headers)
        self.meta.limits = hints.limits(incoming.headers)

    async def _read(self, request: Request, incoming: Incoming, max_bytes: int) -> Reply:
        if (encoding := incoming.headers.get("content-encoding", "identity")) != "identity":
            raise self._unreadable(f"is encoded as {encoding[:40]!r} though identity was asked for", incoming)
        pieces, size = [], 0
        while chunk := await incoming.read(self.deadline):
            size += len(chunk)
            if size > max_bytes:
                raise self._unreadable(f"is longer than {max_bytes:,} bytes", incoming)
            pieces.append(chunk)
        return Reply(incoming.status, incoming.headers, b"".join(pieces), request.url)

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
            url = f"{base.rstrip('/')}/{url.lstrip('/')}"
        query = {name: value for name, value in request.query.items() if value is not None}
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query, doseq=True)}" if query else url

    def _guard_origin(self, url: str) -> None:
        if not self.account.settings.base_url or _origin(url) != _origin(self.account.settings.base_url):
            raise ConfigurationError(
                f"provider '{self.account.provider}' tried to send its credential to {_origin(url)[1]}, which is not the"
                " account's own host; a request elsewhere must say auth=None"
            )

    def _guard_secrets(self, url: str, headers: Mapping[str, str]) -> None:
        """However a secret got into a request: it goes to the account's own origin or nowhere."""
        base = self.account.settings.base_url
        if base and _origin(url) == _origin(base):
            return
        carried = [url, *headers.values()]
        if any(secret in text for secret in self.account.settings.secrets() for text in carried):
            self._guard_origin(url)

    def _redirected(self, request: Request, location: str) -> Request:
        target = urljoin(self._address(request), location)
        same = _origin(target) == _origin(self._address(request))
        kept = dict(request.headers) if same else {k: v for k, v in request.headers.items() if k.lower() == "range"}
        return Request("GET", target, headers=kept, auth=request.auth if same else None, billable=False)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
