"""What code does besides computing: watched by Python's own audit events, and by standing in for time.sleep."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["blocking", "importing", "overheard", "watched"]

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
Note = Callable[[str, tuple[Any, ...]], None]
_watching: list[Note] = []
_installed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching:
        _watching[-1](event, arguments)


@contextmanager
def _listening(note: Note) -> Iterator[None]:
    """Hear of every audit event inside of the context. Audit hooks can't be removed, so there is one for all."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    _watching.append(note)
    try:
        yield
    finally:
        _watching.pop()


@contextmanager
def watched(package: str = "") -> Iterator[list[str]]:
    """What is done inside of the context that leaves a trace outside of it, and which files a package reads."""
    did: list[str] = []
    folder = _folder_of(package)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN:
            did.append(f"{_FORBIDDEN[event]} ({event} {str(arguments)[:80]})")
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            did.append(f"a file opened to be written ({arguments[0]})")
        elif event == "open" and package and _package_of(_caller()) == package and not _within(arguments[0], folder):
            did.append(f"a file read that is not the package's ({arguments[0]})")

    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        did.append(f"a thread ({thread.name})")
        real(thread)

    with ExitStack() as undo:
        # Neither threads nor sleeping have an audit event in every Python that we run on.
        setattr(threading.Thread, "start", start)  # noqa: B010  mypy knows of no other way to replace a method
        undo.callback(setattr, threading.Thread, "start", real)
        undo.enter_context(_instead_of_sleep(lambda seconds: did.append(f"a sleep of {seconds} s")))
        undo.enter_context(_listening(note))
        yield did


@contextmanager
def blocking(package: str) -> Iterator[list[str]]:
    """What blocks a thread in which an event loop runs: of a package's own doing, or in its name."""
    found: list[str] = []

    def in_loop() -> bool:
        return asyncio._get_running_loop() is not None

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if not in_loop():
            return
        if event == "socket.getaddrinfo":
            found.append("a look-up of a host name")
        elif event in {"open", "subprocess.Popen"} and _package_of(_caller()) == package and not _is_code(arguments[0]):
            what = "a file" if event == "open" else "a process"
            found.append(f"{what} ({arguments[0]})")

    def connection(*arguments: Any, **named: Any) -> Any:
        if in_loop():
            found.append("a blocking connection")
        return connect(*arguments, **named)

    connect, socket.create_connection = socket.create_connection, connection
    try:
        with (
            _listening(note),
            _instead_of_sleep(
                lambda seconds: found.append("time.sleep") if in_loop() and seconds > 0 else None, package
            ),
        ):
            yield found
    finally:
        socket.create_connection = connect


@contextmanager
def _instead_of_sleep(note: Callable[[float], None], package: str = "") -> Iterator[None]:
    """Hear of time.sleep, which has no audit event before Python 3.13; also where a module of a package imported it."""
    real = time.sleep

    def sleep(seconds: float) -> None:
        note(seconds)
        real(seconds)

    with ExitStack() as undo:
        for module in [time, *(m for n, m in list(sys.modules.items()) if package and n.partition(".")[0] == package)]:
            for name in [name for name, value in vars(module).items() if value is real]:
                setattr(module, name, sleep)
                undo.callback(setattr, module, name, real)
        yield


def _caller() -> FrameType | None:
    """Who did what is heard of: the first frame that is neither of Python's own library nor of this module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (_package_of(frame) in sys.stdlib_module_names or frame.f_globals is globals()):
        frame = frame.f_back
    return frame


def _package_of(frame: FrameType | None) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame is not None else ""


def _folder_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package) if package else None
    return Path(spec.origin).resolve().parent if spec is not None and spec.origin else None


def _is_code(file: Any) -> bool:
    """Whether it is what an import opens."""
    return isinstance(file, str) and Path(file).suffix in {".py", ".pyc", ".so", ".pyd"}


def _within(file: Any, folder: Path | None) -> bool:
    """Whether a file is code, or what pip wrote of a distribution, or lies in a folder. A number was opened before."""
    if isinstance(file, int) or _is_code(file):
        return True
    path = Path(os.fsdecode(file)).resolve()
    return path.parent.suffix in {".dist-info", ".egg-info"} or (folder is not None and path.is_relative_to(folder))


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
with watched(package) as did:
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
