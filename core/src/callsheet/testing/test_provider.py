"""`pytest --pyargs callsheet.testing --provider acme`: the conformance kit, for an installed provider, without a file."""

from __future__ import annotations

from callsheet.testing.kit.provider_tests import ProviderTests


class TestProvider(ProviderTests):
    """The provider that the command line names."""
