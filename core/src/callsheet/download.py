"""Saving a download: under its final name only when it is whole; resumed where it was broken off.

What has arrived waits in `.NAME.part` beside the target, with the entity tag that it belongs to in `.NAME.part.etag`.
Without an entity tag nothing proves that old and new bytes belong together: then the download starts over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from attrs import frozen

from callsheet.errors import APIConnectionError, APIStatusError
from callsheet.stream import Download

__all__ = ["OnBytes", "save"]

OnBytes = Callable[[int, int | None], object]
"""Called with the bytes that are there and the bytes in all (None if unknown)."""
Fetch = Callable[[str | None, str | None], Awaitable[Download]]


@frozen
class _Part:
    """The unfinished file and its tag."""

    path: Path
    tag: Path

    @classmethod
    def beside(cls, target: Path, key: str) -> _Part:
        path = target.with_name(f".{target.name}.{key}.part")
        return cls(path, path.with_name(path.name + ".etag"))

    def resumable(self) -> tuple[int, str] | None:
        """How many bytes there are, and their entity tag."""
        try:
            size, etag = self.path.stat().st_size, self.tag.read_text(encoding="utf-8")
        except OSError:
            return None
        return (size, etag) if size and etag else None

    def remember(self, etag: str | None) -> None:
        if etag and not etag.startswith("W/"):
            self.tag.write_text(etag, encoding="utf-8")
        else:
            self.tag.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        self.path.replace(target)
        self.tag.unlink(missing_ok=True)


async def save(
    fetch: Fetch,
    target: Path,
    key: str,
    run: Callable[..., Awaitable[Any]],
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetch into `target`. `fetch(range, if_range)` opens the download; `key` tells downloads to one target apart.

    Raises APIConnectionError when fewer bytes came than were announced; what is there is kept for the next try.
    """
    if await run(target.is_dir):
        raise IsADirectoryError(f"{target} is a directory; name a file in it")
    part = _Part.beside(target, key)
    old = part.resumable()
    try:
        download = await fetch(f"bytes={old[0]}-", old[1]) if old else await fetch(None, None)
    except APIStatusError as error:
        if old is None or error.status_code != 416:  # 416: nothing lies beyond what is there
            raise
        old, download = None, await fetch(None, None)
    async with aclosing(download):
        resumed = old is not None and download.partial and download.start == old[0]
        if old is not None and download.partial and not resumed:
            raise APIConnectionError(f"asked for the bytes from {old[0]}, got those from {download.start}", sent=True)
        done = old[0] if resumed and old is not None else 0
        total = download.total if download.total is not None else download.size
        part.remember(download.etag)
        file = await run(part.path.open, "ab" if resumed else "wb")
        try:
            async for chunk in download:
                await run(file.write, chunk)
                done += len(chunk)
                if on_bytes is not None:
                    on_bytes(done, total)
        finally:
            await run(file.close)
    if total is not None and done != total:
        raise APIConnectionError(f"{done:,} of {total:,} bytes arrived; ask again to go on from there", sent=True)
    part.finish(target)
    return target
