"""Core's transport tests, run over the gateway's transport, on uvloop's loop; what is tested here runs on asyncio's, too.

A module here that says `from core.tests.test_X import *` runs the tests of that module that have a mode, all but the
blocking and trio ones. Whoever makes an AsyncClient in them gets this transport instead of core's.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest
from core.tests.conftest import (  # noqa: F401  fixtures and hooks of core's tests, which hold here, too
    Mode,
    _warm,
    client,
    held,
    pytest_configure,
    pytest_pyfunc_call,
    server,
)

from callsheet_gateway.upstream import UpstreamTransport

HERE = Path(__file__).parent


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose event loop runs the test. The servers' own loops stay asyncio's."""
    if request.param == "uvloop":
        monkeypatch.setattr(anyio, "run", partial(anyio.run, backend_options={"use_uvloop": True}))
    return str(request.param)


@pytest.fixture
def mode(loop: str, monkeypatch: pytest.MonkeyPatch) -> Mode:
    monkeypatch.setattr("callsheet.transport.AsyncTransport", UpstreamTransport)
    return Mode("asyncio")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of core's tests leave out what is not about this transport: other modes, and tests that have none."""
    away = [item for item in items if HERE in item.path.parents and _is_not_ours(item)]
    config.hook.pytest_deselected(items=away)
    left = set(away)
    items[:] = [item for item in items if item not in left]


def _is_not_ours(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function) or not item.function.__module__.startswith("core.tests."):
        return False
    if "mode" not in item.fixturenames:
        return True
    chosen = item.callspec.params
    return chosen["loop"] != "uvloop" or chosen.get("mode", "asyncio") != "asyncio"
