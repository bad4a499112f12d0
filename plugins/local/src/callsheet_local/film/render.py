"""What a worker does with a job: generate, edit or extend, from what the row's plan says."""

from __future__ import annotations

from collections.abc import Iterator

import av

from callsheet_local.characters import Characters
from callsheet_local.film.encode import FPS, Writer
from callsheet_local.film.probe import NotReadable
from callsheet_local.film.reference import first_frame
from callsheet_local.film.sound import tone_bed
from callsheet_local.film.sprite import Sprite
from callsheet_local.film.stage import frames
from callsheet_local.film.theme import seed_of
from callsheet_local.workers import Claim, JobFailed, Made

__all__ = ["render"]


def render(claim: Claim, characters: Characters) -> Made:
    """Make a job's file. JobFailed says why it can't be made; Stopped passes through."""
    try:
        if claim.job.kind == "edit":
            from callsheet_local.film.grade import edit

            return edit(claim)
        if claim.job.kind == "extend":
            from callsheet_local.film.extension import extend

            return extend(claim, _cast(claim, characters))
        return _generate(claim, _cast(claim, characters))
    except NotReadable as error:
        raise JobFailed(f"source_{error.code}", f"the source video can't be used: {error}") from error


def _cast(claim: Claim, characters: Characters) -> list[Sprite]:
    """The cut-outs of those who appear."""
    found = [characters.get(id) for id in claim.job.plan.get("cast", ())]
    return [characters.sprite(one) for one in found if one is not None]


def _generate(claim: Claim, cast: list[Sprite]) -> Made:
    job = claim.job
    count = round(job.seconds * FPS)
    first = None
    if job.plan.get("reference"):
        first = first_frame(claim.files.input(job.id, ".image"))
    path = claim.scratch()
    sound = tone_bed(count, seed_of("sound", job.prompt))
    pictures = frames(job.prompt, job.width, job.height, count, cast, first=first)
    with Writer(path, job.width, job.height, sound) as writer:
        for picture in watched(pictures, claim, count):
            writer.write(picture)
    return Made(path, count / FPS)


def watched(pictures: Iterator[av.VideoFrame], claim: Claim, wanted: int, before: int = 0) -> Iterator[av.VideoFrame]:
    """Pass frames on, telling the claim how many are done, `before` of them earlier. Raises Stopped between two of them."""
    for done, picture in enumerate(pictures):
        claim.advance(before + done, wanted)
        yield picture
    claim.advance(wanted, wanted)
