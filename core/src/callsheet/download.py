"""Saving a download: under its final name only when it is whole; resumed where it was broken off.

What has arrived waits in `.NAME.part` beside the target, with the entity tag that it belongs to in `.NAME.part.etag`.
Without an entity tag nothing proves that old and new bytes belong together: then the download starts over.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

from attrs import define

from callsheet.errors import APIConnectionError, APIStatusError
from callsheet.file_lock import locked
from callsheet.stream import Download

__all__ = ["OnBytes", "save"]

OnBytes = Callable[[int, int | None], object]
"""Called with the bytes that are there and the bytes in all (None if unknown)."""
Fetch = Callable[[str | None, str | None], Awaitable[Download]]


@define(eq=False)
class _Part:
    """The unfinished file, locked against other downloads to the same place, and its tag."""

    path: Path
    tag: Path
    file: BinaryIO
    shared: bool
    """Whether a later call may go on with it."""
    gone: bool = False
    """Whether it has its final name or was removed: the path may be another call's by now."""

    @classmethod
    def claim(cls, target: Path, key: str) -> _Part:
        """The part that a download broken off before has left, or a new one; one of its own if another call has that."""
        path = target.with_name(f".{target.name}.{key}.part")
        for _ in range(10):
            file = path.open("ab")
            if not _locked(file):
                file.close()
                break
            # Between opening and locking, another call may have finished it: then it has its final name now.
            if _is_at(file, path):
                return cls(path, path.with_name(path.name + ".etag"), file, True)
            file.close()
        own = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        return cls(own, own.with_name(own.name + ".etag"), own.open("ab"), False)

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

    def discard(self) -> None:
        self.gone = True
        self.tag.unlink(missing_ok=True)
        if os.name == "nt":  # an open file can't be removed or renamed there
            self.file.close()
        self.path.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        self.file.flush()
        self.tag.unlink(missing_ok=True)
        if os.name == "nt":
            self.file.close()
        self.path.replace(target)
        self.gone = True

    def release(self) -> None:
        """Close it, and with that unlock it. What nobody can go on with is removed while it is still ours."""
        try:
            if not self.gone:
                self.file.flush()
                if not (self.shared and os.fstat(self.file.fileno()).st_size):
                    self.discard()
        finally:
            self.file.close()


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _locked(file: BinaryIO) -> bool:
    """Lock a file for as long as it is open; False where another call has it, or its place knows no locks."""
    try:
        return locked(file)
    except OSError:
        return False


async def save(
    fetch: Fetch,
    target: Path,
    key: str,
    run: Callable[..., Awaitable[Any]],
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetch into `target`. `fetch(range, if_range)` opens the download; `key` tells downloads to one target apart.

    Raises APIConnectionError when fewer bytes came than were announced; what is there is kept for the next try.
    FileNotFoundError and IsADirectoryError tell, before anything is asked for, that nothing can be written there.
    """
    if await run(target.is_dir):
        raise IsADirectoryError(f"{target} is a directory; name a file in it")
    if not await run(target.parent.is_dir):
        raise FileNotFoundError(f"there is no folder {target.parent} to save {target.name} in; make it first")
    # Opened here and not in a thread: a call cancelled meanwhile would never get it, to close it.
    part = _Part.claim(target, key)
    try:
        await _fill(part, fetch, run, on_bytes)
        await run(part.finish, target)
    finally:
        part.release()
    return target


async def _fill(part: _Part, fetch: Fetch, run: Callable[..., Awaitable[Any]], on_bytes: OnBytes | None) -> None:
    old, download = await _opened(fetch, await run(part.resumable))
    async with aclosing(download):
        if download.partial and old is None:
            raise APIConnectionError("asked for the whole, got a part of it", sent=True)
        done = 0 if old is None else old[0]
        total = download.total
        if total is None and download.size is not None:
            total = done + download.size
        await run(part.file.truncate, done)
        await run(part.remember, download.etag)
        async for chunk in download:
            await run(part.file.write, chunk)
            done += len(chunk)
            if on_bytes is not None:
                on_bytes(done, total)
    if total is not None and done != total:
        if done > total:
            await run(part.discard)
        raise APIConnectionError(f"{done:,} of {total:,} bytes arrived; ask again to go on from there", sent=True)


async def _opened(fetch: Fetch, old: tuple[int, str] | None) -> tuple[tuple[int, str] | None, Download]:
    """A download that goes on from the bytes that are there, or one of the whole; with what of them may stay."""
    if old is None:
        return None, await fetch(None, None)
    try:
        download = await fetch(f"bytes={old[0]}-", old[1])
    except APIStatusError as error:
        if error.status_code != 416:  # 416: nothing lies beyond what is there
            raise
        return None, await fetch(None, None)
    if not download.partial:
        return None, download
    if download.start == old[0] and download.etag == old[1]:
        return old, download
    # Not every server knows If-Range: these bytes would not fit those that are there.
    await download.aclose()
    return None, await fetch(None, None)
