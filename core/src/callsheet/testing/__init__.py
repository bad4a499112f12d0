"""What tests need: a vendor that is not there.

`FakeUpstream` speaks OpenAI's wire, over a real server on loopback or without any socket, refuses what the wire does
not allow, keeps a book of the work that it began, and breaks down on demand (`Fault`). Nothing else in callsheet
imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callsheet.testing.answers import Answer, document, event_stream
from callsheet.testing.book import Book, Entry, Problem
from callsheet.testing.faults import FAULTS, Fault, Happened
from callsheet.testing.files import file_answer
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.requests import fields_of
from callsheet.testing.route import FORM, JSON, SDP, Route, route
from callsheet.testing.routes import CHAT, REALTIME, RESPONSES, ROUTES, VIDEOS
from callsheet.testing.seen import Part, Seen
from callsheet.testing.state import Job
from callsheet.testing.upstream import FakeUpstream
from callsheet.testing.wire import FAKE_KEY, Wire

if TYPE_CHECKING:
    from callsheet.testing.kit.provider_tests import ProviderTests

__all__ = [
    "CHAT",
    "FAKE_KEY",
    "FAULTS",
    "FORM",
    "JSON",
    "REALTIME",
    "RESPONSES",
    "ROUTES",
    "SDP",
    "VIDEOS",
    "Answer",
    "Book",
    "Entry",
    "FakeUpstream",
    "Fault",
    "Happened",
    "Job",
    "Part",
    "Problem",
    "ProviderTests",
    "Refusal",
    "Route",
    "Seen",
    "Violation",
    "Wire",
    "document",
    "event_stream",
    "fields_of",
    "file_answer",
    "route",
]


def __getattr__(name: str) -> Any:
    if name == "ProviderTests":  # needs pytest, which tests of another kind may live without
        from callsheet.testing.kit.provider_tests import ProviderTests

        return ProviderTests
    raise AttributeError(f"module 'callsheet.testing' has no attribute {name!r}")
