"""The gateway's outermost layer: who may knock, how many at once, and what is written down of each request.

Where no key is asked for, programs on this machine may knock - and no web page that is open, but our own. A page from
anywhere can make a browser send requests to 127.0.0.1. It names its origin when it does (the Origin header), and a name
that an attacker has pointed at 127.0.0.1 stands in Host. Both are looked at before anything else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callsheet_gateway.bodies import declared_size
from callsheet_gateway.drain import Drain
from callsheet_gateway.errors import Refused, ending, error_response, remember
from callsheet_gateway.limits import UnderWay, too_busy
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.routes import PREFIXES

__all__ = ["Guard"]

_HOST = re.compile(r"(\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.-]+?)\.?)(:[0-9]{1,5})?")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_LINGER = 1.0
"""Seconds."""
_MOST_UNWANTED = 48 * 1024
"""Bytes of a body that may be read though its request was refused."""
_WATCHED = frozenset(prefix + path for prefix in PREFIXES for path in ("/health/live", "/health/ready", "/metrics"))
"""Whoever watches the gateway hears from it also when it is full."""
_MOST_STRANGERS = 1000
"""Requests that may be under way of those who have shown no good key, where one is asked for."""


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, and more than can be done; gives each answer a request id."""

    def __init__(
        self,
        app: ASGIApp,
        origins: tuple[str, ...] = (),
        *,
        admitted: UnderWay,
        own_machine: bool = True,
        most: int = 1000,
        drain: Drain | None = None,
        told: Sequence[Callable[[RequestRecord], None]] = (),
    ) -> None:
        """`own_machine`: no key is asked for, so that where a request comes from is all there is to go by. At most `most`
        requests may be under way then, streams included.

        Elsewhere those that were `admitted` have their own limit. The others are strangers' and have another, or who
        takes no answers would shut out who has a key. `told` are the functions that get the record of each request when
        it is over.
        """
        self.app, self.origins, self.own_machine = app, frozenset(origins), own_machine
        self.most, self.under_way, self.admitted = most, 0, admitted
        self.drain, self.told = drain or Drain(), told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        record = RequestRecord(f"req_{secrets.token_hex(16)}", scope["method"])
        scope.setdefault("state", {})["record"] = record
        answered_in_full, body_is_there, lingers, told_busy = False, not _has_body(headers), False, False

        async def watched() -> Message:
            nonlocal body_is_there
            message = await receive()
            body_is_there = body_is_there or not message.get("more_body")
            record.received += len(message.get("body", b""))
            return message

        async def with_id(message: Message) -> None:
            nonlocal answered_in_full, lingers, told_busy
            if answered_in_full:
                return  # what another answer was sent in the place of
            if message["type"] == "http.response.start":
                # An error's request is over, and counts for no key any more, while its answer is sent.
                crowded = (record.key is None or record.error is not None) and self._is_crowded()
                if crowded and record.key is None and not told_busy and scope["path"] not in _WATCHED:
                    told_busy = True
                    busy = too_busy(f"{_MOST_STRANGERS} requests without a good key")
                    remember(scope, busy)
                    await error_response(busy)(scope, watched, with_id)
                    return
                record.status, record.first_byte = message["status"], record.elapsed()
                added = [(b"x-request-id", record.id.encode()), _NO_SNIFFING]
                # Where a body was not read the server would read, and throw away, all that is still to come. In a crowd
                # a small answer and the end leave nothing behind, however slowly its client reads.
                if not body_is_there or self.drain.begun or crowded:
                    added.append((b"connection", b"close"))
                message = {**message, "headers": [*_of_key(record, message["headers"]), *added]}
            else:
                record.sent += len(message.get("body", b""))
            answered_in_full = message["type"] == "http.response.body" and not message.get("more_body")
            if answered_in_full and not body_is_there:
                size = declared_size(headers)
                lingers = size is not None and size <= _MOST_UNWANTED
            await send({**message, "more_body": True} if lingers else message)

        self.under_way += 1
        try:
            if (refusal := self._refusal(headers, scope)) is not None:
                remember(scope, refusal)
                await error_response(refusal)(scope, watched, with_id)
            else:
                await self.app(scope, watched, with_id)
        except asyncio.CancelledError:
            if record.first_byte is not None or not self.drain.over:
                raise
            remember(scope, ending())
            await error_response(ending())(scope, watched, with_id)
        except Exception:
            # It was taken down. What fails behind a whole answer would make the server cut the connection that it has just
            # promised to keep: under the client's next request.
            if not answered_in_full:
                raise
        finally:
            self.under_way -= 1
            record.seconds = record.elapsed()
            record.left = getattr(scope["state"].get("gone"), "left", False)
            for tell in self.told:
                tell(record)
            if lingers:
                await _read_on(watched)
                await send({"type": "http.response.body", "body": b""})

    def _refusal(self, headers: Headers, scope: Scope) -> Refused | None:
        if self.own_machine and (stranger := self._stranger(headers, scope)) is not None:
            return stranger
        if not self.own_machine or self.under_way <= self.most or scope["path"] in _WATCHED:
            return None
        return too_busy(f"{self.most} requests")

    def _is_crowded(self) -> bool:
        return not self.own_machine and self.under_way - self.admitted.total > _MOST_STRANGERS

    def _stranger(self, headers: Headers, scope: Scope) -> Refused | None:
        host = headers.get("host", "")
        if not _is_ours(host):
            return Refused(
                403, f"the gateway answers to addresses of this machine only, not to {host!r:.80}", "bad_host"
            )
        origin = headers.get("origin")
        own = f"{scope['scheme']}://{host}"
        if origin is not None and origin not in self.origins and origin.lower() != own.lower():
            return Refused(
                403,
                f"pages from {origin!r:.80} may not call this gateway; start it with --cors-origin {origin:.80} to let them",
                "bad_origin",
            )
        return None


def _of_key(record: RequestRecord, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers, which speak of its key's limits where that has some: the provider's are the operator's."""
    if record.share is None:
        return headers
    return [*(pair for pair in headers if not pair[0].startswith(b"x-ratelimit-")), *record.share.headers()]


async def _read_on(receive: Receive) -> None:
    """Read a small body that nobody wants: the system resets a connection that is closed before what has come was read,
    and many clients then throw away the answer that tells them why."""
    with anyio.move_on_after(_LINGER):
        while (await receive()).get("more_body"):
            pass


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


@lru_cache(maxsize=256)
def _is_ours(host: str) -> bool:
    """Whether a Host header is an IP address, which nobody can point elsewhere, or localhost."""
    if (match := _HOST.fullmatch(host.lower())) is None:
        return False
    name = match["v6"] or match["name"]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
