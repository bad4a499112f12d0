"""A video job as OpenAI's wire tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callsheet.testing.answers import Answer, document
from callsheet.testing.refusals import Refusal
from callsheet.testing.state import Job

if TYPE_CHECKING:
    from callsheet.testing.upstream import FakeUpstream

__all__ = ["completed", "described", "told"]


def described(fake: FakeUpstream, job: Job) -> dict[str, Any]:
    done = job.status == "completed"
    failed = job.failure or ("server_error", "The job failed.") if job.status == "failed" else None
    value = {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": job.status,
        "progress": job.progress,
        "created_at": job.created_at,
        "completed_at": job.ended_at if done else None,
        "expires_at": job.ended_at + 3600 if done and job.ended_at is not None else None,
        "prompt": job.prompt,
        "size": job.facts["size"],
        "seconds": job.facts["seconds"],
        "remixed_from_video_id": job.facts.get("remixed_from"),
        "error": {"code": failed[0], "message": failed[1]} if failed else None,
    }
    return fake.annotate("video", value)


def told(fake: FakeUpstream, job: Job) -> Answer:
    asks = {} if fake.poll_after is None else {"openai-poll-after-ms": str(round(fake.poll_after * 1000))}
    return document(described(fake, job), headers=asks)


def completed(fake: FakeUpstream, id: str) -> Job:
    job = fake.job(id)
    if job.status != "completed":
        raise Refusal(
            f"Video '{id}' is not completed; its status is {job.status}.", param="video", code="video_not_ready"
        )
    return job
