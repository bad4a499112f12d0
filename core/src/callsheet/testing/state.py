"""What a fake vendor has: its jobs, and whatever else its wire knows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from attrs import define, field

__all__ = ["Call", "Job", "Secret", "State", "Stored"]


@define
class Job:
    """A job of a vendor's. It goes on a step at each look.

    `states` are what it goes through, in the contract's words: queued, in_progress, completed, failed, cancelled,
    expired - or empty, which is done without a result, or one that nobody has heard of. A wire spells them in its
    vendor's. `facts` are what the wire wants to keep.
    """

    id: str
    prompt: str
    created_at: int
    states: Sequence[str]
    model: str | None = None
    failure: tuple[str, str] | None = None
    """Code and message, if it is going to fail (which it has when `status` is "failed")."""
    facts: dict[str, Any] = field(factory=dict)
    looks: int = 0
    ended_at: int | None = None

    @property
    def status(self) -> str:
        """Where it is now, in the contract's words."""
        return self.states[min(self.looks, len(self.states) - 1)]

    @property
    def over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.status in {"completed", "failed", "cancelled", "expired", "empty"}

    @property
    def progress(self) -> int:
        """0 to 100."""
        if self.status == "completed":
            return 100
        return min(99, 100 * self.looks // max(1, len(self.states) - 1)) if self.status == "in_progress" else 0


@define
class Secret:
    """An ephemeral key, and the session that it opens."""

    expires_at: int
    session: dict[str, Any]


@define
class Call:
    """A realtime call: the offer as it came, byte for byte."""

    offer: bytes
    session: dict[str, Any]
    over: bool = False


@define
class Stored:
    """A stored response: its document, its events and what it was asked."""

    document: dict[str, Any]
    events: list[dict[str, Any]]
    items: list[dict[str, Any]]
    looks_left: int = 0


@define
class State:
    """All of it. Ids are made from `seed` and a counter, so that two fakes with the same past give the same answers.

    `kept` is for what a wire of your own has to remember; copies are made of it.
    """

    seed: str
    count: int = 0
    jobs: dict[str, Job] = field(factory=dict)
    characters: dict[str, dict[str, Any]] = field(factory=dict)
    secrets: dict[str, Secret] = field(factory=dict)
    calls: dict[str, Call] = field(factory=dict)
    responses: dict[str, Stored] = field(factory=dict)
    kept: dict[str, Any] = field(factory=dict)

    def new_id(self, prefix: str) -> str:
        """An id that there was not yet: the same in two wires with the same seed and the same past."""
        self.count += 1
        return prefix + hashlib.sha256(f"{self.seed}:{prefix}:{self.count}".encode()).hexdigest()[:32]
