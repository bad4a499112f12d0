"""The vendor that is not there, and a client of it in each of three modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core.tests.conftest import Mode, _warm, mode, pytest_configure, pytest_pyfunc_call, server

from callsheet import Registry
from callsheet.testing import FAKE_KEY
from callsheet_gemini import GeminiProvider
from callsheet_gemini.wire import GeminiWire

__all__ = ["BUNNY", "MODEL", "PNG", "_warm", "mode", "pytest_configure", "pytest_pyfunc_call", "server"]

MODEL = "gemini/veo-3.1-generate-preview"
BUNNY = Path(__file__).parents[2] / "local" / "src" / "callsheet_local" / "media" / "bunny-720p-3s.mp4"
PNG = b"\x89PNG\r\n\x1a\n picture"


def registry() -> Registry:
    """Nothing but the provider that is tested."""
    made = Registry(points=[], wraps=())
    made.register("gemini", GeminiProvider)
    return made


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has in its environment is nothing to these tests."""
    for name in ("GEMINI_API_KEY", "GEMINI_BASE_URL", "GOOGLE_API_KEY", "CALLSHEET_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wire() -> Iterator[GeminiWire]:
    fake = GeminiWire()
    yield fake
    assert fake.problems == []


@pytest.fixture
def at(mode: Mode, tmp_path: Path) -> Callable[..., Any]:
    """A client at an address of one's own, in a mode."""

    def made(url: str, **options: Any) -> Any:
        options = {"registry": registry(), "api_key": FAKE_KEY, "settings": {"data_dir": tmp_path / "kept"}, **options}
        return mode.client(None, "gemini", model=MODEL, base_url=url, **options)

    return made


@pytest.fixture
def client(wire: GeminiWire, at: Callable[..., Any]) -> Iterator[Any]:
    with wire.serve() as url:
        yield at(url)
