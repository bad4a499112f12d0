"""Where a call can go: one model at one account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from callsheet.account import Account

__all__ = ["LIMITS", "Deployment"]

LIMITS = ("weight", "order", "rpm", "tpm", "max_parallel_requests")
"""What a configuration may say of how much a deployment takes, and when."""


@frozen
class Deployment:
    """An account, and the model's name there. Several of them behind one name are a group.

    `weight` is its share among them (0: it takes none while others can), `order` its place where they are taken in order
    (the lowest first; without one, as they were listed). `rpm` and `tpm` are the requests and tokens a minute that it
    takes at most, `max_parallel_requests` the calls at once. `prices` are its own, by LiteLLM's names, in the place of
    the vendor's. `info` is the user's own data.
    """

    account: Account
    model: str | None = None
    weight: float = field(default=1.0, kw_only=True)
    order: int | None = field(default=None, kw_only=True)
    rpm: int | None = field(default=None, kw_only=True)
    tpm: int | None = field(default=None, kw_only=True)
    max_parallel_requests: int | None = field(default=None, kw_only=True)
    prices: Mapping[str, Any] = field(factory=dict, kw_only=True, eq=False, repr=False)
    info: Mapping[str, Any] = field(factory=dict, kw_only=True, eq=False, repr=False)

    @property
    def limited(self) -> bool:
        """Whether there is a limit that has to be held."""
        return not (self.rpm is None and self.tpm is None and self.max_parallel_requests is None)

    def of(self, part: str | None) -> Deployment:
        """The deployment that a name means whose `*` stands for this part."""
        if part is None or self.model is None or "*" not in self.model:
            return self
        return evolve(self, model=self.model.replace("*", part, 1))
