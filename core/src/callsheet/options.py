"""The keywords that client methods share, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

__all__ = ["CallOptions", "ChatFields", "ChatOptions", "ResponseFields", "ResponseOptions"]

JSON = dict[str, Any]


class CallOptions(TypedDict, total=False):
    """What every method takes: where the call goes, and for how long it may last."""

    model: str | None
    """A model name, "provider/model"."""
    provider: str | None
    """A provider's name, or the id of a configured account."""
    target_model_names: Sequence[str] | None
    """Several configured models in the place of one: the best deployment of them all does it."""
    timeout: float | None
    """Seconds for the whole call, retries included; for a stream: until it begins."""
    extra_body: Mapping[str, Any] | None
    """Fields that the provider understands and Callsheet does not know."""


class ResponseFields(TypedDict, total=False):
    """The fields of the Responses API that are passed on as they are (see `callsheet.models.CreateResponse`)."""

    conversation: str | JSON
    background: bool
    store: bool
    stream_options: JSON
    include: list[str]
    max_output_tokens: int
    max_tool_calls: int
    parallel_tool_calls: bool
    temperature: float
    top_p: float
    top_logprobs: int
    text: JSON
    tools: list[Any]
    tool_choice: str | JSON
    reasoning: JSON
    service_tier: str
    metadata: JSON
    prompt: JSON
    prompt_cache_key: str
    prompt_cache_options: JSON
    prompt_cache_retention: str
    safety_identifier: str
    access_programs: Any
    image: Any
    moderation: JSON
    context_management: list[Any]
    truncation: str
    user: str


class ResponseOptions(ResponseFields, CallOptions, total=False):
    """What methods for responses take besides their own arguments."""


class ChatFields(TypedDict, total=False):
    """The fields of chat completions that are passed on as they are (see `callsheet.models.CreateChatCompletion`)."""

    max_completion_tokens: int
    max_tokens: int
    temperature: float
    top_p: float
    frequency_penalty: float
    presence_penalty: float
    n: int
    stop: str | list[str]
    logprobs: bool
    top_logprobs: int
    logit_bias: dict[Any, Any]
    response_format: JSON
    tools: list[Any]
    tool_choice: str | JSON
    parallel_tool_calls: bool
    reasoning_effort: str
    verbosity: str
    modalities: list[str]
    audio: JSON
    stream_options: JSON
    service_tier: str
    store: bool
    metadata: JSON
    prediction: JSON
    web_search_options: JSON
    moderation: JSON
    safety_identifier: str
    prompt_cache_key: str
    prompt_cache_options: JSON
    prompt_cache_retention: str
    functions: list[Any]
    function_call: str | JSON
    data_sources: list[Any]
    user_security_context: JSON
    seed: int
    user: str


class ChatOptions(ChatFields, CallOptions, total=False):
    """What `chat_completions` takes besides its own arguments."""
