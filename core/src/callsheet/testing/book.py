"""What the fake remembers: what it began, and what was wrong with the requests."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Book", "Entry", "Problem"]


@frozen
class Entry:
    """One piece of work that was begun. `request` is the request's number in `Wire.seen`."""

    kind: str
    id: str
    request: int
    model: str | None = None


@frozen
class Book:
    """All work that was begun, in order: what a real vendor would put on the bill.

    Kinds: video, edit, extend, remix, character, secret, call, response, chat. An entry is written at the moment of
    acceptance, so that it is there however the answer gets lost afterwards.
    """

    entries: list[Entry] = field(factory=list)

    def accepted(self, kind: str | None = None) -> list[Entry]:
        """The entries, of one kind or all."""
        return [entry for entry in list(self.entries) if kind in {None, entry.kind}]

    def of_request(self, number: int) -> list[Entry]:
        """What one request began: one entry, or none."""
        return [entry for entry in list(self.entries) if entry.request == number]


@frozen
class Problem:
    """A violation of the wire. `request` is the request's number in `seen`; None if it was not even HTTP."""

    request: int | None
    message: str
    param: str | None = None

    def __str__(self) -> str:
        where = "a connection" if self.request is None else f"request {self.request}"
        return f"{where}: {self.message}"
