"""The async client's methods for text: those of `client_text`, awaited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack, cast, overload

from callsheet import models as m
from callsheet.options import CallOptions, ChatOptions, ResponseOptions
from callsheet.stream import Stream

__all__ = ["AsyncTextMethods"]


class AsyncTextMethods:
    """Responses and chat, as `AsyncClient` has them."""

    @overload
    async def responses(
        self,
        *,
        input: str | list[Any] | None = None,
        instructions: str | None = None,
        previous_response_id: str | None = None,
        stream: Literal[True],
        **options: Unpack[ResponseOptions],
    ) -> Stream: ...
    @overload
    async def responses(
        self,
        *,
        input: str | list[Any] | None = None,
        instructions: str | None = None,
        previous_response_id: str | None = None,
        stream: Literal[False] | None = None,
        **options: Unpack[ResponseOptions],
    ) -> m.Response: ...
    @overload
    async def responses(
        self,
        *,
        input: str | list[Any] | None = None,
        instructions: str | None = None,
        previous_response_id: str | None = None,
        stream: bool | None,
        **options: Unpack[ResponseOptions],
    ) -> m.Response | Stream: ...
    async def responses(
        self,
        *,
        input: str | list[Any] | None = None,
        instructions: str | None = None,
        previous_response_id: str | None = None,
        stream: bool | None = None,
        **options: Unpack[ResponseOptions],
    ) -> m.Response | Stream:
        """Ask for a response; with `stream=True` get its events. `options` are the API's other fields."""
        fields = {"input": input, "instructions": instructions, "previous_response_id": previous_response_id}
        return cast("m.Response | Stream", await self._call("responses", options, stream=stream, **fields))

    @overload
    async def get_response(
        self,
        *,
        response_id: str,
        include: list[str] | None = None,
        stream: Literal[True],
        starting_after: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Stream: ...
    @overload
    async def get_response(
        self,
        *,
        response_id: str,
        include: list[str] | None = None,
        stream: Literal[False] | None = None,
        starting_after: int | None = None,
        **options: Unpack[CallOptions],
    ) -> m.Response: ...
    @overload
    async def get_response(
        self,
        *,
        response_id: str,
        include: list[str] | None = None,
        stream: bool | None,
        starting_after: int | None = None,
        **options: Unpack[CallOptions],
    ) -> m.Response | Stream: ...
    async def get_response(
        self,
        *,
        response_id: str,
        include: list[str] | None = None,
        stream: bool | None = None,
        starting_after: int | None = None,
        **options: Unpack[CallOptions],
    ) -> m.Response | Stream:
        """Fetch a stored response, or with `stream=True` follow its events after number `starting_after`."""
        fields = {"response_id": response_id, "include": include, "stream": stream, "starting_after": starting_after}
        return cast("m.Response | Stream", await self._call("get_response", options, **fields))

    async def delete_response(self, *, response_id: str, **options: Unpack[CallOptions]) -> m.DeletedResponse:
        """Delete a stored response."""
        return cast("m.DeletedResponse", await self._call("delete_response", options, response_id=response_id))

    async def cancel_response(self, *, response_id: str, **options: Unpack[CallOptions]) -> m.Response:
        """Cancel a response that runs in the background."""
        return cast("m.Response", await self._call("cancel_response", options, response_id=response_id))

    async def list_input_items(
        self,
        *,
        response_id: str,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        include: list[str] | None = None,
        **options: Unpack[CallOptions],
    ) -> m.InputItemList:
        """List what a stored response was asked."""
        fields = {"response_id": response_id, "limit": limit, "order": order, "after": after, "include": include}
        return cast("m.InputItemList", await self._call("list_input_items", options, **fields))

    @overload
    async def chat_completions(
        self,
        *,
        messages: list[Any],
        stream: Literal[True],
        **options: Unpack[ChatOptions],
    ) -> Stream: ...
    @overload
    async def chat_completions(
        self,
        *,
        messages: list[Any],
        stream: Literal[False] | None = None,
        **options: Unpack[ChatOptions],
    ) -> m.ChatCompletion: ...
    @overload
    async def chat_completions(
        self,
        *,
        messages: list[Any],
        stream: bool | None,
        **options: Unpack[ChatOptions],
    ) -> m.ChatCompletion | Stream: ...
    async def chat_completions(
        self,
        *,
        messages: list[Any],
        stream: bool | None = None,
        **options: Unpack[ChatOptions],
    ) -> m.ChatCompletion | Stream:
        """Continue a conversation; with `stream=True` get its chunks. `options` are the API's other fields."""
        return cast(
            "m.ChatCompletion | Stream", await self._call("chat_completions", options, messages=messages, stream=stream)
        )

    async def _call(self, operation: str, options: Mapping[str, Any], **fields: Any) -> Any:
        raise NotImplementedError  # the client's
