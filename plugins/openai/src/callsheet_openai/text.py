"""Responses and chat completions: requests as they were made, answers as they came.

Wire: OpenAI's API reference of responses and chat. Documents are not taken apart: fields, item kinds and event types that
nobody here has heard of survive both ways.
"""

from __future__ import annotations

from callsheet import (
    IO,
    APIError,
    Body,
    CancelResponse,
    ChatCompletion,
    CreateChatCompletion,
    CreateResponse,
    DeletedResponse,
    DeleteResponse,
    GetResponse,
    InputItemList,
    ListInputItems,
    OperationRequest,
    Provider,
    Request,
    Response,
    Stream,
    error_in_answer,
    hookimpl,
    open_stream,
    path_segment,
    whole,
)
from callsheet.event_stream import Kind
from callsheet_openai.documents import receipt, several
from callsheet_openai.settings import OpenAISettings

__all__ = ["Text"]

EVENTS = {"accept": "text/event-stream"}


class Text(Provider):
    """The operations on /responses, and /chat/completions."""

    @hookimpl
    async def responses(self, request: CreateResponse, io: IO) -> Response | Stream:
        """POST /responses."""
        url = self.responses_url("")
        if request.stream:
            return await self._stream(url, request, io, "responses")
        return Response(whole(await io.post_json(url, request.wire()), "id", "output"))

    @hookimpl
    async def get_response(self, request: GetResponse, io: IO) -> Response | Stream:
        """GET /responses/{id}; with `stream` its events, from the one after `starting_after` on."""
        url = self.responses_url(f"/{path_segment(request.response_id)}")
        query = several("include", request.include)
        if not request.stream:
            return Response(whole(await io.get(url, **query), "id", "output"))
        query |= {"stream": True, "starting_after": request.starting_after}
        return await open_stream(Request("GET", url, EVENTS, query), io, "responses", self.error_in_answer)

    @hookimpl
    async def delete_response(self, request: DeleteResponse, io: IO) -> DeletedResponse:
        """DELETE /responses/{id}."""
        url = self.responses_url(f"/{path_segment(request.response_id)}")
        reply = await io.send(Request("DELETE", url))
        return DeletedResponse(receipt(reply, request.response_id, "response.deleted"))

    @hookimpl
    async def cancel_response(self, request: CancelResponse, io: IO) -> Response:
        """POST /responses/{id}/cancel."""
        url = self.responses_url(f"/{path_segment(request.response_id)}/cancel")
        return Response(whole(await io.send(Request("POST", url)), "id", "output"))

    @hookimpl
    async def list_input_items(self, request: ListInputItems, io: IO) -> InputItemList:
        """GET /responses/{id}/input_items."""
        url = self.responses_url(f"/{path_segment(request.response_id)}/input_items")
        query = {"limit": request.limit, "order": request.order, "after": request.after}
        return InputItemList(whole(await io.get(url, **query, **several("include", request.include)), "data"))

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        """POST /chat/completions."""
        url = self.chat_url(request)
        if request.stream:
            return await self._stream(url, request, io, "chat")
        return ChatCompletion(whole(await io.post_json(url, request.wire()), "choices"))

    settings: OpenAISettings

    @property
    def stream_usage(self) -> bool:
        """Whether the server takes `stream_options.include_usage`."""
        return self.settings.tells_usage

    def responses_url(self, rest: str) -> str:
        """Where responses are, and what is below them."""
        return f"/responses{rest}"

    def chat_url(self, request: CreateChatCompletion) -> str:  # noqa: ARG002  for those who have the model in it
        """Where a chat is continued."""
        return "/chat/completions"

    def error_in_answer(self, said: object, body: object) -> APIError:
        """The exception for an error that came among the events of an answer."""
        return error_in_answer(said, body)

    async def _stream(self, url: str, request: OperationRequest, io: IO, kind: Kind) -> Stream:
        sent = Request("POST", url, EVENTS, body=Body.json(request.wire()))
        return await open_stream(sent, io, kind, self.error_in_answer)
