"""What Veo is asked: the document of predictLongRunning, and what it can't take.

The limits are those that Google documents for Veo 3.x. Other models are asked for what the caller wants, and say
themselves what they can't do.
"""

from __future__ import annotations

from typing import Any

from callsheet import BadRequestError, OperationRequest

__all__ = ["EXTENSION", "MOST_PICTURES", "SIZES", "body_of", "model_of", "parameters_of"]

SIZES = {
    "1280x720": ("16:9", "720p"),
    "720x1280": ("9:16", "720p"),
    "1920x1080": ("16:9", "1080p"),
    "1080x1920": ("9:16", "1080p"),
    "3840x2160": ("16:9", "4k"),
    "2160x3840": ("9:16", "4k"),
}
SECONDS = ("4", "6", "8")
EXTENSION = "7"
"""Seconds that an extension adds. There is no choice."""
MOST_PICTURES = 3
"""Reference pictures of one video."""


def model_of(model: str | None) -> str:
    """A model's name as it stands in a path. BadRequestError if there is none."""
    name = (model or "").removeprefix("models/")
    if not name:
        raise _refusal("say which model is meant, such as gemini/veo-3.1-generate-preview", "model", "missing_model")
    return name


def parameters_of(model: str, size: str | None, seconds: str | None, pictures: bool) -> dict[str, Any]:
    """Size and length as Veo wants them. What is not said is not sent: Veo has its own defaults (16:9, 720p, 8 s)."""
    parameters: dict[str, Any] = {}
    if size is not None:
        if size not in SIZES:
            raise _refusal(f"Veo makes no videos of {size}; it makes {', '.join(SIZES)}", "size", "invalid_value")
        parameters["aspectRatio"], parameters["resolution"] = SIZES[size]
    if seconds is not None:
        _check_seconds(model, seconds, parameters.get("resolution"), pictures)
        parameters["durationSeconds"] = int(seconds)
    return parameters


def body_of(request: OperationRequest, instance: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The whole document, with what the caller put into `extra_body`.

    `parameters` (an object) and `instances` (a list of one object) there are merged into ours; every other name is one of
    Veo's parameters. What the caller spells out in Veo's words counts.
    """
    extra = request.options
    own, instances = extra.pop("parameters", {}), extra.pop("instances", [{}])
    if not isinstance(own, dict):
        raise _refusal("'parameters' is an object, with Veo's parameters in it", "parameters", "invalid_type")
    if not (isinstance(instances, list) and len(instances) == 1 and isinstance(instances[0], dict)):
        raise _refusal("'instances' is a list of one object: one video is asked for", "instances", "invalid_type")
    parameters = {**parameters, **own, **extra}
    document: dict[str, Any] = {"instances": [{**instance, **instances[0]}]}
    return {**document, "parameters": parameters} if parameters else document


def _check_seconds(model: str, seconds: str, resolution: str | None, pictures: bool) -> None:
    if not model.startswith("veo-3"):
        return
    if seconds not in SECONDS:
        raise _refusal(f"Veo makes videos of 4, 6 or 8 seconds, not of {seconds}", "seconds", "invalid_value")
    if seconds != "8" and (pictures or resolution not in {None, "720p"}):
        why = "with characters" if pictures else f"in {resolution}"
        raise _refusal(f"{why}, Veo makes videos of 8 seconds only, not of {seconds}", "seconds", "invalid_value")


def _refusal(message: str, param: str, code: str) -> BadRequestError:
    return BadRequestError(message, param=param, code=code)
