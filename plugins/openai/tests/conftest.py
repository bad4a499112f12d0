"""The core's server and its three modes, with a client that speaks OpenAI's wire to it."""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.conftest import Mode, _warm, mode, pytest_configure, pytest_pyfunc_call, server
from core.tests.server import Server

from callsheet import Registry
from callsheet_openai import OpenAIProvider

__all__ = ["KEY", "_warm", "client", "mode", "openai_client", "pytest_configure", "pytest_pyfunc_call", "server"]

KEY = "sk-canary-51c0ffee"


def registry() -> Registry:
    """Nothing but the provider that is tested."""
    made = Registry(points=[], wraps=())
    made.register("openai", OpenAIProvider)
    return made


def openai_client(mode: Mode, url: str, **options: Any) -> Any:
    """A client at an address of one's own, in a mode; it is closed when the test ends."""
    return mode.client(None, "openai", **{"registry": registry(), "api_key": KEY, "base_url": url, **options})


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has in its environment is nothing to these tests."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again without a pause."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: 0.0)


@pytest.fixture
def client(mode: Mode, server: Server) -> Any:
    """Its paths begin with /v1."""
    return openai_client(mode, f"{server.url}/v1")
