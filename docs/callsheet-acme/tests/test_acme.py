"""Acme is held to the conformance kit: 52 checks, each asked of every operation that it is for."""

from callsheet_acme import Acme
from callsheet_acme.wire import AcmeWire

from callsheet.testing import ProviderTests


class TestAcme(ProviderTests):
    provider = Acme
    wire = AcmeWire
    offers = frozenset({"generate_video", "get_video", "download_video", "chat_completions"})
