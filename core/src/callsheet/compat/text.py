"""LiteLLM's `completion` and `responses`, and their async twins."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from callsheet.compat.calls import Keywords, acall, call
from callsheet.compat.views import AsyncViews, View, Views, plain, view_of
from callsheet.options import ChatFields, ResponseFields

__all__ = ["acompletion", "aresponses", "completion", "responses"]


class ChatKeywords(ChatFields, Keywords, total=False):
    """The API's other fields, and what every function takes."""


class ResponseKeywords(ResponseFields, Keywords, total=False):
    """The API's other fields, and what every function takes."""

    instructions: str | None
    previous_response_id: str | None


@overload
def completion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: Literal[True],
    **keywords: Unpack[ChatKeywords],
) -> Views: ...
@overload
def completion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: Literal[False] | None = None,
    **keywords: Unpack[ChatKeywords],
) -> View: ...
@overload
def completion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: bool | None,
    **keywords: Unpack[ChatKeywords],
) -> View | Views: ...
def completion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: bool | None = None,
    **keywords: Unpack[ChatKeywords],
) -> View | Views:
    """Continue a conversation: `answer.choices[0].message.content`, or with `stream=True` chunks as they come."""
    answer = call("chat_completions", keywords, model=model, messages=plain(messages), stream=stream)
    return Views(answer) if stream else view_of(answer.wire())


@overload
def responses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: Literal[True],
    **keywords: Unpack[ResponseKeywords],
) -> Views: ...
@overload
def responses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: Literal[False] | None = None,
    **keywords: Unpack[ResponseKeywords],
) -> View: ...
@overload
def responses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: bool | None,
    **keywords: Unpack[ResponseKeywords],
) -> View | Views: ...
def responses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: bool | None = None,
    **keywords: Unpack[ResponseKeywords],
) -> View | Views:
    """Ask for a response: `answer.output`, `answer.output_text`, or with `stream=True` its events."""
    answer = call("responses", keywords, model=model, input=plain(input), stream=stream)
    return Views(answer) if stream else view_of(answer.wire())


@overload
async def acompletion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: Literal[True],
    **keywords: Unpack[ChatKeywords],
) -> AsyncViews: ...
@overload
async def acompletion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: Literal[False] | None = None,
    **keywords: Unpack[ChatKeywords],
) -> View: ...
@overload
async def acompletion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: bool | None,
    **keywords: Unpack[ChatKeywords],
) -> View | AsyncViews: ...
async def acompletion(
    model: str | None = None,
    messages: list[Any] | None = None,
    *,
    stream: bool | None = None,
    **keywords: Unpack[ChatKeywords],
) -> View | AsyncViews:
    """`completion`, awaited."""
    answer = await acall("chat_completions", keywords, model=model, messages=plain(messages), stream=stream)
    return AsyncViews(answer) if stream else view_of(answer.wire())


@overload
async def aresponses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: Literal[True],
    **keywords: Unpack[ResponseKeywords],
) -> AsyncViews: ...
@overload
async def aresponses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: Literal[False] | None = None,
    **keywords: Unpack[ResponseKeywords],
) -> View: ...
@overload
async def aresponses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: bool | None,
    **keywords: Unpack[ResponseKeywords],
) -> View | AsyncViews: ...
async def aresponses(
    input: str | list[Any] | None = None,
    model: str | None = None,
    *,
    stream: bool | None = None,
    **keywords: Unpack[ResponseKeywords],
) -> View | AsyncViews:
    """`responses`, awaited."""
    answer = await acall("responses", keywords, model=model, input=plain(input), stream=stream)
    return AsyncViews(answer) if stream else view_of(answer.wire())
