"""What tests need: a vendor that is not there.

`FakeUpstream` speaks OpenAI's wire, over a real server on loopback or without any socket, refuses what the wire does
not allow, keeps a book of the work that it began, and breaks down on demand (`Fault`). Nothing else in callsheet
imports this.
"""

from __future__ import annotations

from callsheet.testing.book import Book, Entry, Problem
from callsheet.testing.faults import FAULTS, Fault, Happened
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.routes import ROUTES, Route
from callsheet.testing.seen import Part, Seen
from callsheet.testing.upstream import FAKE_KEY, FakeUpstream

__all__ = [
    "FAKE_KEY",
    "FAULTS",
    "ROUTES",
    "Book",
    "Entry",
    "FakeUpstream",
    "Fault",
    "Happened",
    "Part",
    "Problem",
    "Refusal",
    "Route",
    "Seen",
    "Violation",
]
