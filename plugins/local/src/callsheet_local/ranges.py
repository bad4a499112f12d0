"""HTTP byte ranges: one range of a file whose size is known."""

from __future__ import annotations

import re

from callsheet import APIStatusError

__all__ = ["resolve"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def resolve(range: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last, or None for the whole file.

    What is no range that we understand is ignored, as RFC 9110 wants it; a range that lies behind the file's end is an
    APIStatusError with status 416.
    """
    match = _RANGE.fullmatch(range.strip()) if range else None
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), (min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise APIStatusError(
            f"range {range!r} lies outside the file, which has {size:,} bytes",
            status_code=416,
            code="range_not_satisfiable",
            param="range",
        )
    return start, stop
