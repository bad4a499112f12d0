"""The OpenAPI description, made from the operation table and the models, so that it can't say anything else than they do."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticOmit, core_schema
from starlette.requests import Request
from starlette.responses import Response

from callsheet import Document, Download, __version__
from callsheet.operations import OPERATIONS, Operation
from callsheet_gateway.admin import KeyLimits, NewBudget, NewKey
from callsheet_gateway.amounts import DURATION
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.face import Face
from callsheet_gateway.spend import GROUPS

__all__ = ["describe", "openapi_document"]

JSON = dict[str, Any]
_REF = "#/components/schemas/{model}"
_STRING: JSON = {"type": "string"}
_SDP = {"application/sdp": {"schema": _STRING}}
_ERROR: JSON = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _STRING,
                "type": _STRING,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_OBJECT: JSON = {"type": "object"}
_KEY: JSON = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key is done once; whoever asks again gets the same answer, for a day.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
_CHANGING = {"post", "delete"}
_LIST: JSON = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _OBJECT}},
}


class _InForms(GenerateJsonSchema):
    """Files are parts of a form."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:  # noqa: ARG002  pydantic's
        return {"type": "string", "format": "binary"}


class _InJSON(GenerateJsonSchema):
    """There are no files in JSON."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:  # noqa: ARG002  pydantic's
        raise PydanticOmit


async def openapi_document(_face: Face, _request: Request) -> Response:
    """GET /openapi.json."""
    return JSONDocument(describe())


@cache
def describe() -> JSON:
    """The whole document. It takes a moment to make, and is always the same."""
    schemas: JSON = {"Error": _ERROR}
    paths: JSON = {}
    for operation in OPERATIONS.values():
        paths.setdefault(operation.route, {})[operation.method.lower()] = _operation(operation, schemas)
    paths["/videos/{video_id}/events"] = {"get": _events()}
    paths["/models"] = {"get": _listing("list_models", "The models that callers may name.")}
    paths["/models/{model}"] = {"get": _get("get_model", "One model.", _OBJECT, [_path_parameter("model")])}
    paths["/providers"] = {"get": _listing("list_providers", "What each installed provider can do.")}
    paths["/health/live"] = {"get": {**_get("live", "Whether the server answers.", _OBJECT), "security": []}}
    paths["/spend"] = {"get": _spend()}
    paths |= _keys(schemas)
    for methods in paths.values():
        for method in _CHANGING & methods.keys():
            _done_once(methods[method])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Callsheet gateway", "version": __version__},
        "servers": [{"url": "/v1"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}],
    }


def _done_once(described: JSON) -> None:
    """Let an operation take an Idempotency-Key."""
    described["parameters"] = [*described["parameters"], _KEY]
    described["responses"] |= {
        "409": _answer(
            _ref("Error"), "The first request with this Idempotency-Key is under way, or its answer is not known."
        ),
        "422": _answer(_ref("Error"), "Another request came with this Idempotency-Key before."),
    }


def _keys(schemas: JSON) -> JSON:
    """The admin API. It takes the master key."""
    named = [_path_parameter("key_id")]
    new = _schema(NewKey, schemas, _InJSON, "NewKey")
    create = _get("create_key", "Make a virtual key; the answer shows its secret, this once.", _OBJECT)
    create["requestBody"] = {"required": True, "content": {"application/json": {"schema": new}}}
    limit = _get("limit_key", "Change the limits of a virtual key.", _OBJECT, named)
    key_budget = _get("set_key_budget", "Say what a virtual key may spend.", _OBJECT, named)
    owner = [_path_parameter("owner")]
    owner_budget = _get("set_owner_budget", "Say what an owner may spend, with all his keys.", _OBJECT, owner)
    create["responses"]["201"] = create["responses"].pop("200")
    return {
        "/keys": {"get": _listing("list_keys", "All virtual keys, without their secrets."), "post": create},
        "/keys/{key_id}": {
            "get": _get("get_key", "One virtual key.", _OBJECT, named),
            "delete": _get("disable_key", "Refuse a virtual key from now on.", _OBJECT, named),
        },
        "/keys/{key_id}/rotate": {"post": _get("rotate_key", "Give a virtual key a new secret.", _OBJECT, named)},
        "/keys/{key_id}/limits": {"post": _taking(limit, KeyLimits, schemas)},
        "/keys/{key_id}/budget": {"post": _taking(key_budget, NewBudget, schemas)},
        "/owners/{owner}/budget": {
            "get": _get("get_owner_budget", "What an owner may spend, and has spent.", _OBJECT, owner),
            "post": _taking(owner_budget, NewBudget, schemas),
        },
    }


def _taking(described: JSON, kind: type[BaseModel], schemas: JSON) -> JSON:
    """An operation that takes a JSON body."""
    schema = _schema(kind, schemas, _InJSON, kind.__name__)
    described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _spend() -> JSON:
    moment: JSON = {"type": "string", "pattern": f"^({DURATION}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})$"}
    names = "|".join(GROUPS)
    queries = {"group_by": {"type": "string", "pattern": f"^({names})$"}, "since": moment, "until": moment}
    queries |= {"owner": _STRING, "key": _STRING}
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in queries.items()]
    parameters[0]["description"] = "What to sum up by; several names with commas."
    return _get("spend", "What calls have cost.", _LIST, parameters)


def _operation(operation: Operation, schemas: JSON) -> JSON:
    in_path = re.findall(r"{(\w+)}", operation.route)
    described: JSON = {
        "operationId": operation.name,
        "summary": (operation.request.__doc__ or "").strip().partition("\n")[0],
        "parameters": [_path_parameter(name) for name in in_path],
        "responses": {**_answers(operation, schemas), "default": _answer(_ref("Error"), "An error.")},
    }
    if operation.name == "relay_sdp":
        described["requestBody"] = {
            "required": True,
            "content": {**_SDP, "multipart/form-data": {"schema": _sdp_form()}},
        }
    elif operation.method != "POST":
        described["parameters"] += _query_parameters(operation, in_path)
    elif operation.name not in {"hang_up", "cancel_response"}:
        described["requestBody"] = {"required": True, "content": _bodies(operation, in_path, schemas)}
    return described


def _answers(operation: Operation, schemas: JSON) -> JSON:
    kind = operation.result
    if operation.name == "relay_sdp":
        return {"201": {"description": "The SDP answer; Location names the call.", "content": _SDP}}
    if kind is Download:
        binary: JSON = {"schema": {"type": "string", "format": "binary"}}
        types = dict.fromkeys(("video/mp4", "image/webp", "image/jpeg"), binary)
        empty: JSON = {"description": "Not changed since the ETag in If-None-Match."}
        return {
            "200": {"description": "The bytes.", "content": types},
            "206": {"description": "A range of the bytes.", "content": types},
            "304": empty,
        }
    if isinstance(kind, type) and issubclass(kind, Document):
        answer = _answer(_OBJECT, "The document, as the provider gave it.")
        if "stream" in operation.request.model_fields:
            answer["content"]["text/event-stream"] = {"schema": _STRING}
        return {"200": answer}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {"200": _answer(_schema(kind, schemas, _InJSON, kind.__name__), "Done.")}
    return {"200": _answer(_OBJECT, "Done.")}


def _bodies(operation: Operation, in_path: list[str], schemas: JSON) -> JSON:
    name = operation.request.__name__
    form = _without(_schema(operation.request, schemas, _InForms, f"{name}Form"), in_path, schemas)
    if operation.name == "create_character":
        return {"multipart/form-data": {"schema": form}}
    bodies: JSON = {
        "application/json": {"schema": _without(_schema(operation.request, schemas, _InJSON, name), in_path, schemas)}
    }
    if operation.route.startswith("/videos"):
        bodies["multipart/form-data"] = {"schema": form}
    return bodies


def _schema(kind: type[BaseModel], schemas: JSON, generator: type[GenerateJsonSchema], name: str) -> JSON:
    """A model's schema, kept under `name`; the models inside it beside it."""
    document = kind.model_json_schema(ref_template=_REF, schema_generator=generator)
    schemas.update(document.pop("$defs", {}))
    schemas[name] = document
    return _ref(name)


def _without(reference: JSON, in_path: list[str], schemas: JSON) -> JSON:
    """A body's schema without what stands in the path."""
    schema = schemas[reference["$ref"].rpartition("/")[2]]
    for name in in_path:
        schema["properties"].pop(name, None)
        schema["required"] = [field for field in schema.get("required", []) if field != name]
    return reference


def _query_parameters(operation: Operation, in_path: list[str]) -> list[JSON]:
    fields = operation.request.model_json_schema(ref_template=_REF, schema_generator=_InJSON)["properties"]
    hidden = {*in_path, "range", "if_range"}
    if operation.name != "list_videos":  # everything else that is looked at has an id, which knows its account
        hidden.add("model")
    found = [
        {"name": name, "in": "query", "schema": _not_null(field)}
        for name, field in fields.items()
        if name not in hidden
    ]
    if operation.name == "download_video":
        found += [{"name": name, "in": "header", "schema": _STRING} for name in ("Range", "If-Range", "If-None-Match")]
    return found


def _not_null(schema: JSON) -> JSON:
    """A query can't hold null: what may be None may be left out."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return options[0] if len(options) == 1 else schema


def _path_parameter(name: str) -> JSON:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _events() -> JSON:
    answer: JSON = {
        "description": "A video object at each change.",
        "content": {"text/event-stream": {"schema": _STRING}},
    }
    return {
        "operationId": "follow_video",
        "summary": "Follow a job's progress as server-sent events.",
        "parameters": [_path_parameter("video_id")],
        "responses": {"200": answer, "default": _answer(_ref("Error"), "An error.")},
    }


def _listing(name: str, summary: str) -> JSON:
    return _get(name, summary, _LIST)


def _get(name: str, summary: str, schema: JSON, parameters: list[JSON] | None = None) -> JSON:
    responses = {"200": _answer(schema, "Done."), "default": _answer(_ref("Error"), "An error.")}
    return {"operationId": name, "summary": summary, "parameters": parameters or [], "responses": responses}


def _answer(schema: JSON, description: str) -> JSON:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> JSON:
    return {"$ref": _REF.format(model=name)}


def _sdp_form() -> JSON:
    return {
        "type": "object",
        "required": ["sdp"],
        "properties": {"sdp": {"type": "string"}, "session": {"type": "object"}},
    }
