"""A JSON answer that is kept as it came: typed reads on top, nothing parsed away underneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from attrs import Factory, define, field

from callsheet.errors import APIResponseValidationError
from callsheet.models.base import IdKind, Meta

__all__ = ["Document"]


@define(slots=False, on_setattr=None)  # to look at each assignment takes longer than to make one
class Document:
    """The raw document and reads of its top level. What is not understood survives: fields, kinds, order, big integers."""

    raw: dict[str, Any] = field(repr=False)
    meta: Meta = field(default=Factory(Meta), repr=False, eq=False)
    managed: ClassVar[Mapping[str, IdKind]] = {"id": "resp", "previous_response_id": "resp"}

    @raw.validator
    def _is_an_object(self, _attribute: object, value: object) -> None:
        if not isinstance(value, dict):
            raise APIResponseValidationError(f"an answer that is a JSON object is wanted, not {type(value).__name__}")

    @property
    def id(self) -> str | None:
        return self.raw.get("id")

    @property
    def object(self) -> str | None:
        return self.raw.get("object")

    @property
    def model(self) -> str | None:
        return self.raw.get("model")

    @property
    def usage(self) -> dict[str, Any] | None:
        return self.raw.get("usage")

    def wire(self) -> dict[str, Any]:
        """The document as it came."""
        return self.raw

    def __getitem__(self, name: str) -> Any:
        return self.raw[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def get(self, name: str, default: Any = None) -> Any:
        return self.raw.get(name, default)
