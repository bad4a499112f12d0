"""Bringing an upload to disk, counted while it comes: what is too big is not read to its end."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

from callsheet import IO, BadRequestError, Upload
from callsheet_local.files import MEGABYTE

__all__ = ["spool"]


async def spool(upload: Upload, path: Path, io: IO, *, most_mb: float, param: str, code: str) -> None:
    """Write an upload to a file. BadRequestError when it has more than `most_mb` MB; the file is the caller's to remove."""
    most = int(most_mb * MEGABYTE)
    if upload.size is not None and upload.size > most:
        raise BadRequestError(
            f"{upload.filename} has {upload.size / MEGABYTE:.1f} MB; at most {most_mb:g} MB are allowed",
            param=param,
            code=code,
        )
    size = 0
    file = await io.run(path.open, "wb")
    try:
        # Upload.chunks is an async generator: left early, it must be closed here, where its io still lives.
        async with aclosing(upload.chunks(io.run)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise BadRequestError(
                        f"{upload.filename} has more than {most_mb:g} MB, which is the most that is allowed; reading"
                        f" stopped after {size / MEGABYTE:.1f} MB",
                        param=param,
                        code=code,
                    )
                await io.run(file.write, chunk)
    finally:
        file.close()
