"""The load of bench/gateway.py, in a process of its own: callbacks on sockets and nothing else.

    python bench/_gateway_load.py PORT chat|responses|stream CONNECTIONS SECONDS

Prints one JSON line: how many answers were whole, how many seconds it took, percentiles in seconds, how many were wrong.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from typing import Any, cast

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
CHAT: dict[str, Any] = {
    "model": "bench",
    "messages": [
        {"role": "system", "content": "You write shot lists for short films. Be brief, and name the lens."},
        {
            "role": "user",
            "content": "A night tram in the rain, one passenger asleep, the conductor looks up. Two shots.",
        },
    ],
}
ASKED = {
    "chat": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", {"model": "bench", "input": CHAT["messages"][1]["content"], "store": False}),
    "stream": ("/v1/chat/completions", {**CHAT, "stream": True}),
}


def request(kind: str) -> bytes:
    path, document = ASKED[kind]
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-bench-5f1c2d7e9a0b4c3d8e6f7a1b2c3d4e5f\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Load:
    def __init__(self, kind: str, until: float) -> None:
        self.asked, self.until = request(kind), until
        self.took: list[float] = []
        self.wrong = 0
        self.example = b""


class Caller(asyncio.Protocol):
    """Asks, and when the answer is whole asks again, until the time is over."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        self.got, self.size, self.chunked = b"", 0, False
        self.begun = time.perf_counter()
        self.transport.write(self.load.asked)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.size:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self.got, 0, end + 2)
            self.chunked = length is None
            self.size = end + 4 + (int(length[1]) if length else 0)
        if self.got.endswith(b"0\r\n\r\n") if self.chunked else len(self.got) >= self.size:
            self.answered()

    def answered(self) -> None:
        now = time.perf_counter()
        self.load.took.append(now - self.begun)
        if not self.got.startswith(b"HTTP/1.1 200"):
            self.load.wrong += 1
            self.load.example = self.got[:500]
        if now < self.load.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def main(port: int, kind: str, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    load = Load(kind, begun + seconds)
    callers = [(await loop.create_connection(lambda: Caller(load), "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.wait([caller.over for caller in callers])
    took = sorted(load.took)
    print(
        json.dumps(
            {
                "count": len(took),
                "seconds": time.perf_counter() - begun,
                "p50": statistics.median(took),
                "p99": took[min(len(took) - 1, int(len(took) * 0.99))],
                "wrong": load.wrong,
                "example": load.example.decode("latin-1"),
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
