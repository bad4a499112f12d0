"""Gateways over the embedded provider for all tests of a worker: one without keys, and one with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway.tests.serving import Gateway, keyed, serving


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def gateway_with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with keyed(tmp_path_factory.mktemp("keyed") / "data") as running:
        yield running
