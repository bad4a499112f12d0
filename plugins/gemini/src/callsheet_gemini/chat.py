"""Chat completions, at the endpoint with which the Gemini API speaks OpenAI's wire. Documents are not taken apart."""

from __future__ import annotations

from callsheet import (
    IO,
    Body,
    ChatCompletion,
    CreateChatCompletion,
    Provider,
    Request,
    Stream,
    hookimpl,
    open_stream,
    whole,
)
from callsheet_gemini.errors import read_error_in_answer

__all__ = ["OPENAI", "Chat"]

OPENAI = "/openai/"


class Chat(Provider):
    """The operation on /openai/chat/completions."""

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion | Stream:
        """POST /openai/chat/completions."""
        url, document = f"{OPENAI}chat/completions", request.wire()
        if request.stream:
            sent = Request("POST", url, {"accept": "text/event-stream"}, body=Body.json(document))
            return await open_stream(sent, io, "chat", read_error_in_answer)
        return ChatCompletion(whole(await io.post_json(url, document), "choices"))
