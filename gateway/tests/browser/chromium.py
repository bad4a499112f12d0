"""A real Chromium, headless, whose microphone hears a WAV file, and pages that are watched."""

from __future__ import annotations

import math
import os
import shutil
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERTZ = 440
"""What the fake microphone hears."""
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --use-fake-device-for-media-stream"
)
_PATIENCE_MS = 20_000


def write_tone(path: Path, hertz: int = HERTZ) -> Path:
    """1.2 seconds of a tone and 0.8 of silence. The fake microphone plays it over and over."""
    rate = 48_000
    tone = [round(12_000 * math.sin(2 * math.pi * hertz * place / rate)) for place in range(rate * 12 // 10)]
    samples = tone + [0] * (rate * 8 // 10)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Chromium with more flags. A test is skipped without one - not in CI, where there has to be one.

    Its driver runs a loop in this thread: while it is open, nothing else in this process can run one. So it is closed
    at the end of a module, not of the session.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        program = None
    if program is None:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("no Chromium, or no playwright: `apt-get install chromium`, `pip install playwright`")
        raise AssertionError
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, headless=True, args=[*_FLAGS.split(), *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, url: str, allowed: tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
    """A page in a context of its own. In the end: no error or warning in its console, no request to another host.

    `allowed` are pieces of console messages that the test provokes.
    """
    troubles: list[str] = []
    context = browser.new_context(**options)
    page = context.new_page()

    def console(message: Any) -> None:
        if message.type in {"error", "warning"} and not any(piece in message.text for piece in allowed):
            troubles.append(f"{message.type}: {message.text}")

    def request(sent: Any) -> None:
        if urlsplit(sent.url).hostname != "127.0.0.1":
            troubles.append(f"request to {sent.url}")

    page.on("console", console)
    page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
    page.on("request", request)
    page.set_default_timeout(_PATIENCE_MS)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert not troubles, troubles


def run(page: Page, script: str) -> Any:
    """Run the body of an async function in a page, and return what it returns.

    By the debugger's own protocol: page.evaluate() is an eval(), which the page's policy refuses.
    """
    session = page.context.new_cdp_session(page)
    said = session.send(
        "Runtime.evaluate",
        {
            "expression": f"(async () => {{\n{script}\n}})()",
            "awaitPromise": True,
            "returnByValue": True,
            "userGesture": True,
        },
    )
    session.detach()
    assert "exceptionDetails" not in said, said["exceptionDetails"]
    return said["result"].get("value")
