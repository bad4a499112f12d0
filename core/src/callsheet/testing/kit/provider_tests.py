"""All checks in one class."""

from __future__ import annotations

from callsheet.testing.kit.errors import ErrorTests
from callsheet.testing.kit.job_tests import JobTests
from callsheet.testing.kit.leaks import LeakTests
from callsheet.testing.kit.shape import ShapeTests
from callsheet.testing.kit.streams import StreamTests
from callsheet.testing.kit.uploads import UploadTests
from callsheet.testing.kit.wire_tests import WireTests

__all__ = ["ProviderTests"]


class ProviderTests(ShapeTests, WireTests, UploadTests, JobTests, StreamTests, ErrorTests, LeakTests):
    """The conformance kit. A subclass says which provider it is about, and how its vendor speaks.

        class TestAcme(ProviderTests):
            provider = Acme          # or its entry point's name: "acme"
            wire = AcmeWire          # the vendor's side; not needed where the distribution ships it (callsheet.wires)
            offers = {"generate_video", "get_video"}    # optional: what it must offer, no less and no more

    Checks can be neither overridden nor removed: one that can't pass stands, with the reason, in the wire's
    `known_failures`, and must fail.
    """
