"""How much one key may do, at once and in a minute, so that nobody takes all. What is more is refused, never queued."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field
from starlette.requests import Request

from callsheet.models.base import OperationRequest
from callsheet.routing.limiter import Limiter
from callsheet.routing.usage import estimated_tokens
from callsheet_gateway.errors import Refused
from callsheet_gateway.key_limits import Caps, Share
from callsheet_gateway.principal import Principal
from callsheet_gateway.request_record import RequestRecord
from callsheet_gateway.spool import Memory, Spool

__all__ = ["KeyLimits", "Limits", "UnderWay", "limits_of", "too_busy"]

_MOST_KEYS = 10_000
"""Keys whose use is remembered, though they may be idle by now."""


@define(eq=False)
class UnderWay:
    """What is under way of one kind. `total` is how many there are, by whomever.

    The master key, and whoever calls a gateway that asks for no key, are counted and not bound: they are the gateway's own.
    `named` is what the refusal calls them.
    """

    named: str
    again_after: float = 1.0
    total: int = field(default=0, init=False)
    _of_key: Counter[str] = field(factory=Counter, init=False)

    @contextmanager
    def one(self, principal: Principal, most: int, of_all: int | None = None) -> Iterator[None]:
        """Count one more, as long as the context lasts. Refused if the key has `most` already (429), or there are `of_all`
        by everybody together (503).
        """
        key = principal.key
        if key is not None and self._of_key[key] >= most:
            refusal = Refused(
                429,
                f"this key has {most} {self.named} under way, which is the most at once: wait until one has ended, and"
                " give each program a key of its own",
                f"too_many_{self.named}",
            )
            refusal.retry_after = self.again_after
            raise refusal
        if of_all is not None and self.total >= of_all:
            raise too_busy(f"{of_all} {self.named}")
        self.total += 1
        if key is not None:
            self._of_key[key] += 1
        try:
            yield
        finally:
            self.total -= 1
            if key is not None:
                self._of_key[key] -= 1
                if not self._of_key[key]:
                    del self._of_key[key]  # keys come and go


@define(eq=False)
class KeyLimits:
    """What virtual keys have used of limits of their own. `now` tells seconds, from whenever.

    A request takes its share once, however many calls are made for it, before the first; it is given back when the answer
    has been sent, streams included. Its tokens are guessed until the provider has counted them.
    """

    now: Callable[[], float] = time.monotonic
    _limiters: dict[str, Limiter] = field(factory=dict, init=False)

    def take(self, principal: Principal, record: RequestRecord, request: OperationRequest) -> None:
        """Let a request go on to a provider. Refused if its key's limits are used up (429), or too small for it (400)."""
        caps = principal.caps
        if caps is None or principal.key is None or record.share is not None:
            return
        limiter = self._limiter(principal.key, caps)
        share = record.share = Share(limiter, self.now)
        tokens = estimated_tokens(request) if caps.tpm is not None else 0
        taken = limiter.take(self.now(), tokens)
        if not isinstance(taken, float):
            share.taken = taken
        elif math.isinf(taken):
            raise Refused(
                400,
                f"this request may have {tokens} tokens with its answer, and its key {caps.tpm} a minute: make it smaller,"
                " or limit the answer's length",
                "tokens_over_limit",
            )
        else:
            refusal = Refused(429, f"this key's limits are used up: {caps}; come back later", "rate_limit_exceeded")
            refusal.retry_after = taken
            raise refusal

    def over(self, record: RequestRecord) -> None:
        """A request has ended."""
        if record.share is not None:
            record.share.over(record.call, record.status >= 400)

    def _limiter(self, key: str, caps: Caps) -> Limiter:
        if (limiter := self._limiters.get(key)) is None:
            if len(self._limiters) >= _MOST_KEYS:
                now = self.now()
                busy = {key: one for key, one in self._limiters.items() if one.in_flight or one.used(now)[0]}
                self._limiters = busy
            limiter = self._limiters[key] = Limiter()
        # They may have been changed since.
        limiter.rpm, limiter.tpm, limiter.max_parallel = caps.rpm, caps.tpm, caps.max_parallel_requests
        return limiter


@define(eq=False)
class Limits:
    """What the callers of one gateway have under way, on its disk, and in its memory."""

    spool: Spool
    memory: Memory = field(factory=Memory, init=False)
    requests: UnderWay = field(factory=lambda: UnderWay("requests"), init=False)
    uploads: UnderWay = field(factory=lambda: UnderWay("uploads", again_after=5.0), init=False)
    keys: KeyLimits = field(factory=KeyLimits, init=False)


def too_busy(what: str) -> Refused:
    """The refusal where `what` is under way already, and is the most that may be."""
    refusal = Refused(503, f"{what} are under way, which is the most: come back in a moment", "too_busy")
    refusal.retry_after = 1.0
    return refusal


def limits_of(request: Request) -> Limits:
    """The limits that a request is under."""
    limits: Limits = request.scope["state"]["limits"]
    return limits
