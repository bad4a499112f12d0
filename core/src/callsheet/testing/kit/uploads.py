"""Group W: files that are sent."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest

from callsheet import BadRequestError, CallsheetError, Upload
from callsheet.drive import finish
from callsheet.errors import APIConnectionError
from callsheet.exchange import Outgoing
from callsheet.testing.kit.base import KitTests
from callsheet.testing.kit.bench import Bench, FastBlocking
from callsheet.testing.kit.catalogue import check, one_of
from callsheet.testing.kit.sent import asked
from callsheet.testing.wire import Wire

__all__ = ["UploadTests"]

UPLOADS = {"create_character": "video", "generate_video": "input_reference", "edit": "video", "extend": "video"}
SMALL = 64 * 1024
LARGE = 200 * 1024 * 1024
MOST_MEMORY = 20 * 1024 * 1024


class UploadTests(KitTests):
    """W08."""

    @check("W08", over=one_of(UPLOADS))
    def test_w08_uploads_stream(self, bench: Bench, operation: str) -> None:
        """A file of 200 MB is streamed in constant memory, or refused by name; any file name can be sent.

        If this fails: hand the Upload to io.post_form as it is, and do not read it whole.
        """
        field = UPLOADS[operation]
        small = Upload.of(('we"ird\r\nnäme\\.mp4' if field == "video" else 'we"ird\r\nnäme.png', b"\0" * 2048))
        small.content_type = "video/mp4" if field == "video" else "image/png"
        wire = bench.wire()
        asked(bench, operation, {field: small}, wire=wire)
        names = [problem for problem in wire.problems if "name" in str(problem).lower()]
        assert not names, f"{operation}: {'; '.join(map(str, names))}"

        wire = bench.wire()
        sink = Sink(wire)
        desk = bench.desk(sink, wire)
        ended: CallsheetError | None = None
        tracemalloc.start()
        try:
            fields = {**_plainly(operation), **wire.samples.get(operation, {}), field: (small.filename, Zeros())}
            finish(desk.call(operation, **fields))
        except CallsheetError as error:
            ended = error
        finally:
            tracemalloc.stop()
            desk.close()
        named = isinstance(ended, BadRequestError) and ended.param == field
        assert named or sink.received >= LARGE, f"{operation} sent {sink.received:,} bytes of {LARGE:,}: {ended!r}"


class Zeros(io.RawIOBase):
    """A file of 200 MB, which minds how much of it is held."""

    def __init__(self) -> None:
        self.place = 0

    def read(self, size: int = -1) -> bytes:
        held, _ = tracemalloc.get_traced_memory()
        if held > MOST_MEMORY:
            pytest.fail(f"of a file of {LARGE:,} bytes, {held:,} are held in memory")
        length = LARGE - self.place if size < 0 else min(size, LARGE - self.place)
        self.place += length
        return bytes(length)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (0, self.place, LARGE)[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class Sink(FastBlocking):
    """A transport that reads a large file to its end, forgets it, and breaks off. What is small reaches the vendor."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.received = 0

    async def open(self, request: Outgoing) -> Any:
        before = self.received
        if request.body is not None:
            async for chunk in request.body.chunks(self.run):
                self.received += len(chunk)
        if self.received - before <= SMALL:  # such as one that asks where a file may go
            return await super().open(request)
        raise APIConnectionError("the sink answers nothing", sent=True)


def _plainly(operation: str) -> dict[str, Any]:
    """The fields of an operation that takes a file, which need nothing to be made first."""
    if operation == "create_character":
        return {"name": "Luna"}
    return {"prompt": "A fox", **({"seconds": 4} if operation == "extend" else {})}
