"""What a call costs beyond its bytes: Callsheet's and OpenAI's official client, each over its own bare transport.

The bare transport is the HTTP client that a library is built on, of the same class and with the same settings: it sends
the same bytes (that is checked) and reads the whole answer. A server in another process answers them all. The four take
turns, in another order each round. What is measured is the processor's time, which others on the machine disturb least;
overhead is the median of a client's time less its bare transport's in the same round.
Bar: in every workload, sync and async, Callsheet's overhead is at most half of the official client's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import openai
from attrs import frozen

import callsheet

BAR = 0.5
STREAM = 10
"""A stream takes the time of about so many other calls: there are so many fewer of them in a round."""
Act = Callable[[Any], Any]
"""One call of a client. What comes of it is a result or a stream, from an async client an awaitable of either."""
Batch = Callable[[], float]
"""Does some calls and returns the microseconds of processor time for one."""

CHAT: list[Any] = [
    {"role": "system", "content": "You write shot lists for short films. Be brief, and name the lens."},
    {"role": "user", "content": "A night tram in the rain, one passenger asleep, the conductor looks up. Two shots."},
]
PROMPT = "A night tram in the rain, one passenger asleep, the conductor looks up. The camera moves along the aisle."
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
RESPONSE: dict[str, Any] = {
    "input": PROMPT,
    "instructions": "You write shot lists for short films.",
    "tools": [{"type": "function", "name": "weather", "strict": True, "parameters": WEATHER}],
    "reasoning": {"effort": "medium"},
    "metadata": {"project": "night-tram", "scene": "12"},
    "store": False,
}
VIDEO: dict[str, Any] = {"prompt": PROMPT, "seconds": "8", "size": "1280x720"}

OURS: dict[str, Act] = {
    "chat": lambda client: client.chat_completions(model="openai/gpt-5.4", messages=CHAT),
    "responses": lambda client: client.responses(model="openai/gpt-5.4", **RESPONSE),
    "stream": lambda client: client.responses(model="openai/gpt-5.4", stream=True, **RESPONSE),
    "video": lambda client: client.generate_video(model="openai/sora-2", **VIDEO),
}
OFFICIAL: dict[str, Act] = {
    "chat": lambda client: client.chat.completions.create(model="gpt-5.4", messages=CHAT),
    "responses": lambda client: client.responses.create(model="gpt-5.4", **RESPONSE),
    "stream": lambda client: client.responses.create(model="gpt-5.4", stream=True, **RESPONSE),
    "video": lambda client: client.videos.create(model="sora-2", **VIDEO),
}
DECODED = "stream, decoded"
"""The stream again, ours with each event's data read, not only its type: the official client always decodes."""


def reader(look: Callable[[Any], object] | None, act: Act) -> Act:
    """The act of a sync client; if it is a stream, `look` at each piece of it."""
    if look is None:
        return act

    def read(client: Any) -> None:
        with act(client) as pieces:
            for piece in pieces:
                look(piece)

    return read


def async_reader(look: Callable[[Any], object] | None, act: Act) -> Act:
    """The same for an async client."""
    if look is None:
        return act

    async def read(client: Any) -> None:
        async with await act(client) as pieces:
            async for piece in pieces:
                look(piece)

    return read


@frozen
class Sent:
    """A request as it came to the server."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def last(cls, address: str) -> Sent:
        head, _, body = httpx.get(f"{address}/last").content.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        pairs = (header.split(": ", 1) for header in lines)
        method, path, _ = line.split(" ")
        return cls(method, path, {name.lower(): value for name, value in pairs}, body)

    def again(self, address: str, stream: bool) -> Act:
        """Send it by a bare HTTP client, and read the whole answer."""
        options: dict[str, Any] = {"url": address + self.path, "headers": self.headers, "content": self.body}

        def read(http: Any) -> None:
            with http.stream(self.method, **options) as answer:
                for piece in answer.iter_raw():
                    len(piece)

        return read if stream else lambda http: http.request(self.method, **options)

    def again_async(self, address: str, stream: bool) -> Act:
        options: dict[str, Any] = {"url": address + self.path, "headers": self.headers, "content": self.body}

        async def read(http: Any) -> None:
            async with http.stream(self.method, **options) as answer:
                async for piece in answer.aiter_raw():
                    len(piece)

        return read if stream else lambda http: http.request(self.method, **options)


class Bench:
    """Every client and every bare transport, each tried once, ready to be timed."""

    def __init__(self, address: str, calls: int, runner: asyncio.Runner) -> None:
        self.address, self.calls, self.runner = address, calls, runner
        self.batches: dict[tuple[str, str], dict[str, Batch]] = {}
        account: dict[str, Any] = {"base_url": f"{address}/v1", "api_key": "sk-bench-0123456789abcdef"}
        ours, ours_async = (kind(provider="openai", **account) for kind in (callsheet.Client, callsheet.AsyncClient))
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)  # as in callsheet.transport
        self.add("sync", "ours", ours, httpx.Client(limits=limits, timeout=600), OURS)
        self.add("async", "ours", ours_async, httpx.AsyncClient(limits=limits, timeout=600), OURS)
        official, official_async = openai.OpenAI(**account), openai.AsyncOpenAI(**account)
        same: dict[str, Any] = {"base_url": official.base_url, "timeout": official.timeout}
        self.add("sync", "official", official, type(official._client)(**same), OFFICIAL)
        self.add("async", "official", official_async, type(official_async._client)(**same), OFFICIAL)

    def add(self, mode: str, who: str, client: Any, http: Any, acts: dict[str, Act]) -> None:
        reading, batch = (reader, self.batch) if mode == "sync" else (async_reader, self.batch_async)
        for name, act in acts.items():
            stream = name == "stream"
            calls = max(1, self.calls // STREAM) if stream else self.calls
            batches = self.batches.setdefault((mode, name), {})
            batches[who] = batch(reading(attrgetter("type") if stream else None, act), client, calls)
            batches[who]()
            sent = Sent.last(self.address)
            again = (sent.again if mode == "sync" else sent.again_async)(self.address, stream)
            batches[f"bare {who}"] = batch(again, http, calls)
            batches[f"bare {who}"]()
            assert Sent.last(self.address) == sent, f"{mode} {name}: the bare transport sends another request"
            if stream and who == "ours":
                batches[DECODED] = batch(reading(attrgetter("type", "data"), act), client, calls)
                batches[DECODED]()

    def batch(self, act: Act, client: Any, calls: int) -> Batch:
        def timed() -> float:
            start = time.process_time()
            for _ in range(calls):
                act(client)
            return (time.process_time() - start) / calls * 1e6

        return timed

    def batch_async(self, act: Callable[[Any], Awaitable[object]], client: Any, calls: int) -> Batch:
        async def timed() -> float:
            start = time.process_time()
            for _ in range(calls):
                await act(client)
            return (time.process_time() - start) / calls * 1e6

        return lambda: self.runner.run(timed())

    def round(self) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
        """Time everything once: what is compared stays together, in any order."""
        for what, batches in random.sample(list(self.batches.items()), len(self.batches)):
            yield what, {who: batches[who]() for who in random.sample(list(batches), len(batches))}


@contextmanager
def server() -> Iterator[str]:
    """Start the canned answers; their address."""
    command = [sys.executable, str(Path(__file__).with_name("_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@frozen
class Cost:
    """Of one client in one workload, in microseconds: over its bare transport, by itself, and what it adds to it."""

    bare: float
    whole: float
    overhead: float
    least: float
    """The overhead as the fastest rounds of both have it."""

    @classmethod
    def of(cls, rounds: list[dict[str, float]], who: str, bare: str) -> Cost:
        floor, whole = [round[bare] for round in rounds], [round[who] for round in rounds]
        added = statistics.median(all - below for all, below in zip(whole, floor, strict=True))
        return cls(statistics.median(floor), statistics.median(whole), added, min(whole) - min(floor))

    def __str__(self) -> str:
        return f"{self.bare:9,.0f} {self.whole:8,.0f} {self.overhead:+8,.0f}"


def measure(rounds: int, calls: int) -> dict[tuple[str, str], list[dict[str, float]]]:
    """The times of each workload's variants, a mapping for each round."""
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    with server() as address, asyncio.Runner() as runner:
        bench = Bench(address, calls, runner)
        gc.collect()
        gc.freeze()  # what both libraries have loaded is nobody's garbage
        start = time.monotonic()
        for number in range(1, rounds + 1):
            for what, times in bench.round():
                taken.setdefault(what, []).append(times)
            spent = time.monotonic() - start
            print(f"\rround {number} of {rounds}, {spent:.0f} s ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60, help="how often everything is timed (60)")
    parser.add_argument("--calls", type=int, default=10, help=f"calls of each in a round (10); streams: 1 in {STREAM}")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("OPENAI_")]:
        del os.environ[name]
    warnings.filterwarnings("ignore", "The Sora API", DeprecationWarning)
    taken = measure(max(2, options.rounds), max(1, options.calls))

    peer = sys.modules.get("httpx2", httpx)
    print(
        f"Python {sys.version.split()[0]}; callsheet {callsheet.__version__} over httpx {httpx.__version__};", end=" "
    )
    print(f"openai {openai.__version__} over {peer.__name__} {peer.__version__}")
    print(
        f"Microseconds a call: medians of the calmer half of {options.rounds} rounds. In brackets: by the fastest rounds."
    )
    print(f"{'':23}{'bare':>9} {'ours':>8} {'overhead':>8}  {'bare':>9} {'official':>8} {'overhead':>8}   ratio")
    worst = 0.0
    for mode, name in product(("sync", "async"), OURS):
        times = taken[mode, name]
        calm = sorted(times, key=lambda round: sum(round.values()))[: (len(times) + 1) // 2]
        official = Cost.of(calm, "official", "bare official")
        for who in ("ours", DECODED) if DECODED in calm[0] else ("ours",):
            ours = Cost.of(calm, who, "bare ours")
            ratio = ours.overhead / official.overhead
            worst = max(worst, ratio)
            row = f"{mode:5}  {name if who == 'ours' else who:16}"
            print(f"{row}{ours}  {official}   {ratio:5.2f}  ({ours.least / official.least:.2f})")
    print(f"bar: overhead at most {BAR} of the official client's: {'met' if worst <= BAR else 'MISSED'} ({worst:.2f})")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
