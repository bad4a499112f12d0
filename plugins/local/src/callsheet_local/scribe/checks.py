"""What both APIs check of a request before anything is answered. Every refusal names the field and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from callsheet import BadRequestError, NotFoundError
from callsheet_local.scribe.talk import Tool

__all__ = [
    "MODEL",
    "check_choice",
    "check_metadata",
    "check_model",
    "check_range",
    "check_size",
    "read_tools",
    "refuse",
]

MODEL = "scribe-1"
MOST_BYTES = 1_000_000
_MOST_TOOLS = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def refuse(message: str, param: str, code: str = "invalid_value") -> BadRequestError:
    return BadRequestError(message, param=param, code=code)


def check_model(model: str | None) -> None:
    if model is not None and model != MODEL:
        raise NotFoundError(
            f"the local provider has no text model {model!r:.60}; it has one: {MODEL} (as a model name: local/{MODEL})",
            code="model_not_found",
            param="model",
        )


def check_size(value: object, param: str) -> int:
    """The bytes of something as JSON. It must be JSON, and not too much of it: it is looked through, and kept."""
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except UnicodeEncodeError:
        raise refuse(f"{param} holds half a surrogate pair, which is no character", param) from None
    except (TypeError, ValueError) as error:
        raise refuse(f"{param} can't be written as JSON: {error}", param) from None
    except RecursionError:
        raise refuse(f"{param} is nested too deep", param) from None
    if size > MOST_BYTES:
        raise refuse(
            f"{param} has {size:,} bytes; {MODEL} takes {MOST_BYTES:,} at most. Send less of the conversation",
            param,
            "context_length_exceeded",
        )
    return size


def check_range(value: float | None, low: float, high: float, param: str) -> None:
    if value is not None and not low <= value <= high:
        raise refuse(f"{param} is {value:g}; it can be {low:g} to {high:g}", param)


def check_metadata(metadata: Mapping[str, Any] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > 16:
        raise refuse(f"metadata has {len(metadata)} entries; 16 are allowed", "metadata")
    for key, value in metadata.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            raise refuse(
                f"metadata[{key!r:.70}]: keys have up to 64 characters, values are texts of up to 512", "metadata"
            )


def read_tools(tools: list[Any] | None, nested: bool) -> list[Tool]:
    """The declared functions. `nested`: as chat declares them, inside `function`."""
    if len(tools or ()) > _MOST_TOOLS:
        raise refuse(f"{len(tools or ())} tools were given; {_MOST_TOOLS} are allowed", "tools")
    check_size(tools, "tools")
    read: list[Tool] = []
    for index, tool in enumerate(tools or ()):
        where = f"tools[{index}]"
        if not isinstance(tool, Mapping):
            raise refuse(f"{where} is no object", where)
        if tool.get("type") != "function":
            raise refuse(
                f"{where} is of type {tool.get('type')!r:.60}; {MODEL} calls functions only: declare it with"
                " type 'function' and do its work yourself",
                f"{where}.type",
                "unsupported_tool",
            )
        function = tool.get("function") if nested else tool
        if not isinstance(function, Mapping):
            raise refuse(f"{where} has no object 'function'", f"{where}.function", "missing_required_parameter")
        inside = f"{where}.function" if nested else where
        name, parameters = function.get("name"), function.get("parameters")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise refuse(f"{inside}.name must be 1 to 64 letters, digits, _ or -; it is {name!r:.80}", f"{inside}.name")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise refuse(f"{inside}.parameters must be a JSON schema (an object)", f"{inside}.parameters")
        if name in {one.name for one in read}:
            raise refuse(f"two tools have the name {name!r}", f"{inside}.name")
        description = function.get("description")
        read.append(Tool(name, description if isinstance(description, str) else "", dict(parameters or {})))
    return read


def check_choice(choice: object, tools: list[Tool]) -> str | dict[str, Any]:
    """A tool_choice that makes sense with the tools that were given."""
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in {"none", "auto", "required"}:
            raise refuse(
                f"tool_choice is {choice!r:.60}; it can be 'none', 'auto', 'required' or an object naming a function",
                "tool_choice",
            )
        if choice == "required" and not tools:
            raise refuse("tool_choice is 'required', but there are no tools; declare one in tools", "tool_choice")
        return choice
    if not isinstance(choice, Mapping):
        raise refuse("tool_choice must be a text or an object", "tool_choice")
    names = {tool.name for tool in tools}
    kind, inner = choice.get("type"), choice.get("allowed_tools", choice)
    if kind == "allowed_tools" and isinstance(inner, Mapping) and isinstance(inner.get("tools"), list):
        wanted = [one for one in inner["tools"] if isinstance(one, Mapping)]
    elif kind == "function":
        wanted = [choice]
    else:
        raise refuse(
            f"tool_choice of type {kind!r:.60} is not known; use {{'type': 'function', ...}} or 'auto'", "tool_choice"
        )
    for one in wanted:
        inside = one.get("function")
        name = inside.get("name") if isinstance(inside, Mapping) else one.get("name")
        if not isinstance(name, str) or name not in names:
            raise refuse(
                f"tool_choice names the function {name!r:.70}, which is not among the tools"
                f" ({', '.join(sorted(names)) or 'none were given'})",
                "tool_choice",
            )
    return dict(choice)
