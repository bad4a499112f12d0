"""Chat completions: a thin model over the raw document."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import define

from callsheet.models.base import IdKind, OperationRequest
from callsheet.models.document import Document

__all__ = ["ChatCompletion", "CreateChatCompletion"]

JSON = dict[str, Any]


class CreateChatCompletion(OperationRequest):
    """Ask a model to continue a conversation."""

    messages: list[Any]
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[Any, Any] | None = None
    response_format: JSON | None = None
    tools: list[Any] | None = None
    tool_choice: str | JSON | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: JSON | None = None
    stream: bool | None = None
    stream_options: JSON | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: JSON | None = None
    prediction: JSON | None = None
    web_search_options: JSON | None = None
    moderation: JSON | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JSON | None = None
    prompt_cache_retention: str | None = None
    functions: list[Any] | None = None
    function_call: str | JSON | None = None
    data_sources: list[Any] | None = None
    user_security_context: JSON | None = None
    seed: int | None = None
    user: str | None = None


@define(slots=False)
class ChatCompletion(Document):
    """A chat completion. `text` is the first choice's content."""

    managed: ClassVar[dict[str, IdKind]] = {}

    @property
    def choices(self) -> list[JSON]:
        return self.raw.get("choices") or []

    @property
    def text(self) -> str | None:
        return (self.choices[0].get("message") or {}).get("content") if self.choices else None
