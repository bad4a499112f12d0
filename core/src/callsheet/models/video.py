"""Videos: jobs that are created, looked at, downloaded, edited, extended (OpenAI's /videos)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from callsheet.body import Upload
from callsheet.models.base import IdKind, Model, OperationRequest, Prompt, ResourceId, Result, Seconds, Size, as_upload
from callsheet.models.character import Character

__all__ = [
    "CharacterRef",
    "DeleteVideo",
    "DeletedVideo",
    "DownloadVideo",
    "Edit",
    "Extend",
    "GenerateVideo",
    "GetVideo",
    "ImageRef",
    "ListVideos",
    "Remix",
    "Variant",
    "Video",
    "VideoError",
    "VideoList",
    "VideoRef",
]

Variant = Literal["video", "thumbnail", "spritesheet"]
Whole = Annotated[int, BeforeValidator(lambda v: round(v) if isinstance(v, float) and abs(v) < 1e12 else v)]
"""A whole number; some servers send 12.5."""
_VIDEO: dict[str, IdKind] = {"id": "video"}


class CharacterRef(Model):
    """A character by its id."""

    managed: ClassVar[dict[str, IdKind]] = {"id": "character"}
    id: str


class VideoRef(Model):
    """A video by its id."""

    managed: ClassVar[dict[str, IdKind]] = _VIDEO
    id: str


class ImageRef(Model):
    """An image by its address (http, https or data URL) or by the id of an uploaded file: exactly one of the two."""

    image_url: str | None = Field(default=None, max_length=20_971_520)
    file_id: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> ImageRef:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("exactly one of image_url and file_id is wanted")
        return self


def _character_refs(value: object) -> object:
    if isinstance(value, str | Character):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        return value
    ids = [item.id if isinstance(item, Character) else item for item in value]
    return [{"id": item} if isinstance(item, str) else item for item in ids]


def _image(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and value.startswith(("http://", "https://", "data:")):
        return ImageRef(image_url=value)
    return value if value is None else _reference(value, ImageRef, info)


def _video(value: object, info: ValidationInfo) -> object:
    if isinstance(value, Video):
        return VideoRef(id=value.id)
    return VideoRef(id=value) if isinstance(value, str) else _reference(value, VideoRef, info)


def _reference(value: object, kind: type[Model], info: ValidationInfo) -> object:
    """A mapping or model is a reference, everything else a file."""
    if isinstance(value, Mapping):
        return kind.model_validate(dict(value))
    return value if isinstance(value, kind) else as_upload(value, info)


class GenerateVideo(OperationRequest):
    """Start a video job."""

    prompt: Prompt
    seconds: Seconds | None = None
    size: Size | None = None
    input_reference: Annotated[Upload | ImageRef | None, BeforeValidator(_image)] = None
    """The first frame: a file, `{"image_url": ...}` or `{"file_id": ...}`."""
    characters: Annotated[list[CharacterRef] | None, BeforeValidator(_character_refs)] = None
    """`[{"id": ...}]`, or just the ids. The prompt must say each character's name."""


class GetVideo(OperationRequest):
    """Look at a video job."""

    managed: ClassVar[dict[str, IdKind]] = {"video_id": "video"}
    video_id: ResourceId


class ListVideos(OperationRequest):
    """List video jobs, newest first unless `order` says otherwise. `after` is the last id of the page before."""

    managed: ClassVar[dict[str, IdKind]] = {"after": "video"}
    limit: Annotated[int, Field(ge=0, le=100)] | None = None
    order: Literal["asc", "desc"] | None = None
    after: ResourceId | None = None


class DeleteVideo(GetVideo):
    """Delete a video that is completed or failed."""


class DownloadVideo(GetVideo):
    """Fetch a video's bytes, or a still of it.

    `range` is an HTTP Range header's value (`bytes=0-99`); `if_range` the ETag that the range belongs to.
    """

    variant: Variant | None = None
    range: Annotated[str, Field(pattern=r"^bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})$")] | None = None
    if_range: str | None = None

    def only(self, *fields: str, options: bool = True) -> None:
        """As everywhere; the variant "video" is what is meant where none is said."""
        kept = {*fields, "variant"} if self.variant == "video" else fields
        super().only(*kept, options=options)

    def range_headers(self) -> dict[str, str]:
        """The headers that ask for the range, if one is wanted."""
        wanted = {"range": self.range, "if-range": self.if_range}
        return {name: value for name, value in wanted.items() if value is not None}


class Edit(OperationRequest):
    """Change a video by words. `video` is an id, a `Video`, `{"id": ...}`, or a file (not every provider takes files)."""

    video: Annotated[VideoRef | Upload, BeforeValidator(_video)]
    prompt: Prompt


class Extend(OperationRequest):
    """Continue a video. `seconds` is how much is added; the result's `seconds` is the stitched total."""

    video: Annotated[VideoRef | Upload, BeforeValidator(_video)]
    prompt: Prompt
    seconds: Seconds | None = None


class Remix(OperationRequest):
    """Make a video anew with another prompt (the older form of `Edit`)."""

    managed: ClassVar[dict[str, IdKind]] = {"video_id": "video"}
    video_id: ResourceId
    prompt: Prompt


class VideoError(Model):
    """Why a job failed."""

    code: str | None = None
    message: str | None = None


class Video(Result):
    """A video job and, once it is completed, the video."""

    managed: ClassVar[dict[str, IdKind]] = {"id": "video", "remixed_from_video_id": "video"}
    id: str
    constants: ClassVar[frozenset[str]] = frozenset({"object"})
    object: str = "video"
    model: str | None = None
    status: str
    """`queued`, `in_progress`, `completed` or `failed`."""
    progress: Whole | None = None
    """0 to 100."""
    created_at: Whole | None = None
    completed_at: Whole | None = None
    expires_at: Whole | None = None
    """When the bytes vanish; all times are Unix time in seconds."""
    prompt: str | None = None
    size: str | None = None
    seconds: Annotated[str | None, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)] = None
    remixed_from_video_id: str | None = None
    error: Annotated[VideoError | None, BeforeValidator(lambda v: {"message": v} if isinstance(v, str) else v)] = None
    warnings: list[str] | None = None
    """Callsheet's own: what the caller should know though the job goes on, such as a name missing from the prompt."""

    @property
    def finished(self) -> bool:
        """Whether the job has ended, well or badly."""
        return self.status in {"completed", "failed", "cancelled", "expired"}


class VideoList(Result):
    """A page of videos."""

    managed: ClassVar[dict[str, IdKind]] = {"first_id": "video", "last_id": "video"}
    constants: ClassVar[frozenset[str]] = frozenset({"object", "has_more"})
    object: str = "list"
    data: list[Video]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class DeletedVideo(Result):
    """The receipt for a deleted video."""

    managed: ClassVar[dict[str, IdKind]] = _VIDEO
    constants: ClassVar[frozenset[str]] = frozenset({"object", "deleted"})
    id: str
    object: str = "video.deleted"
    deleted: bool = True
