"""The input of a response: its items checked, given ids, and read as turns."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from callsheet_local.scribe.checks import refuse
from callsheet_local.scribe.talk import Turn, words

__all__ = ["Reading", "new_id", "read_input", "turns_of"]

JSON = dict[str, Any]
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
UNSEEN = {
    "input_image": "I can't see pictures.",
    "image_url": "I can't see pictures.",
    "input_file": "I can't open files.",
    "file": "I can't open files.",
    "input_audio": "I can't listen to audio.",
}
_PASSED_OVER = words(
    """
    reasoning compaction web_search_call file_search_call computer_call computer_call_output image_generation_call
    code_interpreter_call local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call
    apply_patch_call_output mcp_list_tools mcp_approval_request mcp_approval_response mcp_call custom_tool_call
    custom_tool_call_output
    """
)


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(24)}"


@define
class Reading:
    """Input as it is kept (`items`) and as the machine reads it (`turns`). `notes`: what it could not read."""

    items: list[JSON] = field(factory=list)
    turns: list[Turn] = field(factory=list)
    notes: list[str] = field(factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def read_input(given: str | list[Any], find: Callable[[str], JSON | None], calls: set[str]) -> Reading:
    """Check and read an input. `find` looks stored items up; `calls` are the ids of calls made in earlier responses."""
    read = Reading()
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    calls = set(calls)
    for index, item in enumerate(given):
        where = f"input[{index}]"
        if not isinstance(item, Mapping):
            raise refuse(f"{where} must be an object: a message, an item or an item_reference", where)
        kind = item.get("type", "message" if "role" in item else None)
        if kind == "item_reference" or (kind is None and isinstance(item.get("id"), str)):
            item = _referred(item, find, where)
            kind = item.get("type")
        match kind:
            case "message":
                _read_message(item, where, read)
            case "function_call":
                calls.add(_text(item, "call_id", where))
                name, arguments = _text(item, "name", where), _text(item, "arguments", where)
                read.items.append({"id": new_id("fc"), "status": "completed", **item})
                read.turns.append(Turn("assistant", f"{name}({arguments})"))
            case "function_call_output":
                if _text(item, "call_id", where) not in calls:
                    raise refuse(
                        f"{where} answers the call {item['call_id']!r:.60}, which is nowhere before it; send the"
                        " function_call too, or previous_response_id",
                        f"{where}.call_id",
                    )
                read.items.append({"id": new_id("fco"), "status": "completed", **item})
                read.turns.append(Turn("tool", _content(item.get("output"), f"{where}.output", read)))
            case str() if kind in _PASSED_OVER:
                read.items.append({"id": new_id("item"), **item})
            case _:
                raise refuse(
                    f"{where} is of type {kind!r:.60}, which is not known; {_KNOWN}", f"{where}.type", "unknown_item"
                )
    return read


_KNOWN = "messages, function_call, function_call_output and item_reference are read"


def turns_of(items: list[JSON]) -> list[Turn]:
    """What stored items say."""
    read = Reading()
    for item in items:
        match item.get("type"):
            case "message":
                role = ROLES.get(str(item.get("role")), "user")
                read.turns.append(Turn(role, _content(item.get("content"), "", read)))
            case "function_call":
                read.turns.append(Turn("assistant", f"{item.get('name')}({item.get('arguments')})"))
            case "function_call_output":
                read.turns.append(Turn("tool", _content(item.get("output"), "", read)))
    return read.turns


def _read_message(item: Mapping[str, Any], where: str, read: Reading) -> None:
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise refuse(f"{where}.role is {role!r:.60}; it can be {', '.join(ROLES)}", f"{where}.role", "invalid_value")
    content = item.get("content")
    if role == "user":
        read.notes.clear()  # what is said of pictures is said of the last message
    text = _content(content, f"{where}.content", read)
    if isinstance(content, str):
        part: JSON = {"type": "input_text", "text": content}
        if role == "assistant":
            part = {"type": "output_text", "text": content, "annotations": [], "logprobs": []}
        content = [part]
    read.items.append({"id": new_id("msg"), "type": "message", "status": "completed", **item, "content": content})
    read.turns.append(Turn(ROLES[role], text))


def _content(content: object, where: str, read: Reading) -> str:
    """The text of a content; pictures and the like are noted."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise refuse(f"{where} must be a text or a list of parts", where)
    texts = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(kind, str) and kind in _TEXTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "refusal":
            texts.append(str(part.get("refusal", "")))
        elif isinstance(kind, str) and kind in UNSEEN:
            read.note(UNSEEN[kind])
        elif where:
            raise refuse(
                f"{where}[{index}] is of type {kind!r:.60} or has no text; input_text, output_text, refusal, input_image"
                " and input_file are known",
                f"{where}[{index}].type",
            )
    return "\n".join(texts)


def _referred(item: Mapping[str, Any], find: Callable[[str], JSON | None], where: str) -> JSON:
    id = _text(item, "id", where)
    found = find(id)
    if found is None:
        raise refuse(
            f"{where} refers to {id!r:.70}, which is not stored here; send the item itself",
            f"{where}.id",
            "item_not_found",
        )
    return found


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or (not value and name != "arguments"):
        raise refuse(f"{where}.{name} is missing", f"{where}.{name}", "missing_required_parameter")
    return value
