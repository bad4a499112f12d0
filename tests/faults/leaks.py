"""What a call leaves behind: threads, files, tasks, connections, warnings (O6), and secrets in any text (O4)."""

from __future__ import annotations

import gc
import logging
import pickle
import re
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

__all__ = ["LogBook", "Watch", "active_connections", "rendered", "within"]

PATIENCE = 1.0
"""Seconds after which everything must be as it was."""
NOT_OURS = re.compile(r"Async generator 'http(x|core)2?\._")  # httpx leaves its own to the garbage collector


def within(seconds: float, good: Callable[[], bool]) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not good():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def _files() -> list[str]:
    held = []
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them is gone again
            held.append(str(file.readlink()))
    return held


class Watch:
    """What is held at its beginning, and what more there is at its end: `found` says it in words."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __enter__(self) -> Self:
        self._threads, self._files = set(threading.enumerate()), len(_files())
        self._caught = warnings.catch_warnings(record=True)
        self._warnings = self._caught.__enter__()
        warnings.simplefilter("always")
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def _unraisable(self, what: Any) -> None:
        self.found.append(f"unraisable: {what.exc_value!r:.200}")

    def check(self) -> None:
        """Compare. Nothing is left to the garbage collector; what that finds later has leaked as well."""
        if not within(PATIENCE, lambda: set(threading.enumerate()) <= self._threads):
            self.found.append(f"threads: {[thread.name for thread in set(threading.enumerate()) - self._threads]}")
        if not within(PATIENCE, lambda: len(_files()) <= self._files):
            self.found.append(f"{len(_files()) - self._files} files more: {_files()}")

    def __exit__(self, *exc: object) -> None:
        gc.collect()
        sys.unraisablehook = self._hook
        for warning in self._warnings or []:
            if not NOT_OURS.match(str(warning.message)):
                self.found.append(f"warning: {warning.category.__name__}: {warning.message}"[:300])
        self._caught.__exit__(None, None, None)


def active_connections(client: Any) -> list[str]:
    """The connections of a client's pools that are neither idle nor closed, and the requests that wait for one."""
    inner = getattr(client.transport, "_client", None)
    if inner is None:
        return []
    pools = [one._pool for one in [inner._transport, *inner._mounts.values()] if hasattr(one, "_pool")]
    busy = [repr(c) for pool in pools for c in pool._connections if not (c.is_idle() or c.is_closed())]
    return busy + [repr(request) for pool in pools for request in pool._requests]


class LogBook(logging.Handler):
    """Everything that anybody logs, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        logging.getLogger().addHandler(self)
        logging.getLogger().setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def rendered(error: BaseException | None, others: Iterable[object]) -> str:
    """All texts that somebody may print, log or store of an error and of other things."""
    texts = [f"{other!r} {other}" for other in others]
    if error is not None:
        chain: list[BaseException] = []
        link: BaseException | None = error
        while link is not None and link not in chain:
            chain.append(link)
            link = link.__cause__ or link.__context__
        for one in chain:
            texts += [str(one), repr(one), repr(vars(one)), *getattr(one, "__notes__", [])]
        texts += traceback.format_exception(error)
        with suppress(Exception):
            texts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(texts)
