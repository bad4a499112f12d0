"""OpenAI's live round with Azure's adapter: forms, its own header for the key, ids out of a Location that is shorter.

The gateway is no Azure resource: it has /v1, and not /openai/v1. What a proxy in front of it would do to the path is done
here by the transports, and everything else is as it is.
"""

from __future__ import annotations

from typing import Any

import pytest
from core.tests.conftest import Mode
from gateway.tests.serving import Gateway
from plugins.openai.tests.test_live_round import (
    gateway,
    test_a_call_with_an_ephemeral_key,
    test_a_call_with_the_accounts_own_key,
    test_a_response_is_streamed_and_streamed_again,
    test_a_series_with_a_character,
    test_chat,
    test_responses,
)

from callsheet import AsyncTransport, BlockingTransport
from callsheet.exchange import Incoming, Outgoing

__all__ = [
    "gateway",
    "test_a_call_with_an_ephemeral_key",
    "test_a_call_with_the_accounts_own_key",
    "test_a_response_is_streamed_and_streamed_again",
    "test_a_series_with_a_character",
    "test_chat",
    "test_responses",
]


def at_the_gateway(request: Outgoing) -> Outgoing:
    assert "/openai/v1/" in request.url
    assert request.headers.get("api-key", "sk-live-0123") == "sk-live-0123"
    request.url = request.url.replace("/openai/v1/", "/v1/", 1)
    return request


class Blocking(BlockingTransport):
    async def open(self, request: Outgoing) -> Incoming:
        return await super().open(at_the_gateway(request))


class Async(AsyncTransport):
    async def open(self, request: Outgoing) -> Incoming:
        return await super().open(at_the_gateway(request))


@pytest.fixture
def at() -> str:
    return "azure"


@pytest.fixture
def live(mode: Mode, gateway: Gateway) -> Any:
    transport = Blocking() if mode.blocking else Async()
    return mode.client(
        None, "azure", registry=None, api_key="sk-live-0123", base_url=gateway.root, timeout=60, transport=transport
    )
