"""The Responses API: thin models over the raw document, so that `phase`, new item kinds and unknown fields survive."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from attrs import define

from callsheet.models.base import IdKind, OperationRequest
from callsheet.models.document import Document

__all__ = [
    "CancelResponse",
    "CreateResponse",
    "DeleteResponse",
    "DeletedResponse",
    "GetResponse",
    "InputItemList",
    "ListInputItems",
    "Response",
]

JSON = dict[str, Any]


class CreateResponse(OperationRequest):
    """Ask a model for a response. Values inside are passed on as they are; nothing is required but what the model wants."""

    managed: ClassVar[dict[str, IdKind]] = {"previous_response_id": "resp"}
    input: str | list[Any] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | JSON | None = None
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: JSON | None = None
    include: list[str] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: JSON | None = None
    tools: list[Any] | None = None
    tool_choice: str | JSON | None = None
    reasoning: JSON | None = None
    service_tier: str | None = None
    metadata: JSON | None = None
    prompt: JSON | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JSON | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    access_programs: Any = None
    image: Any = None
    moderation: JSON | None = None
    context_management: list[Any] | None = None
    truncation: str | None = None
    user: str | None = None


class _OneResponse(OperationRequest):
    managed: ClassVar[dict[str, IdKind]] = {"response_id": "resp"}
    response_id: str


class GetResponse(_OneResponse):
    """Fetch a stored response, or follow its stream from an event on."""

    include: list[str] | None = None
    stream: bool | None = None
    starting_after: int | None = None


class DeleteResponse(_OneResponse):
    """Delete a stored response."""


class CancelResponse(_OneResponse):
    """Cancel a response that runs in the background."""


class ListInputItems(_OneResponse):
    """List what a stored response was asked."""

    limit: int | None = None
    order: Literal["asc", "desc"] | None = None
    after: str | None = None
    include: list[str] | None = None


@define(slots=False)
class Response(Document):
    """A response. `output_text` joins the texts of its messages, whatever their phase."""

    @property
    def status(self) -> str | None:
        """completed, failed, in_progress, cancelled, queued or incomplete."""
        return self.raw.get("status")

    @property
    def output(self) -> list[JSON]:
        """The output items as they came: send them back unchanged in the next turn, `phase` included."""
        return self.raw.get("output") or []

    @property
    def error(self) -> JSON | None:
        return self.raw.get("error")

    @property
    def incomplete_details(self) -> JSON | None:
        return self.raw.get("incomplete_details")

    @property
    def previous_response_id(self) -> str | None:
        return self.raw.get("previous_response_id")

    @property
    def output_text(self) -> str:
        contents = [part for item in self.output if item.get("type") == "message" for part in item.get("content") or []]
        return "".join(part.get("text", "") for part in contents if part.get("type") == "output_text")


class DeletedResponse(Document):
    """The receipt for a deleted response."""


class InputItemList(Document):
    """A page of input items."""

    managed: ClassVar[dict[str, IdKind]] = {}

    @property
    def data(self) -> list[JSON]:
        return self.raw.get("data") or []

    @property
    def has_more(self) -> bool:
        return bool(self.raw.get("has_more"))
