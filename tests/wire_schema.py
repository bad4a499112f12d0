"""OpenAI's published schemas as a judge of the fake upstream, so that it can't drift away from the wire.

The schemas as published fit neither what servers accept nor what they send: `oneOf` matches twice, requests are asked
for fields that every client leaves out, answers hold nulls. What is loosened stands here, each with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from callsheet.testing import FakeUpstream, Part, Seen, Violation
from callsheet.testing.answers import Answer, Data, End, Head, Step
from callsheet.testing.requests import fields_of

SUBSET = Path(__file__).with_name("openai-subset.json")
NOT_NEEDED = {
    "InputImageContent": ["detail"],  # servers take images without it
    "OutputTextContent": ["logprobs"],  # an answer that is sent back need not have them
    "FunctionTool": ["strict"],  # as real clients send it
}
NEW_EVENTS = {"response.vendor_weather.updated"}  # the fake's own: clients must live with events of tomorrow
NULLS = ("include", "transcription", "noise_reduction")  # in OpenAI's own example of a session
MEDIA = {"image/jpeg"}  # of a spritesheet, by the guide


@cache
def specification() -> dict[str, Any]:
    """The subset, loosened."""
    document = json.loads(SUBSET.read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    for name, fields in NOT_NEEDED.items():
        for field in fields:
            if field in schemas[name].get("required", []):
                schemas[name]["required"].remove(field)
    for schema in ("RealtimeSessionCreateResponseGA", "RealtimeTranscriptionSessionCreateResponseGA"):
        _let_be_null(schemas[schema], *NULLS)
    _let_be_null(schemas["Response"], "usage")  # until the response is done
    loosened: dict[str, Any] = _any_of(document)
    return loosened


def _any_of(node: Any) -> Any:
    """`oneOf` as `anyOf`: several of its branches fit a plain message."""
    if isinstance(node, dict):
        return {
            ("anyOf" if key == "oneOf" and "anyOf" not in node else key): _any_of(value) for key, value in node.items()
        }
    return [_any_of(item) for item in node] if isinstance(node, list) else node


def _let_be_null(node: Any, *names: str) -> None:
    """Let the properties of these names be null, at any depth."""
    if isinstance(node, list):
        for item in node:
            _let_be_null(item, *names)
    for key, value in list(node.items()) if isinstance(node, dict) else []:
        if key == "properties":
            value.update({name: {"anyOf": [value[name], {"type": "null"}]} for name in names if name in value})
        _let_be_null(value, *names)


@cache
def validator(pointer: str) -> Any:
    """The validator of the schema at a place in the document, such as #/components/schemas/Video."""
    return jsonschema_rs.Draft202012Validator({"$ref": pointer, "components": specification()["components"]})


def schema_errors(schema: Mapping[str, Any], value: object) -> list[str]:
    """What is wrong with a value, in words; nothing if it fits."""
    found = validator(schema["$ref"]).iter_errors(value)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message:.300}" for error in found]


class JudgedUpstream(FakeUpstream):
    """A fake that holds every request and every answer against the schemas. `deviations` says where they do not fit."""

    deviations: list[str]
    judged: set[str]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.deviations, self.judged = [], set()

    def offers(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, scheme: str = "http"
    ) -> Iterator[Step]:
        steps = list(super().offers(method, target, headers, body, scheme))
        seen = self.seen[-1]
        head, pieces = steps[0], [step.content for step in steps if isinstance(step, Data)]
        assert isinstance(head, Head)
        assert isinstance(steps[-1], End)
        answer = Answer(head.status, dict(head.headers), pieces)
        where = f"{seen.route or seen.path} {head.status}"
        self.deviations += [f"{where}: {problem}" for problem in [*_of_request(seen), *_of_answer(seen, answer)]]
        self.judged.add(where)
        return iter(steps)


def _operation(seen: Seen) -> Mapping[str, Any] | None:
    method, _, path = (seen.route or " ").partition(" ")
    found: Mapping[str, Any] | None = specification()["paths"].get(path, {}).get(method.lower())
    return found


def _of_request(seen: Seen) -> list[str]:
    operation = _operation(seen)
    if operation is None or not seen.body or (seen.document is None and seen.form is None):
        return []
    try:
        fields = fields_of(seen, "video", "input_reference", "characters", "session")
    except Violation:
        return []
    schema = operation["requestBody"]["content"][seen.content_type]["schema"]
    plain = {name: _plain(name, value) for name, value in fields.items()}
    return [f"request: {problem}" for problem in schema_errors(schema, plain)]


def _plain(name: str, value: object) -> object:
    if name == "session" and isinstance(value, str):
        return json.loads(value)
    return "bytes" if isinstance(value, Part) else value


def _of_answer(seen: Seen, answer: Answer) -> list[str]:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status >= 400 and answer.status != 416:
        return schema_errors({"$ref": "#/components/schemas/ErrorResponse"}, json.loads(answer.body))
    operation = _operation(seen)
    if operation is None:
        return []
    status = "200" if answer.status == 206 else str(answer.status)
    declared = operation["responses"].get(status, {}).get("content", {})
    if kind not in declared:
        return [] if kind in MEDIA or answer.status == 416 else [f"{kind} is not declared"]
    schema = declared[kind]["schema"]
    if kind == "application/json":
        return schema_errors(schema, json.loads(answer.body))
    if kind != "text/event-stream":
        return []
    return [problem for event in events(answer.body) for problem in schema_errors(schema, event)]


def events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream that somebody knows."""
    texts = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    documents = [json.loads(text) for text in texts if text != "[DONE]"]
    return [document for document in documents if document.get("type") not in NEW_EVENTS]
