"""What it costs to pick one of 10, 100 and 1,000 deployments, by each strategy. Bars: < 10, < 20, < 60 us.

A pick is a call's way through the routing: the name is looked up, the route is made, its limits are looked at, and the call
begins at a deployment. Interleaved rounds, the median of all picks; once with all deployments well, and once with half of
them ejected, some paused, and each with limits of requests, tokens and calls at once.
"""

from __future__ import annotations

import statistics
import sys
import time

from callsheet import IO, CreateChatCompletion, Registry
from callsheet.account import Account
from callsheet.ids import IdCodec
from callsheet.models import ChatCompletion
from callsheet.operations import OPERATIONS
from callsheet.routing import Accounts, Deployment, Models, Routing
from callsheet.routing.directory import Directory
from callsheet.routing.policy import STRATEGIES, Strategy
from callsheet.spec import Provider, hookimpl

BARS = {10: 10.0, 100: 20.0, 1000: 60.0}
ROUNDS, PICKS = 9, 400
ANSWER = ChatCompletion({"object": "chat.completion", "choices": []})
REQUEST = CreateChatCompletion(messages=[], model="m")


class Plain(Provider):
    embedded = True

    @hookimpl
    async def chat_completions(self, request: CreateChatCompletion, io: IO) -> ChatCompletion:
        return ANSWER


def directory(count: int, strategy: Strategy, troubled: bool) -> Directory:
    registry = Registry(points=[], wraps=())
    registry.register("plain", Plain)
    accounts = Accounts(registry, configured_only=True)
    most = 10**9 if troubled else None
    deployments = [
        Deployment(
            accounts.add_account(Account("plain", Plain.Settings(), f"account-{number}")),
            "m",
            weight=1.0 + number % 3,
            order=number % 10,
            rpm=most,
            tpm=most,
            max_parallel_requests=most,
        )
        for number in range(count)
    ]
    models = Models(Routing(strategy=strategy))
    models.set("m", deployments)
    for number, backend in enumerate(models.backends()):
        backend.measure(0.1 + number % 7, time.monotonic())
        if troubled and number // 3 % 2:
            backend.health.ejected_until = time.monotonic() + 3600
        elif troubled and number % 11 == 0:
            backend.health.pause(time.monotonic() + 3600)
    return Directory(accounts, IdCodec(), models=models)


def picks(one: Directory) -> list[float]:
    taken, operation, clock = [], OPERATIONS["chat_completions"], time.perf_counter
    for _ in range(PICKS):
        began = clock()
        place = one.route(operation, REQUEST, None, None, None).first()
        taken.append((clock() - began) * 1e6)
        assert place.lease is not None
        place.lease.release()
    return taken


def main() -> int:
    made = {
        (strategy, count, troubled): directory(count, strategy, troubled)
        for strategy in STRATEGIES
        for count in BARS
        for troubled in (False, True)
    }
    taken: dict[tuple[str, int, bool], list[float]] = {key: [] for key in made}
    for _ in range(ROUNDS):
        for key, one in made.items():
            taken[key] += picks(one)
    print(f"{'strategy':16}{'':10}" + "".join(f"{count:>10,}" for count in BARS) + "   us, median of a pick")
    worst = 0.0
    for strategy in STRATEGIES:
        for troubled, words in ((False, "all well"), (True, "troubled")):
            medians = {count: statistics.median(taken[strategy, count, troubled]) for count in BARS}
            worst = max(worst, *(medians[count] / BARS[count] for count in BARS))
            print(f"{strategy:16}{words:10}" + "".join(f"{medians[count]:10.1f}" for count in BARS))
    print(f"{'bar':26}" + "".join(f"{bar:10.0f}" for bar in BARS.values()))
    print(f"the worst is {worst:.2f} of its bar: {'held' if worst < 1 else 'MISSED'}")
    return 0 if worst < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
