"""Acme's side of the wire, for tests: what it takes, and what it answers."""

from __future__ import annotations

from callsheet.testing import CHAT, JSON, Answer, Refusal, Seen, Wire, document, file_answer, route
from callsheet.testing.checks import check, integer, one_of, text

__all__ = ["AcmeWire"]

STATES = {"queued": "waiting", "in_progress": "running", "completed": "done", "failed": "broken"}
ORDER = {"text": text(1), "model": text(1), "length": integer(1, 60), "shape": one_of("wide", "tall")}


class AcmeWire(Wire):
    prefix = "/v1"
    key_header, key_prefix = "x-acme-key", ""
    table = CHAT  # chat is OpenAI's wire at Acme

    @route("POST", "/jobs", takes=JSON)
    def start(self, seen: Seen) -> Answer:
        order = check(seen.document, ORDER, required=["text"])
        job = self.begin_job(seen, order["text"])
        return document({"job": job.id, "state": STATES.get(job.status, job.status)})

    @route("GET", "/jobs/{id}")
    def look(self, _seen: Seen, id: str) -> Answer:
        job = self.look_at(id)
        why = job.failure[1] if job.failure and job.over else None
        return document({"job": id, "state": STATES.get(job.status, job.status), "why": why})

    @route("GET", "/jobs/{id}/film")
    def film(self, seen: Seen, id: str) -> Answer:
        if self.job(id).status != "completed":
            raise Refusal("The film is not ready.", 404, code="not_ready")
        return file_answer(seen, self.film_of(id), "video/mp4")
