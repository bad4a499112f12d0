"""Operations that go on at Google's: their names, and what they say of a video.

A name is a path, such as models/veo-3.1-generate-preview/operations/abc. It is the video's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from attrs import frozen

from callsheet import APIResponseValidationError, NotFoundError, Reply, Video, VideoError, path_segment, whole
from callsheet_gemini.errors import kind_of

__all__ = ["Name", "Source", "quoted", "source_of", "video_of"]

_COLLECTIONS = {"models", "tunedModels"}
MOST_QUOTED = 300
NO_WORD = "no video came out of it, and nothing was said of why"


@frozen
class Name:
    """The name of an operation, taken apart."""

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, name: str) -> Name | None:
        """None for what is no operation's name, or could lead elsewhere when it is put into a path."""
        segments = tuple(name.split("/"))
        inside = all(part not in {"", ".", ".."} and part.isprintable() and part.strip() == part for part in segments)
        return cls(segments) if inside and len(segments) >= 2 and segments[-2] == "operations" else None

    @classmethod
    def of_id(cls, id: str, param: str = "video_id") -> Name:
        """The name that a caller gave as an id. NotFoundError if it is none."""
        if (name := cls.parse(id)) is None:
            raise NotFoundError(
                f"there is no video {id!r:.80}: ids here look like models/MODEL/operations/ID",
                code="video_not_found",
                param=param,
            )
        return name

    @property
    def model(self) -> str | None:
        return self.segments[1] if len(self.segments) == 4 and self.segments[0] in _COLLECTIONS else None

    @property
    def path(self) -> str:
        return "/" + "/".join(path_segment(part) for part in self.segments)

    def __str__(self) -> str:
        return "/".join(self.segments)


@frozen
class Source:
    """Where a finished video is, and what kind of file it is, if that is said."""

    uri: str
    encoding: str | None = None

    def without(self, secrets: Sequence[str]) -> Source:
        """With no key in its address. Some were given out with one; it goes in a header, and addresses are logged."""
        path, _, query = self.uri.partition("?")
        kept = [one for one in query.split("&") if not any(secret in unquote_plus(one) for secret in secrets)]
        return Source(f"{path}?{'&'.join(kept)}" if any(kept) else path, self.encoding)


def video_of(reply: Reply, name: Name | None = None) -> Video:
    """A video job, out of its operation. `name` is the one that was asked for; the answer to a start has its own.

    Raises APIResponseValidationError for an answer that can't be understood.
    """
    operation = whole(reply, "name", *(["done"] if name else []))
    if name is None or "name" in operation:
        said = operation.get("name")
        own = Name.parse(said) if isinstance(said, str) else None
        if own is None:
            raise _odd(reply, f"'name' is {quoted(said)}, which is no operation's name")
        name = name or own
    video = Video(id=str(name), model=name.model, status="in_progress")
    done, error = operation.get("done"), operation.get("error")
    if done is not None and not isinstance(done, bool):
        raise _odd(reply, f"'done' is {quoted(done)}, and neither true nor false")
    if error:
        if not isinstance(error, dict):
            raise _odd(reply, "'error' is no object")
        message = error.get("message")
        video.error = VideoError(code=kind_of(error), message=message if isinstance(message, str) else NO_WORD)
        video.status = "failed"
    elif done and source_of(reply) is None:
        video.error, video.status = _held_back(_result(reply)), "failed"
    elif done:
        video.status = "completed"
    return video


def quoted(said: object) -> str:
    """What a vendor said, whole or not at all: half of a key would not be known for one, and not be hidden."""
    text = repr(said)
    return text if len(text) <= MOST_QUOTED else f"{len(text):,} characters long"


def source_of(reply: Reply) -> Source | None:
    """Where the video of a finished operation is; None if there is none. Of several samples, the first."""
    samples = _result(reply).get("generatedSamples")
    if samples is None or samples == []:
        return None
    film = samples[0].get("video") if isinstance(samples, list) and isinstance(samples[0], dict) else None
    uri, encoding = (film.get("uri"), film.get("encoding")) if isinstance(film, dict) else (None, None)
    if not isinstance(uri, str) or not uri:
        raise _odd(reply, "the first of 'generatedSamples' has no 'video.uri'")
    return Source(uri, encoding if isinstance(encoding, str) else None)


def _result(reply: Reply) -> dict[str, Any]:
    response = reply.document().get("response")
    result = response.get("generateVideoResponse") if isinstance(response, dict) else response
    if result is not None and not isinstance(result, dict):
        raise _odd(reply, "'response.generateVideoResponse' is no object")
    return result or {}


def _held_back(result: dict[str, Any]) -> VideoError:
    """Why there is no video: filters say so by a count and by reasons, and by no error."""
    reasons = result.get("raiMediaFilteredReasons")
    told = [one for one in reasons if isinstance(one, str)] if isinstance(reasons, list) else []
    if told or result.get("raiMediaFilteredCount"):
        return VideoError(
            code="moderation_blocked", message=" ".join(told) or "the vendor's filters held the video back"
        )
    return VideoError(code="no_video", message=NO_WORD)


def _odd(reply: Reply, why: str) -> APIResponseValidationError:
    return APIResponseValidationError(f"the provider's answer is no operation: {why}", request_id=reply.request_id)
