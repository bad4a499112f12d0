"""The rules for a character's clip. Each refusal says what was measured and what is allowed."""

from __future__ import annotations

from pathlib import Path

from callsheet import BadRequestError
from callsheet_local.film.probe import Film, NotReadable, probe
from callsheet_local.settings import LocalSettings

__all__ = ["ASPECTS", "aspect_differs", "check_clip", "check_film", "measure"]

ASPECTS = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0}


def measure(path: Path, what: str, prefix: str) -> Film:
    """Probe an uploaded video; BadRequestError saying why not. `what` is how the message begins."""
    try:
        return probe(path)
    except NotReadable as error:
        raise refusal(f"{what} can't be used: {error}", f"{prefix}_{error.code}") from error


def check_clip(path: Path, settings: LocalSettings) -> Film:
    """Measure a character's clip and hold it to the rules. BadRequestError for the first one that it breaks."""
    film = measure(path, "the clip", "clip")
    least, most, slack = settings.clip_min_seconds, settings.clip_max_seconds, settings.clip_tolerance_seconds
    length = f"the clip lasts {film.seconds:.2f} s; a character's clip lasts {least:g} to {most:g} s"
    if film.seconds < least - slack:
        raise refusal(length, "clip_too_short")
    if film.seconds > most + slack:
        raise refusal(f"{length}: cut it", "clip_too_long")
    shape = film.width / film.height
    if all(abs(shape / wanted - 1) > settings.clip_aspect_tolerance for wanted in ASPECTS.values()):
        raise refusal(
            f"the clip is {film.width}x{film.height}, which is {shape:.2f}:1; allowed are 16:9 (1.78:1), 9:16 (0.56:1)"
            f" and 1:1, within {settings.clip_aspect_tolerance:.0%}",
            "clip_aspect",
        )
    side = min(film.width, film.height)
    if not settings.clip_min_side <= side <= settings.clip_max_side:
        raise refusal(
            f"the clip is {film.width}x{film.height}: its short side has {side} pixels; allowed are"
            f" {settings.clip_min_side} to {settings.clip_max_side}",
            "clip_resolution",
        )
    return film


def check_film(path: Path, settings: LocalSettings) -> Film:
    """Measure a video that was uploaded to be edited or extended, and hold it to the rules for that."""
    film = measure(path, "the video", "video")
    if film.seconds > settings.max_total_seconds + settings.clip_tolerance_seconds:
        raise refusal(
            f"the video lasts {film.seconds:.2f} s; at most {settings.max_total_seconds} s are allowed",
            "video_too_long",
        )
    if min(film.width, film.height) < settings.size_min or max(film.width, film.height) > settings.size_max:
        raise refusal(
            f"the video is {film.width}x{film.height}; each side may have {settings.size_min} to {settings.size_max}"
            " pixels",
            "video_resolution",
        )
    return film


def aspect_differs(clip: tuple[int, int], size: tuple[int, int], tolerance: float) -> bool:
    """Whether a clip and a video have different shapes."""
    return abs((clip[0] / clip[1]) / (size[0] / size[1]) - 1) > tolerance


def refusal(message: str, code: str) -> BadRequestError:
    return BadRequestError(message, param="video", code=code)
