"""Session documents: defaults, what the caller says on top of them, and careful reading of what came out."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from callsheet import BadRequestError, NotFoundError
from callsheet_local.studio import new_id

__all__ = ["MODEL", "MOST_BYTES", "check_model", "dig", "is_deep", "merge", "number", "session_of"]

MODEL = "realtime-1"
MOST_BYTES = 128 * 1024
_DEEPEST = 64
_PCM = {"type": "audio/pcm", "rate": 24000}
_LISTENING: dict[str, Any] = {
    "format": _PCM,
    "transcription": None,
    "noise_reduction": None,
    "turn_detection": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
}
_REALTIME: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "",
    "model": MODEL,
    "output_modalities": ["audio"],
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "expires_at": 0,
    "audio": {"input": _LISTENING, "output": {"format": _PCM, "voice": "alloy", "speed": 1.0}},
    "include": None,
}
_TRANSCRIPTION: dict[str, Any] = {
    "type": "transcription",
    "object": "realtime.transcription_session",
    "id": "",
    "expires_at": 0,
    "audio": {"input": _LISTENING},
    "include": None,
}


def check_model(model: object) -> None:
    """NotFoundError for a model that is not ours; None is fine."""
    if model is not None and model != MODEL:
        raise NotFoundError(
            f"the local provider has no realtime model {model!r:.60}; it has one: {MODEL}"
            f" (as a model name: local/{MODEL})",
            code="model_not_found",
            param="model",
        )


def session_of(given: Mapping[str, Any] | None, model: str | None = None) -> dict[str, Any]:
    """A whole session document: the defaults, and what was given on top. Unknown fields are kept."""
    given = dict(given or {})
    kind = given.get("type") or "realtime"
    if kind not in ("realtime", "transcription"):
        raise BadRequestError(
            f"a session has the type 'realtime' or 'transcription', not {kind!r:.60}",
            code="invalid_session",
            param="session.type",
        )
    check_model(model)
    check_model(given.get("model"))
    try:
        text = json.dumps(given, allow_nan=False)
        given = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise _not_json() from None
    if len(text) > MOST_BYTES:
        raise BadRequestError(
            f"the session has more than {MOST_BYTES:,} bytes of JSON; make it shorter",
            code="session_too_big",
            param="session",
        )
    if is_deep(given):
        raise _not_json()
    defaults = _REALTIME if kind == "realtime" else _TRANSCRIPTION
    return {**merge(defaults, given), "type": kind, "object": defaults["object"], "id": new_id("sess")}


def _not_json() -> BadRequestError:
    return BadRequestError(
        "the session is not JSON: only objects, arrays, texts, finite numbers, true, false and null, not nested too deep",
        code="invalid_session",
        param="session",
    )


def is_deep(document: Any) -> bool:
    """Whether a document is nested so deep that no honest one is."""
    level = [document]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One document with another on top: objects are merged, all else replaced. An object of another `type` replaces."""
    merged = copy.deepcopy(dict(under))
    for name, value in over.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("type", old.get("type")) == old.get("type"):
            merged[name] = merge(old, value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def dig(document: Any, *path: str) -> Any:
    """What lies at a path of names, or None: documents hold what callers put there."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def number(value: Any, default: float, low: float, high: float) -> float:
    """A number within limits; the default for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return default
    return float(min(max(value, low), high))
