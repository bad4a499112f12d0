"""Downloads: a file's bytes, all of them or a range, read piece by piece through io."""

from __future__ import annotations

import os
from typing import BinaryIO

from callsheet import IO, Download
from callsheet import models as m
from callsheet_local.ranges import resolve
from callsheet_local.studio import Studio

__all__ = ["FileSource", "open_download"]

_CHUNK = 256 * 1024


class FileSource:
    """So many bytes of an open file, as an async iterator that can be closed."""

    def __init__(self, file: BinaryIO, count: int, io: IO) -> None:
        self._file, self._left, self._io = file, count, io

    def __aiter__(self) -> FileSource:
        return self

    async def __anext__(self) -> bytes:
        if self._left and (chunk := await self._io.run(self._file.read, min(_CHUNK, self._left))):
            self._left -= len(chunk)
            return chunk
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._file.close()


def open_download(studio: Studio, request: m.DownloadVideo, io: IO) -> Download:
    """Open what is asked for. An open file stays readable when the video is deleted meanwhile."""
    from callsheet_local.film.stills import CONTENT_TYPE

    variant = request.variant or "video"
    studio.completed(request.video_id, "video_id", "downloaded")
    video = studio.files.video(request.video_id)
    path = video if variant == "video" else studio.still(request.video_id, variant)
    file = path.open("rb")
    try:
        facts = os.fstat(file.fileno())
        etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        wanted = request.range if request.if_range in {None, etag} else None
        part = resolve(wanted, facts.st_size)
        start, stop = part or (0, facts.st_size)
        file.seek(start)
    except BaseException:
        file.close()
        raise
    return Download(
        FileSource(file, stop - start, io),
        content_type=CONTENT_TYPE.get(variant, "video/mp4"),
        size=stop - start,
        start=start,
        total=facts.st_size,
        etag=etag,
        partial=part is not None,
    )
