"""Files of forms, on the disk until their request has ended, and under a quota that all of them share.

They have no name from their beginning (O_TMPFILE, or unlinked at once): whatever ends the process, nothing is left.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from attrs import define, field

from callsheet_gateway.errors import Refused

__all__ = ["IN_MEMORY", "Lease", "Spool", "disk_full"]

IN_MEMORY = 1024 * 1024
"""Bytes of a file up to which it is not worth a file. They count like those on the disk."""


def disk_full(error: OSError) -> Refused | None:
    """The refusal (507) where a file could not be written because there is no room on the disk; None for other errors."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return None
    return Refused(507, "the gateway's disk is full: no file can be taken until there is room", "disk_full")


@define(eq=False)
class Spool:
    """The files of all forms, in `folder`. `used` is how many bytes there are now."""

    folder: Path
    used: int = field(default=0, init=False)

    @contextmanager
    def lease(self, most: int) -> Iterator[Lease]:
        """Room for one form's files, as long as the context lasts; they have to be closed when it ends.

        `most` is how many bytes all forms may have.
        """
        lease = Lease(self, most)
        try:
            yield lease
        finally:
            self.used -= lease.used


@define(eq=False)
class Lease:
    """One form's part of the spool: `used` bytes."""

    _spool: Spool
    _most: int
    used: int = field(default=0, init=False)

    def take(self, size: int) -> None:
        """Count bytes before they are written. Refused (503) if they are too many, together with everybody's."""
        if self._spool.used + size > self._most:
            refusal = Refused(
                503, f"uploads that are under way fill the {self._most:,} bytes there are for them", "spool_full"
            )
            refusal.retry_after = 5.0
            raise refusal
        self._spool.used += size
        self.used += size

    def file(self) -> BinaryIO:
        """A new file, to be written and read."""
        return cast("BinaryIO", tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self._spool.folder), prefix="spool-"))
