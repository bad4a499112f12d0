"""Room for what comes in, under quotas that all requests share: files of forms on the disk, large bodies in memory.

The files have no name from their beginning (O_TMPFILE, or unlinked at once): whatever ends the process, nothing is left.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from attrs import define, field

from callsheet_gateway.errors import Refused

__all__ = ["IN_MEMORY", "Lease", "Memory", "Spool", "disk_full"]

IN_MEMORY = 1024 * 1024
"""Bytes of a file up to which it stays in memory, and of a body up to which that is not counted."""


def disk_full(error: OSError) -> Refused | None:
    """The refusal (507) where a file could not be written because there is no room on the disk; None for other errors."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return None
    return Refused(507, "the gateway's disk is full: no file can be taken until there is room", "disk_full")


@define(eq=False)
class _Room:
    """Bytes that all requests may have together. `used` is how many there are now."""

    taken_by: ClassVar[str]
    code: ClassVar[str]
    used: int = field(default=0, init=False)

    @contextmanager
    def lease(self, most: int, free: int = 0) -> Iterator[Lease]:
        """Room for one request, as long as the context lasts.

        `most` is how many bytes all requests may have; the first `free` of this one do not count.
        """
        lease = Lease(self, most, free)
        try:
            yield lease
        finally:
            self.used -= lease.used


class Memory(_Room):
    """What bodies have in memory."""

    taken_by = "large bodies that are under way"
    code = "memory_full"


@define(eq=False)
class Spool(_Room):
    """The files of all forms, in `folder`. They have to be closed when their lease ends."""

    taken_by = "uploads that are under way"
    code = "spool_full"
    folder: Path

    def file(self) -> BinaryIO:
        """A new file, to be written and read."""
        return cast("BinaryIO", tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self.folder), prefix="spool-"))


@define(eq=False)
class Lease:
    """One request's part of a room: `used` bytes."""

    _room: _Room
    _most: int
    _free: int = 0
    used: int = field(default=0, init=False)

    def take(self, size: int) -> None:
        """Count bytes before they are kept. Refused (503) if they are too many, together with everybody's."""
        free = min(size, self._free)
        self._free -= free
        size -= free
        if self._room.used + size > self._most:
            refusal = Refused(
                503, f"{self._room.taken_by} fill the {self._most:,} bytes there are for them", self._room.code
            )
            refusal.retry_after = 5.0
            raise refusal
        self._room.used += size
        self.used += size
