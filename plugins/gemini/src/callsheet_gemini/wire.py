"""The Gemini API that is not there: Veo's operations and their files, and chat in OpenAI's words. For tests."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsheet.testing import chat
from callsheet.testing.answers import Answer, document
from callsheet.testing.checks import boolean, check, integer, list_of, matching, object_of, one_of, text
from callsheet.testing.files import file_answer
from callsheet.testing.refusals import Refusal, Violation
from callsheet.testing.route import JSON, route
from callsheet.testing.seen import Seen
from callsheet.testing.state import Job
from callsheet.testing.wire import Wire
from callsheet_gemini.errors import KINDS

__all__ = ["GeminiWire"]

TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
KIND_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
BEGINNINGS = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG", "image/webp": b"RIFF"}


def _picture(value: Any, name: str) -> None:
    object_of({"bytesBase64Encoded": text(1), "mimeType": one_of(*BEGINNINGS)}, ["bytesBase64Encoded", "mimeType"])(
        value, name
    )
    try:
        content = base64.b64decode(value["bytesBase64Encoded"], validate=True)
    except (binascii.Error, ValueError):
        raise Violation(f"'{name}.bytesBase64Encoded' is no base64.", param=name) from None
    if not content.startswith(BEGINNINGS[value["mimeType"]]):
        raise Violation(f"'{name}' is no {value['mimeType']}.", param=name)


_REFERENCE = object_of({"image": _picture, "referenceType": one_of("ASSET")}, ["image", "referenceType"])
_INSTANCE = {
    "prompt": text(1),
    "image": _picture,
    "lastFrame": _picture,
    "referenceImages": list_of(_REFERENCE, 3, 1),
    "video": object_of({"uri": text(1), "encoding": one_of("video/mp4")}, ["uri"]),
}
_PARAMETERS = {
    "aspectRatio": one_of("16:9", "9:16"),
    "resolution": one_of("720p", "1080p", "4k"),
    "durationSeconds": integer(4, 8),
    "negativePrompt": text(),
    "personGeneration": one_of("allow_all", "allow_adult", "dont_allow"),
    "enhancePrompt": boolean,
    "sampleCount": integer(1, 4),
}


class GeminiWire(Wire):
    """Google's side of the Gemini API, as far as this plugin speaks it."""

    prefix = "/v1beta"
    key_header = "x-goog-api-key"
    key_prefix = ""
    model = "veo-3.1-generate-preview"
    job_states = ("in_progress", "completed", "failed", "empty")
    unknown_state = None  # an operation is done or it is not
    samples: Mapping[str, Mapping[str, Any]] = {"extend": {"seconds": 7}}

    def settings(self, folder: Path) -> Mapping[str, Any]:
        """Characters are kept on disk."""
        return {"data_dir": folder}

    def key_of(self, seen: Seen) -> str:
        """A header of Google's; a Bearer where OpenAI's wire is spoken."""
        if not seen.path.startswith(f"{self.prefix}/openai/"):
            return super().key_of(seen)
        shown = seen.all("authorization")
        if len(shown) != 1 or not shown[0].startswith("Bearer "):
            raise Violation("The key is wanted in one header: authorization: Bearer KEY", 401)
        return shown[0].removeprefix("Bearer ")

    def error_document(self, error: Refusal) -> object:
        """google.rpc.Status."""
        kind = KIND_OF_STATUS.get(error.status, "INTERNAL" if error.status >= 500 else "FAILED_PRECONDITION")
        said: dict[str, Any] = {"code": error.status, "message": error.message, "status": kind}
        if error.param:
            violations = [{"field": error.param, "description": error.message}]
            said["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
        return {"error": said}

    @route("POST", "/models/{model}:predictLongRunning", takes=JSON)
    def start(self, seen: Seen, model: str) -> Answer:
        fields = {"instances": list_of(object_of(), 1, 1), "parameters": object_of()}
        asked = check(seen.document, fields, ["instances"])
        instance = check(asked["instances"][0], _INSTANCE, ["prompt"], self.extra_fields)
        parameters = check(asked.get("parameters", {}), _PARAMETERS, (), self.extra_fields)
        self._fits(instance, parameters)
        kind = "extend" if "video" in instance else "video"
        name = f"models/{model}/operations/{self.state.new_id('')[:12]}"
        job = self.begin_job(seen, instance["prompt"], kind=kind, id=name, model=model, file=self.state.new_id("")[:12])
        return document({"name": job.id})

    @route("GET", "/models/{model}/operations/{id}")
    def look(self, seen: Seen, model: str, id: str) -> Answer:
        job = self.look_at(f"models/{model}/operations/{id}")
        operation: dict[str, Any] = {"name": job.id}
        if job.status == "failed" and job.failure and job.failure[0] != "moderation_blocked":
            code, message = job.failure
            return document({**operation, "done": True, "error": {"code": _number(code), "message": message}})
        if job.status == "failed":
            why = job.failure[1] if job.failure else "The video was held back."
            held_back = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": [why]}
            operation |= {"done": True, "response": {"@type": TYPE, "generateVideoResponse": held_back}}
        if job.status == "completed":
            samples = [{"video": {"uri": self._uri(seen, job)}}]
            made = {"@type": TYPE, "generateVideoResponse": {"generatedSamples": samples}}
            operation |= {"done": True, "response": made}
        if job.status == "empty":
            operation |= {"done": True, "response": {"@type": TYPE, "generateVideoResponse": {}}}
        return document(operation)

    @route("GET", "/files/{file}:download", query=("alt",))
    def download(self, seen: Seen, file: str) -> Answer:
        job = self._job_of(file)
        if dict(seen.query).get("alt") != "media":
            raise Violation("A file is fetched with alt=media.", param="alt")
        return file_answer(seen, self.film_of(job.id), "video/mp4")

    @route("POST", "/openai/chat/completions", takes=JSON)
    def chat(self, seen: Seen) -> Answer:
        return chat.create(self, seen)

    def _uri(self, seen: Seen, job: Job) -> str:
        return self.address(seen, f"/files/{job.facts['file']}:download?alt=media")

    def _job_of(self, file: str) -> Job:
        """The completed job whose file it is."""
        for job in self.state.jobs.values():
            if job.facts.get("file") == file and job.status == "completed":
                return job
        raise Refusal(f"You do not have permission to access the File {file} or it may not exist.", 403)

    def _fits(self, instance: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """What goes together."""
        seconds, pictures, film = (
            parameters.get("durationSeconds", 8),
            "referenceImages" in instance,
            instance.get("video"),
        )
        if seconds == 5 or seconds == 7:
            raise Violation("durationSeconds is 4, 6 or 8.", param="durationSeconds")
        if seconds != 8 and (pictures or film or parameters.get("resolution", "720p") != "720p"):
            raise Violation("durationSeconds must be 8 here.", param="durationSeconds")
        if len({"image", "referenceImages", "video"} & set(instance)) > 1:
            raise Violation("Of image, referenceImages and video there may be one.")
        if film:
            matching(r"https?://[^/]+/[a-z0-9]+/files/[a-z0-9]+:download\?alt=media", "a file's address")(
                film["uri"], "video.uri"
            )
            self._job_of(film["uri"].rpartition("/")[2].partition(":")[0])


def _number(code: str) -> int:
    """google.rpc.Code: what isn't one of its names is an INTERNAL error."""
    return KINDS.index(code if code in KINDS else "INTERNAL")
