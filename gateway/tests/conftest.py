"""One gateway over the embedded provider for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway.tests.serving import Gateway, serving


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway") / "data") as running:
        yield running
