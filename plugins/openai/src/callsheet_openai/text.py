"""Responses and chat completions: requests as they were made, answers as they came.

Wire: OpenAI's API reference of responses and chat. Documents are not taken apart: fields, item kinds and event types that
nobody here has heard of survive both ways.
"""

from __future__ import annotations

from typing import Any

from callsheet import (
    IO,
    APIResponseValidationError,
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
    Reply,
    Request,
    Response,
    Stream,
    hookimpl,
    path_segment,
)
from callsheet_openai.documents import receipt, several
from callsheet_openai.streams import Kind, error_in_answer, open_stream

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
        return Response(_whole(await io.post_json(url, request.wire()), "id", "output"))

    @hookimpl
    async def get_response(self, request: GetResponse, io: IO) -> Response | Stream:
        """GET /responses/{id}; with `stream` its events, from the one after `starting_after` on."""
        url = self.responses_url(f"/{path_segment(request.response_id)}")
        query = several("include", request.include)
        if not request.stream:
            return Response(_whole(await io.get(url, **query), "id", "output"))
        query |= {"stream": True, "starting_after": request.starting_after}
        return await open_stream(Request("GET", url, EVENTS, query), io, "responses")

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
        return Response(_whole(await io.send(Request("POST", url)), "id", "output"))

    @hookimpl
    async def list_input_items(self, request: ListInputItems, io: IO) -> InputItemList:
        """GET /responses/{id}/input_items."""
        url = self.responses_url(f"/{path_segment(request.response_id)}/input_items")
        query = {"limit": request.limit, "order": request.order, "after": request.after}
        return InputItemList(_whole(await io.get(url, **query, **several("include", request.include)), "data"))

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        """POST /chat/completions."""
        url = self.chat_url(request)
        if request.stream:
            return await self._stream(url, request, io, "chat")
        return ChatCompletion(_whole(await io.post_json(url, request.wire()), "choices"))

    def responses_url(self, rest: str) -> str:
        """Where responses are, and what is below them."""
        return f"/responses{rest}"

    def chat_url(self, request: CreateChatCompletion) -> str:  # noqa: ARG002  for those who have the model in it
        """Where a chat is continued."""
        return "/chat/completions"

    async def _stream(self, url: str, request: OperationRequest, io: IO, kind: Kind) -> Stream:
        return await open_stream(Request("POST", url, EVENTS, body=Body.json(request.wire())), io, kind)


def _whole(reply: Reply, *one_of: str) -> dict[str, Any]:
    """The document of an answer, which has at least one of these fields. Some servers put an error there, with status 200."""
    document = reply.document()
    if any(name in document for name in one_of):
        return document
    if isinstance(error := document.get("error"), dict):
        raise error_in_answer(error, document)
    raise APIResponseValidationError(
        f"the provider answered {reply.status} with a document that has no {' and no '.join(one_of)}",
        request_id=reply.request_id,
    )
