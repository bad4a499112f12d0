"""What one virtual key may do in a minute, and what one of its requests has taken of it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import asdict, define, field, frozen

from callsheet.routing import CallRecord
from callsheet.routing.limiter import Limiter, Taken
from callsheet.routing.usage import total_tokens

__all__ = ["MOST", "Caps", "Share"]

MOST = 1_000_000_000
"""No limit can be higher."""


@frozen
class Caps:
    """A key's limits: requests and tokens in any 60 seconds, and requests at once. None: there is no such limit."""

    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None

    def __bool__(self) -> bool:
        return self != _NONE

    def document(self) -> dict[str, int | None]:
        """As answers and `callsheet keys list --json` show it."""
        return asdict(self)

    def __str__(self) -> str:
        words = {"requests a minute": self.rpm, "tokens a minute": self.tpm, "at once": self.max_parallel_requests}
        return ", ".join(f"{number} {name}" for name, number in words.items() if number is not None)


_NONE = Caps()


@define(eq=False)
class Share:
    """What a request has taken of its key's limits; `taken` is None where it was refused.

    It is held until the request is over, answer and all, and settled then by what the provider has counted.
    """

    limiter: Limiter
    now: Callable[[], float]
    taken: Taken | None = field(default=None)

    def over(self, call: CallRecord, failed: bool) -> None:
        """The request has ended. Where nobody says how many tokens it had, the guess stays - unless it was turned away."""
        if (taken := self.taken) is None:
            return
        tokens = None if call.usage is None else total_tokens(call.usage)
        if tokens is None and failed and call.outcome != "maybe":
            tokens = 0
        if tokens is not None:
            taken.settle(tokens)
        taken.release()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The limits and what is left of them, as OpenAI says it. "Reset" is when all of them is there again."""
        calls, tokens, seconds = self.limiter.used(self.now())
        used = {"requests": (self.limiter.rpm, calls), "tokens": (self.limiter.tpm, tokens)}
        said = []
        for what, (most, count) in used.items():
            if most is not None:
                reset = f"{seconds:.3f}s"
                values = {"limit": most, "remaining": max(0, most - count), "reset": reset}
                said += [(f"x-ratelimit-{name}-{what}".encode(), f"{value}".encode()) for name, value in values.items()]
        return said
