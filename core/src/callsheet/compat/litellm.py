"""LiteLLM's functions by their names and arguments: change `from litellm import` and keep the program.

    from callsheet.compat.litellm import avideo, avideo_content, avideo_create_character, avideo_status

`custom_llm_provider="acme"` is the provider, and so is the first part of `model="acme/film-1"`. Without either, an id
that a call returned knows where it belongs, and other calls go to the embedded provider. Keys come from the
environment, or from `api_key` and `api_base`. Functions that begin with `a` are awaited; the others block.

Videos and characters are Callsheet's own objects; chat and responses are documents that are read by attribute. Errors
are those of `callsheet.errors`, whose names are the OpenAI SDK's. What can't be done here (`extra_headers`,
`num_retries`, ...) is refused with a BadRequestError that says why, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Unpack, cast

from callsheet.body import Source
from callsheet.compat.calls import Keywords, ModelKeywords, acall, call, in_their_words
from callsheet.compat.text import acompletion, aresponses, completion, responses
from callsheet.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from callsheet.errors import APITimeoutError as Timeout
from callsheet.models import Character, ImageRef, Video

__all__ = [
    "APIConnectionError",
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "Timeout",
    "UnprocessableEntityError",
    "acompletion",
    "aresponses",
    "avideo",
    "avideo_content",
    "avideo_create_character",
    "avideo_edit",
    "avideo_extension",
    "avideo_generation",
    "avideo_get_character",
    "avideo_list",
    "avideo_remix",
    "avideo_status",
    "completion",
    "responses",
    "video",
    "video_content",
    "video_create_character",
    "video_edit",
    "video_extension",
    "video_generation",
    "video_get_character",
    "video_list",
    "video_remix",
    "video_status",
]

Characters = Iterable[str | Character | Mapping[str, str]]
Image = Source | ImageRef | Mapping[str, str]


def video_generation(
    prompt: str,
    model: str | None = None,
    input_reference: Image | None = None,
    seconds: int | str | None = None,
    size: str | None = None,
    *,
    characters: Characters | None = None,
    **keywords: Unpack[Keywords],
) -> Video:
    """Start a video job; look at it with `video_status`. `characters` are [{"id": ...}]; the prompt says their names."""
    return cast(
        "Video",
        call(
            "generate_video",
            keywords,
            model=model,
            prompt=prompt,
            input_reference=input_reference,
            seconds=seconds,
            size=size,
            characters=characters,
        ),
    )


async def avideo_generation(
    prompt: str,
    model: str | None = None,
    input_reference: Image | None = None,
    seconds: int | str | None = None,
    size: str | None = None,
    *,
    characters: Characters | None = None,
    **keywords: Unpack[Keywords],
) -> Video:
    """`video_generation`, awaited."""
    return cast(
        "Video",
        await acall(
            "generate_video",
            keywords,
            model=model,
            prompt=prompt,
            input_reference=input_reference,
            seconds=seconds,
            size=size,
            characters=characters,
        ),
    )


def video_status(video_id: str, **keywords: Unpack[ModelKeywords]) -> Video:
    """Look at a video job: its status, progress, error."""
    return cast("Video", call("get_video", keywords, video_id=video_id))


async def avideo_status(video_id: str, **keywords: Unpack[ModelKeywords]) -> Video:
    """`video_status`, awaited."""
    return cast("Video", await acall("get_video", keywords, video_id=video_id))


def video_list(
    after: str | None = None,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    **keywords: Unpack[ModelKeywords],
) -> list[Video]:
    """List videos, `limit` (0-100) at a time; `after` is the last id of the page before."""
    answer = call("list_videos", keywords, after=after, limit=limit, order=order)
    return cast("list[Video]", answer.data)


async def avideo_list(
    after: str | None = None,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    **keywords: Unpack[ModelKeywords],
) -> list[Video]:
    """`video_list`, awaited."""
    answer = await acall("list_videos", keywords, after=after, limit=limit, order=order)
    return cast("list[Video]", answer.data)


def video_create_character(name: str, video: Source, **keywords: Unpack[ModelKeywords]) -> Character:
    """Make a character out of a clip: a file open in binary mode, a path or bytes. Its name is what prompts must say."""
    return cast("Character", call("create_character", keywords, name=name, video=video))


async def avideo_create_character(name: str, video: Source, **keywords: Unpack[ModelKeywords]) -> Character:
    """`video_create_character`, awaited."""
    return cast("Character", await acall("create_character", keywords, name=name, video=video))


def video_get_character(character_id: str, **keywords: Unpack[ModelKeywords]) -> Character:
    """Look a character up."""
    return cast("Character", call("get_character", keywords, character_id=character_id))


async def avideo_get_character(character_id: str, **keywords: Unpack[ModelKeywords]) -> Character:
    """`video_get_character`, awaited."""
    return cast("Character", await acall("get_character", keywords, character_id=character_id))


def video_edit(
    video_id: str | None = None, prompt: str = "", *, video: Source | None = None, **keywords: Unpack[ModelKeywords]
) -> Video:
    """Start a job that changes a video by words: the one with this id, or where the provider takes files the file `video`."""
    return cast("Video", call("edit", keywords, video=_film(video_id, video), prompt=prompt))


async def avideo_edit(
    video_id: str | None = None, prompt: str = "", *, video: Source | None = None, **keywords: Unpack[ModelKeywords]
) -> Video:
    """`video_edit`, awaited."""
    return cast("Video", await acall("edit", keywords, video=_film(video_id, video), prompt=prompt))


def video_extension(
    video_id: str, prompt: str, seconds: int | str | None = None, **keywords: Unpack[ModelKeywords]
) -> Video:
    """Start a job that continues a video by `seconds`. The result holds old and new."""
    return cast("Video", call("extend", keywords, video=video_id, prompt=prompt, seconds=seconds))


async def avideo_extension(
    video_id: str, prompt: str, seconds: int | str | None = None, **keywords: Unpack[ModelKeywords]
) -> Video:
    """`video_extension`, awaited."""
    return cast("Video", await acall("extend", keywords, video=video_id, prompt=prompt, seconds=seconds))


def video_remix(video_id: str, prompt: str, **keywords: Unpack[ModelKeywords]) -> Video:
    """Start a job that makes a video anew with another prompt."""
    return cast("Video", call("remix", keywords, video_id=video_id, prompt=prompt))


async def avideo_remix(video_id: str, prompt: str, **keywords: Unpack[ModelKeywords]) -> Video:
    """`video_remix`, awaited."""
    return cast("Video", await acall("remix", keywords, video_id=video_id, prompt=prompt))


def video_content(video_id: str, variant: str | None = None, **keywords: Unpack[ModelKeywords]) -> bytes:
    """The bytes of a video, of its "thumbnail" or of its "spritesheet". `callsheet.download_video` writes a file instead."""
    with call("download_video", keywords, video=video_id, variant=variant) as pieces, in_their_words():
        return b"".join(pieces)


async def avideo_content(video_id: str, variant: str | None = None, **keywords: Unpack[ModelKeywords]) -> bytes:
    """`video_content`, awaited."""
    async with await acall("download_video", keywords, video=video_id, variant=variant) as pieces:
        with in_their_words():
            return b"".join([piece async for piece in pieces])


def _film(video_id: str | None, video: Source | None) -> str | Source:
    """What is edited: an id, or a file, of which a str is the path."""
    if (video_id is None) == (video is None):
        raise BadRequestError("video_edit: exactly one of video_id and video is wanted", param="video_id")
    if video is None:
        return cast("str", video_id)
    return Path(video) if isinstance(video, str) else video


video, avideo = video_generation, avideo_generation
"""The names that LiteLLM's posts use."""
