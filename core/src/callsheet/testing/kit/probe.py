"""What code does besides computing: watched by Python's own audit events."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

__all__ = ["importing", "overheard", "watched"]

_FORBIDDEN = {
    "socket.connect": "a connection",
    "socket.getaddrinfo": "a look-up of a host name",
    "socket.bind": "a listening socket",
    "subprocess.Popen": "a process",
    "os.system": "a process",
    "os.fork": "a process",
    "os.posix_spawn": "a process",
    "os.mkdir": "a new folder",
    "os.remove": "a removed file",
}
_watching: list[list[str]] = []
_installed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event in _FORBIDDEN:
        _watching[-1].append(f"{_FORBIDDEN[event]} ({event} {str(arguments)[:80]})")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        _watching[-1].append(f"a file opened to be written ({arguments[0]})")


@contextmanager
def watched() -> Iterator[list[str]]:
    """What is done inside of the context that leaves a trace outside of it."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    did: list[str] = []
    before = threading.active_count()
    _watching.append(did)
    try:
        yield did
    finally:
        _watching.pop()
        if threading.active_count() > before:
            did.append(f"{threading.active_count() - before} threads")


@contextmanager
def overheard(logger: str = "") -> Iterator[io.StringIO]:
    """All that is printed, and logged to a logger (or all of them), inside of the context."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger(logger)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


_SCRIPT = """
import json, os, sys, time
started = time.process_time()
import callsheet
core = time.process_time() - started
from callsheet.testing.kit.probe import watched
asked, package = [], sys.argv[1].partition(".")[0]
real = os.environ.__class__.__getitem__
def noting(self, name):
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in {"os", "_collections_abc", "collections.abc"}:
        frame = frame.f_back
    if frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        asked.append(name)
    return real(self, name)
os.environ.__class__.__getitem__ = noting
with watched() as did:
    started = time.process_time()
    __import__(sys.argv[1])
    seconds = time.process_time() - started
did += [f"a look at the environment's {name}" for name in asked]
print("\\n" + json.dumps({"did": did, "seconds": seconds, "core_seconds": core}))
"""


def importing(module: str) -> dict[str, Any]:
    """What the import of a module does, and how long it takes: the shortest of three, each in a process of its own."""
    found: list[dict[str, Any]] = []
    for _ in range(3):
        command = [sys.executable, "-B", "-c", _SCRIPT, module]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")]),
        }  # a test's own additions to the path, too
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)  # noqa: S603  our own words
        if done.returncode:
            return {
                "did": [f"an exit with {done.returncode}: {done.stderr.strip()[-300:]}"],
                "seconds": 0,
                "core_seconds": 1,
            }
        lines = done.stdout.strip().splitlines()
        result = json.loads(lines[-1])
        if lines[:-1]:
            result["did"].append(f"a print: {lines[0][:80]}")
        found.append(result)
        if result["seconds"] < 0.04 or result["did"]:
            break
    return min(found, key=lambda result: result["seconds"])
