"""What bench/gateway.py measures, each program in a process of its own: upstream, floor, Callsheet's gateway, LiteLLM's."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
from attrs import frozen

HERE = Path(__file__).parent
CACHE: Path = Path(tempfile.gettempdir()) / "callsheet-bench"
CONFIG = """model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-upstream
general_settings:
  master_key: sk-bench-5f1c2d7e9a0b4c3d8e6f7a1b2c3d4e5f
"""
LITELLM_CONFIG = (
    CONFIG
    + """litellm_settings:
  request_timeout: 600
  set_verbose: false
  json_logs: true
"""
)
LITELLM_ENVIRONMENT = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""As https://docs.litellm.ai/docs/proxy/prod has it, but for what needs a database; and the price list is not fetched."""


@frozen
class Program:
    """A server that is running. `ready` is how many seconds it took, `idle` its resident bytes then."""

    name: str
    port: int
    process: psutil.Process
    ready: float
    idle: int

    def processor_time(self) -> float:
        """Seconds that it, and what it started, has used so far."""
        return sum(sum(one.cpu_times()[:2]) for one in self._family())

    def resident(self) -> int:
        return sum(int(one.memory_info().rss) for one in self._family())

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def running(name: str, words: list[str], port: int | None = None, live: str = "", **env: str) -> Iterator[Program]:
    """Start a program; `port` None: its first line is the port. It is ready when the path `live` is answered with 200."""
    CACHE.mkdir(exist_ok=True)
    log = CACHE / f"{name}.log"
    begun = time.perf_counter()
    with log.open("wb") as errors:
        child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if port is None else errors,
            stderr=errors,
            env={**os.environ, **env},
        )
    try:
        if port is None:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line:
                raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace')[-2000:]}")
            port = int(line)
        while live and not _answers(port, live):
            if child.poll() is not None or time.perf_counter() - begun > 90:
                raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        process = psutil.Process(child.pid)
        ready = time.perf_counter() - begun
        time.sleep(0.5)  # what a start leaves to do is done
        made = Program(name, port, process, ready, 0)
        yield Program(name, port, process, ready, made.resident())
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def upstream() -> list[str]:
    return [sys.executable, str(HERE / "_gateway_upstream.py")]


def floor(port: int) -> list[str]:
    return [sys.executable, str(HERE / "_gateway_relay.py"), f"http://127.0.0.1:{port}"]


def callsheet(config: Path, port: int) -> list[str]:
    return [sys.executable, str(HERE / "_gateway_serve.py"), "serve", "--port", str(port), "--config", str(config)]


def litellm() -> Path | str:
    """LiteLLM's command in an environment of its own, installed once; or why there is none."""
    home = CACHE / "litellm"
    command: Path = home / "bin" / "litellm"
    if command.exists():
        return command
    print("installing litellm[proxy], once ...", file=sys.stderr)
    for words in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin/pip"), "install", "-q", "litellm[proxy]"],
    ):
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{type(error).__name__}: {error}"
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    return command if command.exists() else "litellm[proxy] brought no command"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def written(name: str, template: str, values: Mapping[str, object]) -> Path:
    CACHE.mkdir(exist_ok=True)
    path = CACHE / name
    path.write_text(template.format(**values))
    return path


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
