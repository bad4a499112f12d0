"""What the fake vendor has: videos, characters, secrets, calls, responses."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import define, field

__all__ = ["Call", "Job", "Secret", "State", "Stored"]


@define
class Job:
    """A video job. It goes on a step at each look."""

    id: str
    model: str
    prompt: str
    size: str
    seconds: str
    created_at: int
    needed: int
    """Looks until it is done."""
    remixed_from: str | None = None
    failure: tuple[str, str] | None = None
    """Code and message, if it is going to fail."""
    looks: int = 0
    ended_at: int | None = None


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
    """All of it. Ids are made from `seed` and a counter, so that two fakes with the same past give the same answers."""

    seed: str
    count: int = 0
    jobs: dict[str, Job] = field(factory=dict)
    characters: dict[str, dict[str, Any]] = field(factory=dict)
    secrets: dict[str, Secret] = field(factory=dict)
    calls: dict[str, Call] = field(factory=dict)
    responses: dict[str, Stored] = field(factory=dict)

    def new_id(self, prefix: str) -> str:
        self.count += 1
        return prefix + hashlib.sha256(f"{self.seed}:{prefix}:{self.count}".encode()).hexdigest()[:32]
