"""The Gemini API in the matrix. Its characters are not: they are made and kept here, and no request leaves for them."""

from __future__ import annotations

from typing import Any

from tests.faults.vendors import KEY, Operation, Vendor, by_name

from callsheet.testing.seen import Seen
from callsheet.testing.state import Job
from callsheet_gemini.settings import GeminiSettings
from callsheet_gemini.wire import GeminiWire

__all__ = ["GEMINI"]

NAME = "models/veo/operations/op1"
LOOK = "GET /models/{model}/operations/{id}"
START = "POST /models/{model}:predictLongRunning"
AT: Any = {"provider": "gemini"}
TALK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class _Wire(GeminiWire):
    film_at: str | None = None

    def _uri(self, seen: Seen, job: Job) -> str:
        return self.film_at or super()._uri(seen, job)


def _wire(film_at: str | None) -> GeminiWire:
    fake = _Wire(keys={KEY}, video_bytes=4096, film_at=film_at and f"{film_at}/film.mp4")
    now = fake.now()
    fake.state.jobs[NAME] = Job(NAME, "a cat", now, ("completed",), "veo", facts={"file": "film1"}, ended_at=now)
    return fake


GEMINI = Vendor(
    "gemini",
    GeminiSettings,
    by_name(
        Operation("chat", "POST /openai/chat/completions", "document", "unstored", entry="chat"),
        Operation("chat-SSE", "POST /openai/chat/completions", "stream", "unstored", entry="chat"),
        Operation("video create", START, "document", "never", entry="video"),
        Operation("video get", LOOK, "document", "get"),
        # A film is looked up, and then fetched from where its job says that it is.
        Operation("content: look", LOOK, "document", "get", after=1),
        Operation("content: film", "GET /files/{file}:download", "bytes", "get", before=1, elsewhere=True),
        # The source is looked up before anything is begun: nobody pays for a fault there.
        Operation("extend: look", LOOK, "document", "never", after=1, looks=True, entry="extend"),
        Operation("extend: start", START, "document", "never", before=1, entry="extend"),
    ),
    {
        "chat": lambda c, _: c.chat_completions(**TALK),
        "chat-SSE": lambda c, _: c.chat_completions(**TALK, stream=True),
        "video create": lambda c, _: c.generate_video(prompt="a cat", seconds=8, model="veo"),
        "video get": lambda c, _: c.get_video(video_id=NAME, **AT),
        **dict.fromkeys(
            ["content: look", "content: film"], lambda c, folder: c.download_video(NAME, to=folder / "got.mp4", **AT)
        ),
        **dict.fromkeys(["extend: look", "extend: start"], lambda c, _: c.extend(video=NAME, prompt="on", **AT)),
    },
    _wire,
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        408: "FAILED_PRECONDITION",
        409: "ABORTED",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        502: "INTERNAL",
        503: "UNAVAILABLE",
        529: "INTERNAL",
    },
    promises=frozenset(),
)
