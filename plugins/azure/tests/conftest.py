"""An Azure resource that is not there, and clients of it in three modes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from core.tests.conftest import Mode, _warm, mode, pytest_configure, pytest_pyfunc_call

from callsheet import Client, Registry
from callsheet_azure import AzureProvider
from callsheet_azure.wire import KEY, AzureWire

__all__ = [
    "ROOT",
    "_warm",
    "azure_client",
    "jwt",
    "mode",
    "pytest_configure",
    "pytest_pyfunc_call",
    "registry",
    "sync_client",
]

ROOT = "https://res-1.openai.azure.com"


def registry() -> Registry:
    """Nothing but the provider that is tested."""
    made = Registry(points=[], wraps=())
    made.register("azure", AzureProvider)
    return made


def azure_client(mode: Mode, fake: AzureWire, key: str | None = KEY, **settings: Any) -> Any:
    """A client of the fake, without a socket; it is closed when the test ends."""
    transport = fake.blocking_transport() if mode.blocking else fake.async_transport()
    address = settings.pop("base_url", ROOT)
    return mode.client(
        None, "azure", registry=registry(), api_key=key, base_url=address, settings=settings, transport=transport
    )


def sync_client(fake: AzureWire, key: str | None = KEY, **settings: Any) -> Any:
    """The same, of the sync client as it is."""
    return Client(
        provider="azure",
        registry=registry(),
        api_key=key,
        base_url=settings.pop("base_url", ROOT),
        settings=settings,
        transport=fake.blocking_transport(),
        timeout=5,
    )


def jwt(expires: float | None = None, name: str = "canary") -> str:
    """A token as Entra makes them, unsigned: by default good for an hour."""
    claims = {"aud": "https://cognitiveservices.azure.com", "exp": round(expires or time.time() + 3600), "sub": name}
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "none"}, claims)
    )
    return f"{head}.{body}.signature-{name}"


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has in its environment is nothing to these tests."""
    for name in ("AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[AzureWire]:
    """Whatever is sent to it must be right."""
    made = AzureWire()
    yield made
    assert made.problems == []


@pytest.fixture
def client(mode: Mode, fake: AzureWire) -> Any:
    return azure_client(mode, fake)
