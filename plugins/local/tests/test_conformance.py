"""The conformance kit, as third parties run it."""

from callsheet.testing import ProviderTests


class TestLocal(ProviderTests):
    provider = "local"
