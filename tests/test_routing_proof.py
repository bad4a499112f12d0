"""What groups of deployments are for, over real connections to real servers on loopback: one that is dead is not noticed,
what lives somewhere is found there, and an upstream that is down is not asked much more often than it is called.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from attrs import define
from core.tests.offers import OFFER
from tests.faults.connections import BlackHole, Refused

from callsheet import APIError, AsyncClient, Client
from callsheet.routing.policy import STRATEGIES
from callsheet.testing import FakeUpstream, Fault
from callsheet_gateway import make_app
from callsheet_gateway.state import State

TALK: Any = [{"role": "user", "content": "hi"}]
MINTS = int(os.environ.get("CALLSHEET_MINTS", "300"))
"""How many ephemeral keys are minted and used: 10,000 prove it, 1,000 are for every day."""


@define(eq=False)
class Upstream:
    """A fake vendor account with a key that no other one knows, and the server that it is at."""

    name: str
    fake: FakeUpstream
    url: str

    @property
    def key(self) -> str:
        return next(iter(self.fake.keys))

    def account(self, **settings: Any) -> dict[str, Any]:
        return {"provider": "openai", "id": self.name, "api_key": self.key, "base_url": self.url, **settings}

    def shown(self) -> set[str]:
        """All credentials that reached it."""
        return {seen.headers.get("authorization", "").removeprefix("Bearer ") for seen in self.fake.seen}


@contextmanager
def upstreams(*names: str) -> Iterator[list[Upstream]]:
    """So many accounts. What reached them must have been right in form, and no other account's."""
    with ExitStack() as stack:
        made = []
        for name in names:
            fake = FakeUpstream(keys={f"sk-only-of-{name}"}, seed=name)
            made.append(Upstream(name, fake, stack.enter_context(fake.serve())))
        yield made
    for one in made:
        keys = {other.key for other in made if other is not one}
        assert not keys & one.shown(), f"{one.name} was shown another account's key"
        assert [problem for problem in one.fake.problems if "key" in problem.message.lower()] == []


def group(*accounts: dict[str, Any], **routing: Any) -> dict[str, Any]:
    """A configuration in which `m` stands for one deployment at each account."""
    names = [f"{account['id']}/m" for account in accounts]
    return {"accounts": list(accounts), "models": {"m": names}, "routing": routing}


def chat(client: Any) -> Any:
    return client.chat_completions(model="m", messages=TALK)


def film(client: Any) -> Any:
    return client.generate_video(model="m", prompt="a cat")


def failures(call: Callable[[], Any], calls: int, at_once: int) -> list[APIError]:
    """Call so often, from so many threads, and give what went wrong."""

    def one(_: int) -> APIError | None:
        try:
            call()
        except APIError as error:
            return error
        return None

    with ThreadPoolExecutor(at_once) as threads:
        return [error for error in threads.map(one, range(calls)) if error is not None]


@pytest.fixture(scope="module")
def two() -> Iterator[list[Upstream]]:
    with upstreams("dead", "alive") as both:
        yield both


@contextmanager
def dead(kind: str, upstream: Upstream) -> Iterator[str]:
    """Where a deployment is that is dead in this way."""
    if kind in {"refused", "black hole"}:
        place = Refused() if kind == "refused" else BlackHole()
        assert place.proof()
        try:
            yield place.url
        finally:
            place.close()
        return
    fault = Fault.status(int(kind))
    upstream.fake._faults.clear()
    upstream.fake.fail(None, fault, None)
    yield upstream.url
    assert fault.happened


DEAD = ["refused", "black hole", "500", "401", "429"]
FAILS = 2
"""Failures in a row after which a deployment is left alone: `allowed_fails`."""


def allowed(kind: str, call: Callable[[Any], Any], at_once: int, before: int) -> int:
    """How many of the calls may fail. With 8 at once 7 more are under way when the second failure is known.

    A job that may have begun is not begun elsewhere. Everything else is done elsewhere as far as the retry budget goes: a
    fifth of the calls so far, and 3.
    """
    hit = FAILS + at_once - 1
    if kind == "500" and call is film:
        return FAILS if at_once == 1 else hit
    return max(0, hit - int(3 + 0.2 * (before + at_once)))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", DEAD)
def test_one_of_two_is_dead(two: list[Upstream], kind: str, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning: nothing is known of it yet."""
    broken, well = two
    if kind == "black hole":  # nobody has to wait for 10 s
        monkeypatch.setattr("callsheet.transport.CONNECT", 0.2)
    with dead(kind, broken) as url:
        for call in (chat, film):
            for at_once in (1, 8):
                accounts = broken.account(base_url=url, timeout=10), well.account(timeout=10)
                with Client(config=group(*accounts, strategy=strategy, cooldown_seconds=60)) as client:
                    failed = failures(partial(call, client), 100, at_once)
                most = allowed(kind, call, at_once, 0)
                assert len(failed) <= most, (call.__name__, at_once, len(failed), most, failed[0])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["500", "429"])
def test_one_of_two_dies(two: list[Upstream], kind: str, strategy: str) -> None:
    """While there is work for both: no chat is lost, and no film that is safe to begin again."""
    broken, well = two
    for call in (chat, film):
        broken.fake._faults.clear()
        with Client(config=group(broken.account(), well.account(), strategy=strategy, cooldown_seconds=60)) as client:
            assert failures(partial(call, client), 40, 8) == []
            broken.fake.fail(None, Fault.status(int(kind)), None)
            failed = failures(partial(call, client), 60, 8)
        most = allowed(kind, call, 8, 40)
        assert len(failed) <= most <= (2 if (kind, call) != ("500", film) else 9), (call.__name__, failed[:1])


def test_looks_at_jobs_go_home() -> None:
    """8 jobs over 2 accounts, whose own ids for them are the same: 100 looks at once, each at the right account."""
    with upstreams("east", "west") as both:
        for one in both:
            one.fake.state.seed = "the same"
        with Client(config=group(*(one.account() for one in both), strategy="least-busy")) as client:
            made = [client.generate_video(model="m", prompt=f"cat {number}") for number in range(8)]
            while len({video.meta.account for video in made}) < 2:  # chance may have given one of them all
                made[0] = client.generate_video(model="m", prompt="cat 0")
            homes = {video.id: (video.meta.account, video.prompt) for video in made}
            for one in both:
                one.fake.seen.clear()
            with ThreadPoolExecutor(25) as threads:
                looked = list(threads.map(lambda number: client.get_video(video_id=made[number % 8].id), range(100)))
        for number, video in enumerate(looked):
            home, prompt = homes[made[number % 8].id]
            assert (video.meta.account, video.id, video.prompt) == (home, made[number % 8].id, prompt)
        seen = {one.name: len(one.fake.seen) for one in both}
        assert seen == Counter(video.meta.account for video in looked)


def test_ephemeral_keys_go_home_through_the_gateway() -> None:
    """Minted by one of three accounts, used at that one: never shown to another, and never refused."""
    with upstreams("one", "two", "three") as three:
        config = group(*(one.account() for one in three))

        async def one(http: httpx.AsyncClient, come: Counter[tuple[int, int]]) -> None:
            minted = await http.post("/realtime/client_secrets", json={"session": {"type": "realtime", "model": "m"}})
            if minted.status_code != 200:
                come[minted.status_code, 0] += 1
                return
            headers = {"content-type": "application/sdp", "authorization": f"Bearer {minted.json()['value']}"}
            called = await http.post("/realtime/calls", content=OFFER, headers=headers)
            come[200, called.status_code] += 1

        async def all_of_them() -> Counter[tuple[int, int]]:
            come, state = Counter[tuple[int, int]](), State.passing()
            async with (
                AsyncClient(config=config) as client,
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(make_app(client, state=state)),
                    base_url="http://127.0.0.1/v1",
                    timeout=20,
                ) as http,
            ):
                for start in range(0, MINTS, 10):
                    async with anyio.create_task_group() as tasks:
                        for _ in range(start, min(start + 10, MINTS)):
                            tasks.start_soon(one, http, come)
            state.close()
            return come

        assert anyio.run(all_of_them) == {(200, 201): MINTS}
        minted_at = {one.name: set(one.fake.state.secrets) for one in three}
        shown_at = {one.name: {key for key in one.shown() if key.startswith("ek_")} for one in three}
        assert shown_at == minted_at  # each one at its own, and all of them used
        assert sum(map(len, minted_at.values())) == MINTS
        assert all(len(keys) > MINTS / 5 for keys in minted_at.values())


@pytest.mark.parametrize("shape", ["one", "two", "fallback"])
def test_an_upstream_that_is_down_is_asked_little_more_often(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """T6: 1,000 calls that all fail are no more than 1,203 requests, however many places there are to try."""
    monkeypatch.setattr("callsheet.routing.retry.random.uniform", lambda low, high: low)  # no pauses
    names = {"one": ["a"], "two": ["a", "b"], "fallback": ["a", "b", "c"]}[shape]
    with upstreams(*names) as down:
        for one in down:
            one.fake.fail(None, Fault.status(500), None)
        models = {"m": [f"{name}/m" for name in names[:2]], "last": f"{names[-1]}/m"}
        routing = {"fallbacks": {"m": ["last"]}} if shape == "fallback" else {}
        config = {"accounts": [one.account() for one in down], "models": models, "routing": routing}
        with Client(config=config) as client:
            failed = failures(partial(chat, client), 1000, 4)
        assert len(failed) == 1000
        requests = sum(len(one.fake.seen) for one in down)
        assert 1000 < requests <= 1.2 * 1000 + 3


def test_one_client_in_16_threads() -> None:
    """Its books are right in the end: nothing is under way, and no limit was overstepped."""
    with upstreams("east", "west") as both:
        config = group(*(one.account() for one in both), strategy="least-busy")
        config["models"]["m"] = [{"account": one.name, "model": "m", "max_parallel_requests": 8} for one in both]
        with Client(config=config) as client:
            together = threading.Barrier(16)

            def some(number: int) -> list[bool]:
                together.wait()
                read = []
                for turn in range(12):
                    if (number + turn) % 2:
                        read.append(bool(chat(client).id))
                    else:
                        with client.chat_completions(model="m", messages=TALK, stream=True) as stream:
                            read.append(len([*stream]) > 1)
                return read

            with ThreadPoolExecutor(16) as threads:
                assert all(all(read) for read in threads.map(some, range(16)))
            for backend in client.router.models.backends():
                assert backend.in_flight == 0
                assert backend.limiter is not None
                assert backend.limiter.in_flight == 0
        assert sum(len(one.fake.seen) for one in both) == 16 * 12
