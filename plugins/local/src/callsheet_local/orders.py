"""What is asked of the provider, checked and turned into jobs. Nothing is written down before everything is checked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from attrs import define, field

from callsheet import BadRequestError, NotFoundError
from callsheet import models as m
from callsheet_local.answers import video_of
from callsheet_local.characters import Character
from callsheet_local.files import place
from callsheet_local.jobs import Job
from callsheet_local.settings import LocalSettings
from callsheet_local.studio import Studio, cast_of, known_characters, new_id
from callsheet_local.tones import DEFAULT_NOTE, tones_of

__all__ = ["Edit", "Extend", "Generate", "remix", "write_reference"]

MODEL = "motion-1"
_SECONDS = 4
_LANDSCAPE, _PORTRAIT, _SQUARE = (1280, 720), (720, 1280), (720, 720)


def check_model(model: str | None) -> None:
    if model is not None and model != MODEL:
        raise NotFoundError(
            f"the local provider has no video model {model!r:.60}; it has one: {MODEL} (as a model name: local/{MODEL})",
            code="model_not_found",
            param="model",
        )


def weight(width: int, height: int, seconds: float) -> int:
    """About how many bytes a video of ours has, rather too many than too few."""
    return int(40_000 + 110_000 * seconds * width * height / (1280 * 720))


def seconds_of(text: str | None, most: int, what: str) -> int:
    seconds = _SECONDS if text is None else int(text)
    if not 1 <= seconds <= most:
        raise BadRequestError(
            f"{seconds} seconds were asked for; {what} can have 1 to {most}", param="seconds", code="invalid_seconds"
        )
    return seconds


@define
class Generate:
    """A new video."""

    id: str
    prompt: str
    seconds: int
    size: tuple[int, int] | None
    character_ids: list[str]
    settings: LocalSettings
    cast: list[Character] = field(factory=list)

    @classmethod
    def of(cls, request: m.GenerateVideo, settings: LocalSettings) -> Generate:
        check_model(request.model)
        seconds = seconds_of(request.seconds, settings.max_seconds, "a video")
        size = None
        if request.size is not None:
            width, height = map(int, request.size.split("x"))
            size = width, height
            check_size(size, settings, "size")
        ids = [one.id for one in request.characters or []]
        return cls(new_id("video"), request.prompt, seconds, size, ids, settings)

    def look_up(self, studio: Studio) -> None:
        """Find the characters and see that there is room, before anything is uploaded."""
        self.cast = known_characters(studio, self.character_ids)
        width, height = self.size or _LANDSCAPE
        studio.make_room(weight(width, height, self.seconds), "this video")

    def start(self, studio: Studio, picture: Path | None) -> m.Video:
        """Write the job down. `picture` is its first frame, as it was uploaded."""
        if picture is not None:
            from callsheet_local.film.reference import check_reference

            size = check_reference(picture, self.size)
            if self.size is None:
                check_size(size, self.settings, "input_reference")
                self.size = size
            place(picture, studio.files.input(self.id, ".image"))
        width, height = self.size or self._usual_size()
        appearing, warnings = cast_of(self.cast, self.prompt)
        warnings += shape_warnings(appearing, (width, height), self.settings.clip_aspect_tolerance)
        plan: dict[str, Any] = {"cast": [one.id for one in appearing], "known": [one.id for one in self.cast]}
        if picture is not None:
            plan["reference"] = True
        job = Job(
            self.id,
            "generate",
            self.prompt,
            width,
            height,
            float(self.seconds),
            plan,
            created_at=time.time(),
            warnings=tuple(warnings),
            expected_bytes=weight(width, height, self.seconds),
        )
        return video_of(studio.start(job))

    def _usual_size(self) -> tuple[int, int]:
        """OpenAI's default; but with a character, the shape of its clip."""
        if not self.cast:
            return _PORTRAIT
        shape = self.cast[0].clip_width / self.cast[0].clip_height
        return _LANDSCAPE if shape > 1.2 else _PORTRAIT if shape < 0.8 else _SQUARE


@define
class Edit:
    """A video in other colours."""

    id: str
    prompt: str
    settings: LocalSettings

    @classmethod
    def of(cls, request: m.Edit, settings: LocalSettings) -> Edit:
        check_model(request.model)
        return cls(new_id("video"), request.prompt, settings)

    def start(self, studio: Studio, source: str | Path) -> m.Video:
        """Write the job down. `source` is the id of a video, or an uploaded file."""
        old, width, height, seconds, known = take_source(self.id, studio, source, "edited", self.settings)
        tones, matched = tones_of(self.prompt)
        job = Job(
            self.id,
            "edit",
            self.prompt,
            width,
            height,
            seconds,
            {"tones": [[tone.filter, tone.options] for tone in tones], "known": known},
            created_at=time.time(),
            remixed_from=old,
            warnings=() if matched else (DEFAULT_NOTE,),
            expected_bytes=weight(width, height, seconds),
        )
        return video_of(studio.start(job))


@define
class Extend:
    """A video that goes on."""

    id: str
    prompt: str
    seconds: int
    settings: LocalSettings

    @classmethod
    def of(cls, request: m.Extend, settings: LocalSettings) -> Extend:
        check_model(request.model)
        seconds = seconds_of(request.seconds, settings.max_seconds, "an extension")
        return cls(new_id("video"), request.prompt, seconds, settings)

    def start(self, studio: Studio, source: str | Path) -> m.Video:
        """Write the job down. `source` is the id of a video, or an uploaded file."""
        try:
            old, width, height, seconds, known = take_source(self.id, studio, source, "extended", self.settings)
            total, most = seconds + self.seconds, self.settings.max_total_seconds
            if total > most + 0.01:
                raise BadRequestError(
                    f"the video has {seconds:g} seconds; with {self.seconds} more it would have {total:g}, and at most"
                    f" {most} are allowed",
                    param="seconds",
                    code="total_too_long",
                )
        except BaseException:
            studio.files.forget_inputs(self.id)
            raise
        characters = [studio.character(id) for id in known]
        words = self.prompt.casefold()
        appearing = [one for one in characters if one.name.casefold() in words]
        job = Job(
            self.id,
            "extend",
            self.prompt,
            width,
            height,
            total,
            {"added": self.seconds, "cast": [one.id for one in appearing], "known": known},
            created_at=time.time(),
            remixed_from=old,
            expected_bytes=weight(width, height, total),
        )
        return video_of(studio.start(job))


def remix(studio: Studio, request: m.Remix) -> m.Video:
    """A video of the same size, length and characters, with another prompt."""
    check_model(request.model)
    old = studio.job(request.video_id)
    if old.status != "completed":
        studio.completed(request.video_id, "video_id", "remixed")  # says why not
    studio.make_room(weight(old.width, old.height, old.seconds), "this video")
    cast = [studio.character(id) for id in old.plan.get("known", ())]
    appearing, warnings = cast_of(cast, request.prompt)
    job = Job(
        new_id("video"),
        "generate",
        request.prompt,
        old.width,
        old.height,
        old.seconds,
        {"cast": [one.id for one in appearing], "known": [one.id for one in cast]},
        created_at=time.time(),
        remixed_from=old.id,
        warnings=tuple(warnings),
        expected_bytes=weight(old.width, old.height, old.seconds),
    )
    return video_of(studio.start(job))


def take_source(
    id: str, studio: Studio, source: str | Path, what: str, settings: LocalSettings
) -> tuple[str | None, int, int, float, list[str]]:
    """Put a source's bytes among job `id`'s inputs: its id, if it has one, and its size, length and characters."""
    if isinstance(source, str):
        job = studio.completed(source, "video", what)
        studio.make_room(weight(job.width, job.height, job.seconds), "this video")
        studio.keep_source(source, id)
        return source, job.width, job.height, job.seconds, list(job.plan.get("known", ()))
    from callsheet_local.film.clip import check_film

    film = check_film(source, settings)
    place(source, studio.files.input(id, ".mp4"))
    return None, film.width // 2 * 2, film.height // 2 * 2, round(film.seconds, 3), []


def write_reference(reference: m.ImageRef, path: Path) -> None:
    """Bring a first frame to disk that is given as a data URL. BadRequestError for what would need a network."""
    from callsheet_local.film.reference import decode_data_url, refusal

    if reference.image_url is None:
        raise refusal(
            "the local provider keeps no uploaded files, so it knows no file_id: send the file itself, or a data URL",
            "no_network",
        )
    path.write_bytes(decode_data_url(reference.image_url))


def check_size(size: tuple[int, int], settings: LocalSettings, param: str) -> None:
    low, high = settings.size_min, settings.size_max
    if any(side % 2 or not low <= side <= high for side in size):
        raise BadRequestError(
            f"{'x'.join(map(str, size))} can't be rendered: both sides must be even and have {low} to {high} pixels, such"
            " as 1280x720 or 720x1280",
            param=param,
            code="invalid_size",
        )


def shape_warnings(cast: list[Character], size: tuple[int, int], tolerance: float) -> list[str]:
    """A warning for each character whose clip has another shape than the video."""
    shape = size[0] / size[1]
    return [
        f"the clip of character '{one.name}' is {one.clip_width}x{one.clip_height}, the video {size[0]}x{size[1]}: their"
        " shapes differ, so it may look out of place"
        for one in cast
        if abs(one.clip_width / one.clip_height / shape - 1) > tolerance
    ]
