"""The routes of videos (wire of /videos)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callsheet.testing import bill, characters, jobs
from callsheet.testing.answers import Answer, document
from callsheet.testing.checks import Rule, any_of, check, digits, list_of, matching, object_of, one_of, text
from callsheet.testing.files import file_answer
from callsheet.testing.media import VARIANTS, VIDEOS, image, media_file
from callsheet.testing.pages import page
from callsheet.testing.refusals import Refusal
from callsheet.testing.requests import fields_of
from callsheet.testing.seen import Part, Seen
from callsheet.testing.state import Job

if TYPE_CHECKING:
    from callsheet.testing.upstream import FakeUpstream

__all__ = ["content", "create", "delete", "edit", "extend", "list_jobs", "look", "remix"]

_PROMPT = text(1, 32_000)
_ID = object_of({"id": text(1)}, ["id"])
_SOURCE = {"video": any_of(media_file(*VIDEOS), _ID), "prompt": _PROMPT}
_CREATE: Mapping[str, Rule] = {
    "prompt": _PROMPT,
    "model": text(1),
    "seconds": digits,
    "size": matching(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", "WIDTHxHEIGHT"),
    "input_reference": image,
    "characters": list_of(_ID, high=2),
}


def create(fake: FakeUpstream, seen: Seen) -> Answer:
    fields = check(fields_of(seen, "input_reference", "characters"), _CREATE, ["prompt"], fake.extra_fields)
    for reference in fields.get("characters", ()):
        characters.find(fake, reference["id"])
    job = fake.begin_job(
        seen,
        fields["prompt"],
        model=fields.get("model", "sora-2"),
        size=fields.get("size", "720x1280"),
        seconds=fields.get("seconds", "4"),
    )
    return _billed(fake, job, int(job.facts["seconds"]))


def edit(fake: FakeUpstream, seen: Seen) -> Answer:
    rules = {**_SOURCE, "model": text(1)}
    fields = check(fields_of(seen, "video"), rules, ["video", "prompt"], fake.extra_fields)
    return _from_source(fake, seen, "edit", fields, 0)


def extend(fake: FakeUpstream, seen: Seen) -> Answer:
    rules = {**_SOURCE, "seconds": digits, "model": text(1)}
    fields = check(fields_of(seen, "video"), rules, ["video", "prompt", "seconds"], fake.extra_fields)
    return _from_source(fake, seen, "extend", fields, int(fields["seconds"]))


def remix(fake: FakeUpstream, seen: Seen, video_id: str) -> Answer:
    fields = check(fields_of(seen), {"prompt": _PROMPT}, ["prompt"], fake.extra_fields)
    source = jobs.completed(fake, video_id)
    size, seconds = source.facts["size"], source.facts["seconds"]
    job = fake.begin_job(
        seen,
        fields["prompt"],
        kind="remix",
        id=fake.state.new_id("video_"),
        model=source.model,
        size=size,
        seconds=seconds,
        remixed_from=source.id,
    )
    return _billed(fake, job, int(seconds))


def _from_source(fake: FakeUpstream, seen: Seen, kind: str, fields: dict[str, Any], more: int) -> Answer:
    """A new job out of an old one, or out of a file, which counts as four seconds."""
    model, size, seconds = fields.get("model", "sora-2"), "720x1280", 4
    if not isinstance(fields["video"], Part):
        source = jobs.completed(fake, fields["video"]["id"])
        model, size, seconds = source.model, source.facts["size"], int(source.facts["seconds"])
    job = fake.begin_job(
        seen,
        fields["prompt"],
        kind=kind,
        id=fake.state.new_id("video_"),
        model=model,
        size=size,
        seconds=str(seconds + more),
    )
    return _billed(fake, job, more or seconds)


def _billed(fake: FakeUpstream, job: Job, seconds: int) -> Answer:
    """A job that was accepted. An extension costs what is added, and what is going to fail nothing."""
    size = job.facts["size"]
    fake.bill(0 if job.failure else bill.of_video(job.model, seconds, size), seconds=seconds, size=size)
    return jobs.told(fake, job)


def look(fake: FakeUpstream, _seen: Seen, video_id: str) -> Answer:
    return jobs.told(fake, fake.look_at(video_id))


def list_jobs(fake: FakeUpstream, seen: Seen) -> Answer:
    all_jobs = [jobs.described(fake, job) for job in fake.state.jobs.values()]
    return document(page(seen, all_jobs, high=100, low=0))


def delete(fake: FakeUpstream, _seen: Seen, video_id: str) -> Answer:
    job = fake.job(video_id)
    if not job.over:
        raise Refusal(f"Video '{video_id}' can't be deleted while it is {job.status}.", code="video_not_ready")
    del fake.state.jobs[video_id]
    return document({"id": video_id, "object": "video.deleted", "deleted": True})


def content(fake: FakeUpstream, seen: Seen, video_id: str) -> Answer:
    variant = dict(seen.query).get("variant", "video")
    one_of(*VARIANTS)(variant, "variant")
    job = fake.job(video_id)
    if job.status != "completed":
        raise Refusal(
            "Video is not ready yet, use GET /v1/videos/{video_id} to check status.", 404, code="video_not_ready"
        )
    if job.ended_at is not None and job.ended_at + 3600 <= fake.now():
        raise Refusal(f"The content of video '{video_id}' has expired.", 404, code="expired")
    return file_answer(seen, fake.film_of(video_id, variant), VARIANTS[variant])
