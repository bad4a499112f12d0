"""What a hook call costs over a plain method call: sync and async, with none, one and two wraps. Bar: < 5 us with two.

Interleaved rounds, the best of each; the whole way of a client call (routing, ids, request models) stands beside it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pluggy

from callsheet import IO, AsyncClient, Client, GetVideo, Provider, Registry, Video, hookimpl
from callsheet.account import Account
from callsheet.dispatch import Dispatcher
from callsheet.drive import finish
from callsheet.registry import Call

ROUNDS, CALLS = 15, 4000
BAR = 5.0
VIDEO = Video(id="v", status="completed")


class Plain(Provider):
    embedded = True

    @hookimpl
    async def get_video(self, request: GetVideo, io: IO) -> Video:
        return VIDEO


async def wrap(call: Call, result: Awaitable[Any]) -> Any:
    return await result


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        function()
    return (time.perf_counter() - start) / CALLS * 1e6


async def timed_async(function: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        await function()
    return (time.perf_counter() - start) / CALLS * 1e6


def main() -> int:
    request, io, account = GetVideo(video_id="v"), None, Account.of("plain", Plain.Settings)
    provider = Plain(account.settings)
    dispatchers = [Dispatcher.of(account, Plain, [wrap] * count) for count in range(3)]
    registry = Registry(points=[], wraps=())
    registry.register("plain", Plain)
    client, other = Client("plain/m", registry=registry), AsyncClient("plain/m", registry=registry)
    id = client.get_video(video_id="v", provider="plain").id
    sync: dict[str, Callable[[], object]] = {"plain method": lambda: finish(provider.get_video(request, io))}  # type: ignore[arg-type]  # no io is needed
    async_: dict[str, Callable[[], Awaitable[object]]] = {"plain method": lambda: provider.get_video(request, io)}  # type: ignore[arg-type]
    for count, dispatcher in enumerate(dispatchers):
        name = f"hook, {count} wraps"
        sync[name] = lambda d=dispatcher: finish(d.call("get_video", request, io))  # type: ignore[misc]
        async_[name] = lambda d=dispatcher: d.call("get_video", request, io)  # type: ignore[misc]
    sync["Client.get_video"] = lambda: client.get_video(video_id=id)
    async_["AsyncClient.get_video"] = lambda: other.get_video(video_id=id)

    best = {("sync", name): 1e9 for name in sync} | {("async", name): 1e9 for name in async_}
    for _ in range(ROUNDS):
        for name, function in sync.items():
            best["sync", name] = min(best["sync", name], timed(function))

    async def rounds() -> None:
        for _ in range(ROUNDS):
            for name, function in async_.items():
                best["async", name] = min(best["async", name], await timed_async(function))

    asyncio.run(rounds())
    print(f"Python {sys.version.split()[0]}, pluggy {pluggy.__version__}; microseconds a call, best of {ROUNDS} rounds")
    worst = 0.0
    for (colour, name), cost in best.items():
        floor = best[colour, "plain method"]
        print(f"  {colour:5}  {name:22} {cost:7.2f}   +{cost - floor:.2f}")
        if name == "hook, 2 wraps":
            worst = max(worst, cost - floor)
    print(
        f"bar: a hook call with two wraps < {BAR} us over the plain method: {'met' if worst < BAR else 'MISSED'} ({worst:.2f})"
    )
    return 0 if worst < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
