"""The provider behind bench/gateway.py: answers that are ready, as fast as a Python program can send them.

Prints its port, and ends when its standard input does. JSON of 4 KB, an event stream of 200 chunks, a sink for uploads
of any size, a source of 500 MB.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, cast

import httptools
import uvloop

if TYPE_CHECKING:
    from bench import _server as canned
else:  # a script finds what lies beside it
    import _server as canned

SOURCE = 500 * 1000 * 1000
BLOCK = bytes(256 * 1024)
CHUNKS = 200
TEXT = canned.PROSE * 9


def _chat() -> dict[str, Any]:
    document = canned.chat()
    document["choices"][0]["message"]["content"] = TEXT
    return document


def _events() -> bytes:
    """200 chunks of a chat completion, each a chunk of HTTP's, too, and the [DONE] after them."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1763726400, "model": "gpt-5.4"}
    texts = [
        canned.compact({**base, "choices": [{"index": 0, "delta": {"content": f"word {n} "}, "finish_reason": None}]})
        for n in range(CHUNKS)
    ]
    frames = [f"data: {text}\n\n".encode() for text in [*texts, "[DONE]"]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames)
    return canned.answer(chunks + b"0\r\n\r\n", "text/event-stream; charset=utf-8", "transfer-encoding: chunked")


def _job() -> bytes:
    return canned.whole(canned.compact({**canned.video(), "status": "completed", "progress": 100}).encode())


CHAT = canned.whole(json.dumps(_chat()).encode())
RESPONSE = canned.whole(canned.compact(canned.whole_response()).encode())
EVENTS = _events()
JOB = _job()
CHARACTER = canned.whole(b'{"id": "char_1", "object": "character", "name": "Luna", "created_at": 1763726400}')
FILM = canned.answer(b"", "video/mp4", f"content-length: {SOURCE}")


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.room.set()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url, self.streams = url, False

    def on_body(self, body: bytes) -> None:
        self.streams = self.streams or b'"stream":true' in body or b'"stream": true' in body

    def on_message_complete(self) -> None:
        if self.url.endswith(b"/chat/completions"):
            self.transport.write(EVENTS if self.streams else CHAT)
        elif self.url.endswith(b"/responses"):
            self.transport.write(RESPONSE)
        elif self.url.endswith(b"/characters"):
            self.transport.write(CHARACTER)
        elif self.url.endswith(b"/content"):
            self.film = asyncio.ensure_future(self.send_film())
        else:
            self.transport.write(JOB)

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    async def send_film(self) -> None:
        self.transport.write(FILM)
        left = SOURCE
        while left and not self.transport.is_closing():
            self.transport.write(BLOCK[: min(left, len(BLOCK))])
            left -= min(left, len(BLOCK))
            await self.room.wait()


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
