"""A video job: how it begins, goes on and ends, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callsheet.testing.answers import Answer, document
from callsheet.testing.refusals import Refusal
from callsheet.testing.seen import Seen
from callsheet.testing.state import Job

if TYPE_CHECKING:
    from callsheet.testing.upstream import FakeUpstream

__all__ = ["begin", "completed", "described", "find", "settle", "status_of", "told"]


def begin(
    fake: FakeUpstream,
    seen: Seen,
    kind: str,
    prompt: str,
    *,
    remixed_from: str | None = None,
    model: str,
    size: str,
    seconds: str,
) -> Answer:
    made = Job(
        fake.state.new_id("video_"),
        prompt=prompt,
        created_at=fake.now(),
        needed=fake.polls_until_done,
        remixed_from=remixed_from,
        failure=fake.next_failure(),
        model=model,
        size=size,
        seconds=seconds,
    )
    fake.state.jobs[made.id] = made
    fake.begin(seen, kind, made.id, made.model)
    settle(fake, made)
    return told(fake, made)


def settle(fake: FakeUpstream, job: Job) -> None:
    if job.ended_at is None and job.looks >= job.needed:
        job.ended_at = fake.now()


def status_of(job: Job) -> str:
    if job.ended_at is not None:
        return "failed" if job.failure else "completed"
    return "in_progress" if job.looks else "queued"


def described(fake: FakeUpstream, job: Job) -> dict[str, Any]:
    status = status_of(job)
    done = status == "completed"
    progress = 100 if done else min(99, 100 * job.looks // max(1, job.needed)) if status == "in_progress" else 0
    failed = job.failure if status == "failed" else None
    value = {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": status,
        "progress": progress,
        "created_at": job.created_at,
        "completed_at": job.ended_at if done else None,
        "expires_at": job.ended_at + 3600 if done and job.ended_at is not None else None,
        "prompt": job.prompt,
        "size": job.size,
        "seconds": job.seconds,
        "remixed_from_video_id": job.remixed_from,
        "error": {"code": failed[0], "message": failed[1]} if failed else None,
    }
    return fake.annotate("video", value)


def told(fake: FakeUpstream, job: Job) -> Answer:
    asks = {} if fake.poll_after is None else {"openai-poll-after-ms": str(round(fake.poll_after * 1000))}
    return document(described(fake, job), headers=asks)


def find(fake: FakeUpstream, id: str) -> Job:
    if id not in fake.state.jobs:
        raise Refusal(f"Video with id '{id}' not found.", 404, code="not_found")
    return fake.state.jobs[id]


def completed(fake: FakeUpstream, id: str) -> Job:
    job = find(fake, id)
    if status_of(job) != "completed":
        raise Refusal(
            f"Video '{id}' is not completed; its status is {status_of(job)}.", param="video", code="video_not_ready"
        )
    return job
