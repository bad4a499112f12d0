"""Work that takes much memory is done a few at a time in a process, and what would wait too long is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from callsheet import RateLimitError

__all__ = ["Turns"]


class Turns:
    """Lets `at_once` threads work and `waiting` more wait for their turn."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turn = threading.BoundedSemaphore(at_once)
        self._room = threading.BoundedSemaphore(at_once + waiting)

    @contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """Work when it is one's turn. RateLimitError when too many wait already; `what` is what all of them want."""
        if not self._room.acquire(blocking=False):
            raise RateLimitError(
                f"this machine is busy with {what}; try again in a few seconds", code="busy", retry_after=3.0
            )
        try:
            with self._turn:
                yield
        finally:
            self._room.release()
