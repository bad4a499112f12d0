"""What a server holds that it should have let go: open files, temporary files, half-made films."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
from attrs import frozen
from gateway.tests.serving import Gateway


@frozen
class Held:
    """How much of it there is at one time."""

    descriptors: int
    files: Counter[str]

    @classmethod
    def by(cls, gateway: Gateway, temp_dir: Path) -> Held:
        """What a gateway holds whose TMPDIR is `temp_dir`. Finished videos and the index are no leftovers."""
        folders = [temp_dir, *(gateway.data_dir / name for name in ("work", "inputs", "videos", "characters"))]
        files = Counter(f"{path.parent.name}/{path.name}" for folder in folders for path in folder.glob("*"))
        return cls(gateway.process.num_fds(), files)


def nothing_more(gateway: Gateway, temp_dir: Path, before: Held) -> None:
    """Check that the server comes back, within seconds, to what it held before."""
    until = time.monotonic() + 5
    while True:
        now = Held.by(gateway, temp_dir)
        if now.descriptors <= before.descriptors and now.files == before.files:
            return
        if time.monotonic() > until:
            raise AssertionError((before, now, opened(gateway.process)))
        time.sleep(0.05)


def opened(process: psutil.Process) -> list[Any]:
    """What it has open, for the message."""
    return [*process.open_files(), *process.net_connections()]
