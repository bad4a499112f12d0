"""The conformance kit, as third parties run it."""

from callsheet.testing import ProviderTests


class TestOpenAI(ProviderTests):
    provider = "openai"
