"""Answers as JSON, where a format asks for it: the schema's form, filled with the answer, the facts and the question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from callsheet_local.scribe.budget import Exhausted
from callsheet_local.scribe.checks import check_size, refuse
from callsheet_local.scribe.facts import Facts
from callsheet_local.scribe.filling import fill
from callsheet_local.scribe.machine import question_of, reply
from callsheet_local.scribe.pool import Pool
from callsheet_local.scribe.talk import Turn

__all__ = ["Form"]

_ANSWERS = ("answer", "final answer", "result", "response", "reply", "text", "message", "content", "output", "summary")


@frozen
class Form:
    """What an answer's text must be: JSON of any shape, or JSON that fits a schema."""

    schema: Mapping[str, Any] | None
    param: str

    @classmethod
    def of(cls, form: object, param: str, inner: str | None) -> Form | None:
        """Read a format; None for plain text. `inner` names where chat keeps the schema: inside `json_schema`."""
        if form is None:
            return None
        kind = form.get("type") if isinstance(form, Mapping) else None
        if kind == "text":
            return None
        if kind == "json_object":
            return cls(None, param)
        if kind != "json_schema" or not isinstance(form, Mapping):
            raise refuse(f"{param}.type is {kind!r:.60}; it can be text, json_object or json_schema", f"{param}.type")
        check_size(form, param)
        where = f"{param}.{inner}" if inner else param
        holder = form.get(inner) if inner else form
        if not isinstance(holder, Mapping) or not isinstance(holder.get("name"), str):
            raise refuse(f"{where}.name is missing", f"{where}.name", "missing_required_parameter")
        if not isinstance(holder.get("schema"), Mapping):
            raise refuse(f"{where}.schema must be a JSON schema (an object)", f"{where}.schema")
        return cls(holder["schema"], f"{where}.schema")

    def filled(self, turns: Sequence[Turn], answer: str) -> str:
        """The JSON text for an answer. BadRequestError if no value is found that fits the schema."""
        if self.schema is None:
            return json.dumps({"answer": answer}, ensure_ascii=False)
        short = reply([Turn("system", "Be brief."), *turns]).answer
        known = {key.removeprefix("my "): fact.value for key, fact in Facts.of(turns).items()}
        known = dict.fromkeys(_ANSWERS, answer) | known
        pool = Pool(question_of(turns), known, Pool(short).numbers)
        try:
            return json.dumps(fill(self.schema, pool), ensure_ascii=False)
        except (Exhausted, RecursionError) as error:
            raise refuse(
                f"no answer was found that fits the schema ({error}); make it simpler: see the README for what is read",
                self.param,
                "invalid_json_schema",
            ) from None
