"""One HTTP exchange, as adapters and transports see it: no HTTP library's types are in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeVar

from attrs import Factory, define, field
from pydantic import SecretStr

from callsheet import headers as hints
from callsheet.body import Body
from callsheet.errors import APIConnectionError, APIResponseValidationError
from callsheet.jsontext import decode

__all__ = ["ByteStream", "Incoming", "Outgoing", "Reply", "Request", "Transport"]

T = TypeVar("T")


@define(eq=False)
class Request:
    """One HTTP request. `url` may be a path below the account's base URL.

    `auth` is "account" for the account's own credential, an ephemeral key, or None for no credential at all.
    `billable` says whether it may start paid work; None means: what the operation table says, for anything but GET.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)
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
        """The decoded JSON document. Raises APIResponseValidationError when it is none.

        Integers are exact, and so are numbers beyond what a float can hold (1e400 is read as the whole number that it
        is). Of a key that stands there twice the last value counts. Lone surrogates stay what they are.
        """
        with suppress(ValueError, RecursionError):  # and no cause: a JSONDecodeError holds the whole text
            return decode(self.content)
        kind = self.headers.get("content-type", "no content type")
        raise APIResponseValidationError(
            f"the provider answered {self.status} with {len(self.content)} bytes of {kind} where JSON was expected",
            request_id=self.request_id,
        )

    def document(self) -> dict[str, Any]:
        """The decoded JSON object. Raises APIResponseValidationError when it is none, or another kind of JSON."""
        document = self.json()
        if not isinstance(document, dict):
            raise APIResponseValidationError(
                f"the provider answered {self.status} with JSON that is no object but {type(document).__name__}",
                request_id=self.request_id,
            )
        return document


@define(eq=False)
class Outgoing:
    """What a transport sends. `deadline` is a reading of time.monotonic()."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
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
    """Blocking or async way to the wire. A blocking one never suspends, and may say so by an attribute `blocking`."""

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
    deadline: float = field(default=math.inf, repr=False)
    """Until a hook has handed it out, the call's own: a reading of time.monotonic()."""

    def __aiter__(self) -> ByteStream:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._incoming.read(min(self.deadline, time.monotonic() + self._patience)):
            return chunk
        await self.aclose()
        raise StopAsyncIteration

    async def drain(self, seconds: float = 1.0) -> None:
        """Read on to the end, for so long at most, and close.

        For streams whose last event has come: a connection whose answer was read to its end is used again.
        """
        deadline = time.monotonic() + seconds
        with suppress(APIConnectionError):
            while time.monotonic() < deadline and await self._incoming.read(deadline):
                pass
        await self.aclose()

    async def aclose(self) -> None:
        await self._incoming.aclose()
