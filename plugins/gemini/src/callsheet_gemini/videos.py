"""Videos by Veo. Wire: the Gemini API's predictLongRunning, as Google's own SDK (google-genai 2) speaks it."""

from __future__ import annotations

from typing import Any

from callsheet import (
    IO,
    APIResponseValidationError,
    BadRequestError,
    Body,
    CallsheetError,
    Download,
    DownloadVideo,
    Extend,
    GenerateVideo,
    GetVideo,
    NotFoundError,
    OperationRequest,
    Reply,
    Request,
    Upload,
    Video,
    hookimpl,
    path_segment,
)
from callsheet.urls import leads_on, origin
from callsheet_gemini.characters import Characters, absent, reference_images
from callsheet_gemini.images import first_frame
from callsheet_gemini.longrunning import Name, Source, quoted, source_of, video_of
from callsheet_gemini.veo import EXTENSION, body_of, model_of, parameters_of

__all__ = ["Videos"]


class Videos(Characters):
    """Starting, extending, looking at and fetching videos."""

    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        """POST /models/{model}:predictLongRunning."""
        request.only("prompt", "size", "seconds", "input_reference", "characters")
        model, cast = model_of(request.model), await self.cast(request.characters or [], io)
        parameters = parameters_of(model, request.size, request.seconds, bool(cast))
        instance: dict[str, Any] = {"prompt": request.prompt}
        if cast and request.input_reference is not None:
            raise BadRequestError(
                "characters go to Veo as reference pictures, and beside those it takes no first frame: leave one of the"
                " two out",
                param="input_reference",
                code="unsupported_combination",
            )
        if cast:
            instance["referenceImages"] = reference_images(cast)
        if request.input_reference is not None:
            instance["image"] = await first_frame(request.input_reference, io)
        video = await self._start(model, request, instance, parameters, io)
        asked = {"prompt": request.prompt, "size": request.size, "seconds": request.seconds}
        told = {**asked, "warnings": absent(cast, request.prompt)}
        return video.model_copy(update={name: value for name, value in told.items() if value})

    @hookimpl
    async def extend(self, request: Extend, io: IO) -> Video:
        """Look the source up, and start anew with it. The model is the source's, unless another one is named."""
        request.only("video", "prompt", "seconds")
        if isinstance(request.video, Upload):
            raise BadRequestError(
                "Veo extends videos that it made itself, and takes no files for that: give the id of a video",
                param="video",
                code="file_not_supported",
            )
        if request.seconds not in {None, EXTENSION}:
            raise BadRequestError(
                f"Veo's extensions add {EXTENSION} seconds, not {request.seconds}; leave seconds out",
                param="seconds",
                code="invalid_value",
            )
        name = Name.of_id(request.video.id, "video")
        model = model_of(request.model or name.model)
        source = _ready(await io.get(name.path), name, "video", BadRequestError).without(io.secrets())
        film = {"uri": source.uri, **({"encoding": source.encoding} if source.encoding else {})}
        video = await self._start(model, request, {"prompt": request.prompt, "video": film}, {}, io)
        return video.model_copy(update={"prompt": request.prompt})

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        """GET the operation."""
        name = Name.of_id(request.video_id)
        return video_of(await io.get(name.path), name)

    @hookimpl
    async def download_video(self, request: DownloadVideo, io: IO) -> Download:
        """GET the operation for the address of its file, and then that: with the key only at the account's own host."""
        if request.variant not in {None, "video"}:
            raise BadRequestError(
                f"Veo has no {request.variant}s, only the video itself", param="variant", code="invalid_value"
            )
        name = Name.of_id(request.video_id)
        source = _ready(await io.get(name.path), name, "video_id", NotFoundError).without(io.secrets())
        home = _is_home(source.uri, self.settings.base_url or "")
        asked = Request("GET", source.uri, request.range_headers(), auth="account" if home else None)
        return await Download.of(await io.stream(asked))

    async def _start(
        self, model: str, request: OperationRequest, instance: dict[str, Any], parameters: dict[str, Any], io: IO
    ) -> Video:
        body = Body.json(body_of(request, instance, parameters))
        return video_of(await io.send(Request("POST", f"/models/{path_segment(model)}:predictLongRunning", body=body)))


def _ready(reply: Reply, name: Name, param: str, kind: type[BadRequestError] | type[NotFoundError]) -> Source:
    """Where a completed video is. `kind` is raised for one that is not completed."""
    video = video_of(reply, name)
    if video.status == "in_progress":
        raise kind(f"video {name} is not ready yet: wait until it is completed", code="video_not_ready", param=param)
    source = source_of(reply) if video.status == "completed" else None
    if source is None:
        why = video.error.message if video.error else ""
        raise kind(f"video {name} failed ({why}): there is no file of it", code="video_failed", param=param)
    return source


def _is_home(uri: str, base: str) -> bool:
    """Whether an address is at the account's own host. APIResponseValidationError for one that nobody may be sent to."""
    try:
        home = origin(uri) == origin(base)
        allowed = uri.lower().startswith(("https://", "http://")) and (home or leads_on(base, uri))
    except CallsheetError:  # "http://[" is no address
        allowed = False
    if not allowed:
        raise APIResponseValidationError(
            f"the provider says that the video is at {quoted(uri)}, which can't be fetched"
        )
    return home
