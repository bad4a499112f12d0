"""A file as an answer: whole, or the range that was asked for (RFC 9110, section 14)."""

from __future__ import annotations

import hashlib
import re

from callsheet.testing.answers import Answer
from callsheet.testing.refusals import Violation
from callsheet.testing.seen import Seen

__all__ = ["file_answer"]

PIECE = 16 * 1024
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


def file_answer(seen: Seen, content: bytes, content_type: str) -> Answer:
    """A file, or the range of it that was asked for.

    `If-Range` with another entity tag gets the whole, a range beyond the end 416."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"content-type": content_type, "accept-ranges": "bytes", "etag": etag}
    asked = seen.headers.get("range")
    if asked is None or seen.headers.get("if-range", etag) != etag:
        return Answer(200, headers, _pieces(content))
    spelled = _RANGE.fullmatch(asked)
    if spelled is None or not any(spelled.groups()):
        raise Violation(f"The range {asked!r} is malformed.", 416)
    first, last = spelled.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if start > end:
        return Answer(416, {**headers, "content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {start}-{end}/{len(content)}"
    return Answer(206, headers, _pieces(content[start : end + 1]))


def _pieces(content: bytes) -> list[bytes]:
    return [content[start : start + PIECE] for start in range(0, len(content), PIECE)]
