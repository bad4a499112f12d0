"""A real gateway: `callsheet serve` in a process of its own, on a free port, with a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it ships no types
from attrs import evolve, frozen

CLIP = Path(__file__).parent / "disc-720p-2s.mp4"
"""A red disc that moves: a character out of five pictures is cut in a fifth of the time that a real film takes."""
BUNNY = Path(__file__).parents[2] / "plugins/local/src/callsheet_local/media/bunny-720p-3s.mp4"
"""A real film. Big Buck Bunny, (c) Blender Foundation, CC BY 3.0: see CREDIT.txt beside it."""
MASTER = "sk-cs-master-of-the-tests-0123456789"


@frozen
class Gateway:
    """A gateway that is running. `base_url` ends in /v1, `root` does not."""

    base_url: str
    models: list[str]
    process: psutil.Process
    data_dir: Path
    key: str | None = None
    """The key that its clients show; None for one that asks for none."""

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/v1")

    @property
    def page(self) -> str:
        return f"{self.root}/realtime"

    def http(self, **options: object) -> httpx.Client:
        """A plain HTTP client for it."""
        if self.key is not None:
            options.setdefault("headers", {"authorization": f"Bearer {self.key}"})
        return httpx.Client(base_url=self.base_url, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]  # httpx's own names

    def new_key(self, **fields: object) -> str:
        """A virtual key of a gateway whose master key is MASTER."""
        with self.http(headers={"authorization": f"Bearer {MASTER}"}) as http:
            made = http.post("/keys", json=fields)
            assert made.status_code == 201, made.text
            return str(made.json()["key"])

    def resident(self) -> int:
        """Bytes of memory that the process holds."""
        return int(self.process.memory_info().rss)


def launched(
    data_dir: Path, errors: Any, *words: str, cwd: Path | None = None, **env: str
) -> tuple[Any, dict[str, Any]]:
    """A process of `callsheet serve --port 0 WORDS...` that takes requests, and what it said of itself.

    It asks for no key, unless one is named: launched(..., CALLSHEET_MASTER_KEY="sk-...").
    """
    if "--config" not in words and "CALLSHEET_MASTER_KEY" not in env:
        words = (*words, "--no-keys")
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "callsheet"), "serve", "--port", "0", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=cwd,
        env={
            **os.environ,
            "CALLSHEET_LOCAL_DIR": str(data_dir),
            "CALLSHEET_GATEWAY_DIR": str(data_dir / "gateway"),
            **env,
        },
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(20)
        process.stdout.close()
    return process, json.loads(line) if line else {}


@contextmanager
def serving(data_dir: Path, *words: str, cwd: Path | None = None, **env: str) -> Iterator[Gateway]:
    """Run a gateway and stop it in the end, as Ctrl-C does. Its errors are shown if it fails. See `launched`."""
    log = data_dir.parent / f"{data_dir.name}.serve.log"
    with log.open("wb") as errors:
        process, said = launched(data_dir, errors, *words, cwd=cwd, **env)
        assert said, log.read_text(errors="replace")
        try:
            yield Gateway(said["base_url"], said["models"], psutil.Process(process.pid), data_dir)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError("the gateway did not end within 20 s of Ctrl-C") from None
            finally:
                process.stdout.close()
    trouble = [line for line in log.read_text(errors="replace").splitlines() if "Traceback" in line or "rror" in line]
    assert not trouble, log.read_text(errors="replace")
    assert process.returncode == 0


@contextmanager
def keyed(data_dir: Path, *words: str) -> Iterator[Gateway]:
    """Run a gateway that asks for keys, for clients with a virtual one."""
    with serving(data_dir, *words, CALLSHEET_MASTER_KEY=MASTER) as running:
        yield evolve(running, key=running.new_key(name="client", owner="clients"))
