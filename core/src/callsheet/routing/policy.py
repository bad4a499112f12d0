"""What an operator lets the router do. Callers can set none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from attrs import Factory, field, frozen

from callsheet.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    AuthenticationError,
    RateLimitError,
)
from callsheet.routing.health import HealthPolicy

__all__ = ["RETRY_KINDS", "STRATEGIES", "Fallbacks", "Routing", "Strategy", "is_refusal", "kind_of"]

Strategy = Literal["shuffle", "least-busy", "lowest-latency", "priority"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
RETRY_KINDS = ("timeout", "rate_limit", "server_error", "authentication", "connection")
"""What a `retry_policy` may name."""
_CONTENT = {
    "content_policy_violation", "content_filter", "content_filtered", "moderation_blocked", "sentinel_block",
    "responsibleaipolicyviolation",
}  # fmt: skip
_CONTEXT = {"context_length_exceeded", "string_above_max_length"}


@frozen
class Fallbacks:
    """Model names to go on with, by the name that was asked for, and for all others."""

    of: Mapping[str, tuple[str, ...]] = Factory(dict)
    others: tuple[str, ...] = ()

    def after(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names to go on with after a model, by any of its own."""
        if not self.of:
            return self.others
        return next((self.of[name] for name in names if name in self.of), self.others)

    @property
    def names(self) -> set[str]:
        """All names that are gone on with."""
        return {name for names in self.of.values() for name in names} | set(self.others)


@frozen
class Routing:
    """How deployments are chosen, and what happens when one fails.

    `fallbacks` follow when a group can't answer, `context_window` when a request is too long for it, `content_policy` when
    its vendor refuses the content: never, unless this says so. `retries` are further attempts at most, 0 to 2, and
    `retries_by_kind` those after errors of one kind (see RETRY_KINDS); `retries_by_model` are for one name.
    """

    strategy: Strategy = "shuffle"
    fallbacks: Fallbacks = Fallbacks()
    context_window: Fallbacks = Fallbacks()
    content_policy: Fallbacks = Fallbacks()
    retries: int = 2
    retries_by_kind: Mapping[str, int] = Factory(dict)
    retries_by_model: Mapping[str, Mapping[str, int]] = Factory(dict)
    health: HealthPolicy = field(factory=HealthPolicy)

    def retries_after(self, error: APIError, names: Sequence[str]) -> int:
        """How many further attempts an error of a model's may have. The rules of the operation table bind all of them."""
        by_model = self.retries_by_model
        kinds = next((by_model[name] for name in names if name in by_model), self.retries_by_kind)
        return min(self.retries, kinds.get(kind_of(error), self.retries))

    def after_refusal(self, error: APIError, names: Sequence[str]) -> tuple[str, ...]:
        """The names to go on with after a refusal that is about the request, where the operator wants that."""
        if not is_refusal(error):
            return ()
        too_long = (error.code or "").lower() in _CONTEXT
        return (self.context_window if too_long else self.content_policy).after(names)


def is_refusal(error: APIError) -> bool:
    """Whether an error is about what was asked, whatever its status: its content, or its length."""
    return (error.code or "").lower() in _CONTENT | _CONTEXT


def kind_of(error: APIError) -> str:
    """What a retry policy calls an error; "" for what it has no name for."""
    if isinstance(error, APITimeoutError) or error.status_code == 408:
        return "timeout"
    if isinstance(error, APIConnectionError):
        return "connection"
    if isinstance(error, RateLimitError):
        return "rate_limit"
    if isinstance(error, AuthenticationError):
        return "authentication"
    failed = isinstance(error, APIResponseValidationError) or (error.status_code or 0) >= 500
    return "server_error" if failed else ""
