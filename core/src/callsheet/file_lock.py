"""One process at a time, by a lock that the system takes back when its file is closed, or its process ends."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["locked"]


def locked(file: BinaryIO | int) -> bool:
    """Lock an open file; False where somebody else has it. Where the system knows no such locks (Windows) nobody has.

    Raises OSError where the file's own place knows none.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
