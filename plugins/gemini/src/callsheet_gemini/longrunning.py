"""Operations that go on at Google's: their names, and what they say of a video.

A name is a path, such as models/veo-3.1-generate-preview/operations/abc. It is the video's id.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from callsheet import APIResponseValidationError, NotFoundError, Reply, Video, VideoError, path_segment, whole
from callsheet_gemini.errors import kind_of

__all__ = ["Name", "Source", "source_of", "video_of"]

_COLLECTIONS = {"models", "tunedModels"}
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


def video_of(reply: Reply, name: Name | None = None) -> Video:
    """A video job, out of its operation. `name` is the one that was asked for; the answer to a start has its own.

    Raises APIResponseValidationError for an answer that can't be understood.
    """
    operation = whole(reply, "name", *(["done"] if name else []))
    if name is None or "name" in operation:
        said = operation.get("name")
        own = Name.parse(said) if isinstance(said, str) else None
        if own is None:
            raise _odd(reply, f"'name' is {said!r:.60}, which is no operation's name")
        name = name or own
    video = Video(id=str(name), model=name.model, status="in_progress")
    done, error = operation.get("done"), operation.get("error")
    if done is not None and not isinstance(done, bool):
        raise _odd(reply, f"'done' is {done!r:.60}, and neither true nor false")
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
