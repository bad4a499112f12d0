"""What a running server says on stderr: access log, warnings, the words at its end.

A thread of its own writes it. A terminal that is held, a pipe that nobody reads or a disk that is slow would else stop the
event loop, and with it everybody: lines that find no room are dropped, and counted.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable

from attrs import define, field

__all__ = ["LogWriter", "QueuedHandler"]

_MOST_WAITING = 10_000
_PAUSE = 0.05
"""Seconds between two writes: a line each would cost more than the requests."""
_FAREWELL = 2.0
"""Seconds for what is waiting still at the end."""


def _to_stderr() -> Callable[[bytes], None]:
    """Writes to the process's stderr, past Python's own object for it: its lock would be held by whoever is stuck."""
    descriptor = os.dup(2)

    def write(content: bytes) -> None:
        while content:
            content = content[os.write(descriptor, content) :]

    return write


@define(eq=False)
class LogWriter:
    """Writes lines, in their order. `write` takes their bytes, and may block; by default it goes to stderr.

    `dropped` counts the lines that were lost.
    """

    write: Callable[[bytes], None] = field(factory=_to_stderr)
    dropped: int = field(default=0, init=False)
    _waiting: queue.Queue[Callable[[], str] | None] = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, line: Callable[[], str]) -> None:
        """Have a line written, without its end. The function that makes it is called in the writer's thread."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def say(self, text: str) -> None:
        """Have a text written."""
        self.put(lambda: text)

    def close(self) -> None:
        """Write what is waiting still; gives up after two seconds."""
        try:
            self._waiting.put(None, timeout=_FAREWELL / 2)
        except queue.Full:
            return
        self._thread.join(_FAREWELL / 2)

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            lines = [self._waiting.get()]
            time.sleep(_PAUSE if lines[0] is not None else 0)
            while not self._waiting.empty():
                lines.append(self._waiting.get())
            goes_on = None not in lines
            texts = [line() for line in lines if line is not None]
            try:
                self.write("".join(f"{text}\n" for text in texts).encode("utf-8", "backslashreplace"))
            except (OSError, ValueError):  # nobody reads any more
                self.dropped += len(texts)


class QueuedHandler(logging.Handler):
    """Hands the records of `logging` to a writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._writer.say(text)
