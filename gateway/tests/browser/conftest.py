"""One browser for the tests of a module: see `chromium` for why not for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway.tests.browser.chromium import chromium, write_tone


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Chromium that allows the microphone, which hears a tone of 440 Hz."""
    wav = write_tone(tmp_path_factory.mktemp("microphone") / "tone.wav")
    with chromium("--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={wav}") as opened:
        yield opened
