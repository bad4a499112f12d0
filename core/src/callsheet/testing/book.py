"""What the fake remembers: what it began, and what was wrong with the requests."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Book", "Entry", "Problem"]


@frozen
class Entry:
    """One piece of work that was begun. `request` is the request's number in `Wire.seen`.

    `microdollars` is what the vendor would bill for it, by its own prices (None: this wire does not say): for the `seconds`
    and the `size` of a video, for the tokens of a text; nothing for a job that fails.
    """

    kind: str
    id: str
    request: int
    model: str | None = None
    microdollars: int | None = field(default=None, eq=False, kw_only=True)
    seconds: int | None = field(default=None, eq=False, kw_only=True)
    size: str | None = field(default=None, eq=False, kw_only=True)
    input_tokens: int | None = field(default=None, eq=False, kw_only=True)
    output_tokens: int | None = field(default=None, eq=False, kw_only=True)


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

    def bill(self, kind: str | None = None) -> int:
        """What all of it comes to, in micro-dollars, of one kind or all."""
        return sum(entry.microdollars or 0 for entry in self.accepted(kind))

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
