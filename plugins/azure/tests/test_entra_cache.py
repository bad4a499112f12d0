"""How long a token is kept, who asks for the next one, and what is said when there is none."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from attrs import evolve
from azure.core.credentials import AccessToken
from core.tests.conftest import Mode
from plugins.azure.tests.conftest import ROOT, azure_client, jwt, registry, sync_client

from callsheet import IO, APITimeoutError, AsyncClient, AuthenticationError, MissingCredentials
from callsheet_azure.wire import AzureWire

HELLO = [{"role": "user", "content": "Hello"}]
START = 1_780_000_000.0


class Clock:
    """What `io.now` says."""

    def __init__(self) -> None:
        self.now = START


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(IO, "now", lambda _io: made.now)
    return made


class Source:
    """Tokens that last an hour, one after the other; it fails while `broken`."""

    def __init__(self, fake: AzureWire, clock: Clock, lasts: float = 3600) -> None:
        self.fake, self.clock, self.lasts = fake, clock, lasts
        self.given: list[str] = []
        self.asked, self.broken = 0, False

    def __call__(self) -> str:
        self.asked += 1
        if self.broken:
            raise OSError("the directory is down")
        self.given.append(self.fake.admit(jwt(self.clock.now + self.lasts, f"token-{self.asked}")))
        return self.given[-1]


async def ask(client: Any) -> None:
    await client.chat_completions(model="gpt", messages=HELLO)


def sent(fake: AzureWire) -> list[str]:
    return [seen.headers["authorization"].removeprefix("Bearer ") for seen in fake.seen]


async def test_one_question_for_fifty_calls(mode: Mode, fake: AzureWire, clock: Clock) -> None:
    source = Source(fake, clock)
    client = azure_client(mode, fake, None, token_provider=source)
    for _ in range(50):
        await ask(client)
    assert source.asked == 1
    assert sent(fake) == source.given * 50


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_question_for_fifty_tasks(backend: str, kind: str, fake: AzureWire) -> None:
    token, asked = fake.admit(jwt()), []

    def slow() -> str:
        asked.append(1)
        time.sleep(0.05)
        return token

    async def slow_too() -> str:
        asked.append(1)
        await anyio.sleep(0.05)
        return token

    async def main() -> None:
        settings = {"token_provider": slow if kind == "sync" else slow_too}
        async with AsyncClient(
            provider="azure", base_url=ROOT, settings=settings, registry=registry(), transport=fake.async_transport()
        ) as client:
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(ask, client)

    anyio.run(main, backend=backend)
    assert asked == [1]
    assert sent(fake) == [token] * 50


def test_one_question_for_twenty_threads(fake: AzureWire) -> None:
    token, asked = fake.admit(jwt()), []

    def slow() -> str:
        asked.append(threading.get_ident())
        time.sleep(0.05)
        return token

    with sync_client(fake, None, token_provider=slow) as client, ThreadPoolExecutor(20) as pool:
        start = threading.Barrier(20)

        def one(_: int) -> None:
            start.wait(5)
            client.chat_completions(model="gpt", messages=HELLO)

        list(pool.map(one, range(20)))
    assert len(asked) == 1
    assert len(fake.seen) == 20


def test_one_default_credential_for_twenty_tasks(fake: AzureWire, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Credential:
        def __init__(self) -> None:
            made.append(self)
            time.sleep(0.02)

        def get_token(self, *scopes: str) -> AccessToken:
            return AccessToken(fake.admit(jwt()), int(time.time()) + 3600)

        def close(self) -> None:
            made.append("closed")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)

    async def main() -> None:
        async with AsyncClient(
            provider="azure",
            base_url=ROOT,
            settings={"entra": True},
            registry=registry(),
            transport=fake.async_transport(),
        ) as client:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask, client)

    anyio.run(main)
    assert (len(made), made[1]) == (2, "closed")


async def test_a_token_is_renewed_five_minutes_before_its_end(mode: Mode, fake: AzureWire, clock: Clock) -> None:
    source = Source(fake, clock)
    client = azure_client(mode, fake, None, token_provider=source)
    for passed in (0, 1800, 3299):
        clock.now = START + passed
        await ask(client)
    assert source.asked == 1
    clock.now = START + 3300
    await ask(client)
    await ask(client)
    assert source.asked == 2
    assert sent(fake) == [source.given[0]] * 3 + [source.given[1]] * 2


async def test_the_old_token_serves_on_while_renewing_fails(mode: Mode, fake: AzureWire, clock: Clock) -> None:
    source = Source(fake, clock)
    client = azure_client(mode, fake, None, token_provider=source)
    await ask(client)
    source.broken = True
    for passed in (3300, 3301, 3329, 3330, 3599):
        clock.now = START + passed
        await ask(client)
    assert source.asked == 1 + 3  # at 3300, 3330 and 3599: not at every call
    assert sent(fake) == source.given * 6
    clock.now = START + 3600
    with pytest.raises(
        MissingCredentials, match="no Entra token: token_provider failed with OSError: the directory is down"
    ):
        await ask(client)
    assert len(fake.seen) == 6
    source.broken = False
    await ask(client)
    assert sent(fake)[-1] == source.given[-1]


@pytest.mark.parametrize("bad", ["", "  ", None, b"bytes", 5, {"token": "x"}, "Bearer x.y.z", AccessToken("", 0)])
async def test_an_answer_that_is_no_token(bad: Any, mode: Mode, fake: AzureWire) -> None:
    with pytest.raises(MissingCredentials, match=r"no Entra token: token_provider returned \w+"):
        await ask(azure_client(mode, fake, None, token_provider=lambda: bad))
    assert not fake.seen


async def test_also_an_expired_answer_leaves_the_old_token(mode: Mode, fake: AzureWire, clock: Clock) -> None:
    tokens = [fake.admit(jwt(START + 3600)), jwt(START - 1), ""]
    client = azure_client(mode, fake, None, token_provider=lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])
    for passed in (0, 3400, 3500):
        clock.now = START + passed
        await ask(client)
    assert len(set(sent(fake))) == 1


@pytest.mark.parametrize("made", ["jwt", "AccessToken"])
async def test_an_expired_token_is_refused_before_anything_is_sent(
    made: str, mode: Mode, fake: AzureWire, clock: Clock
) -> None:
    token = jwt(START - 90) if made == "jwt" else AccessToken("opaque-canary", int(START) - 90)
    with pytest.raises(MissingCredentials, match=r"expired 90 s ago; it must return a fresh one .*clock") as caught:
        await ask(azure_client(mode, fake, None, token_provider=lambda: token))
    assert (caught.value.provider, caught.value.status_code) == ("azure", 401)
    assert "canary" not in str(caught.value)
    assert not fake.seen


async def test_a_token_that_lasts_but_shortly_is_not_asked_for_at_every_call(
    mode: Mode, fake: AzureWire, clock: Clock
) -> None:
    source = Source(fake, clock, lasts=200)
    client = azure_client(mode, fake, None, token_provider=source)
    for passed in (0, 10, 29, 30):
        clock.now = START + passed
        await ask(client)
    assert source.asked == 2


@pytest.mark.parametrize("token", ["opaque-canary", "a.b.c", "a.e30.c", "a.W10.c", "a.!!!.c", f"a.{'W1tb' * 1_000}.c"])
async def test_a_token_that_does_not_say_its_end_is_kept_for_a_minute(
    token: str, mode: Mode, fake: AzureWire, clock: Clock
) -> None:
    fake.admit(token)
    asked = []

    def source() -> str:
        asked.append(1)
        return token

    client = azure_client(mode, fake, None, token_provider=source)
    for passed in (0, 1, 59, 60):
        clock.now = START + passed
        await ask(client)
    assert asked == [1, 1]


async def test_after_401_it_is_asked_anew(mode: Mode, fake: AzureWire, clock: Clock) -> None:
    source = Source(fake, clock)
    client = azure_client(mode, fake, None, token_provider=source)
    await ask(client)
    fake.expel(source.given[0])
    with pytest.raises(AuthenticationError):
        await ask(client)
    await ask(client)
    await ask(client)
    assert source.asked == 2
    assert sent(fake)[2:] == [source.given[1]] * 2


def test_who_waits_while_it_fails_fails_with_it(fake: AzureWire) -> None:
    asked = []

    async def failing() -> str:
        asked.append(1)
        await anyio.sleep(0.05)
        raise RuntimeError("no such tenant")

    async def main() -> None:
        settings = {"token_provider": failing}
        async with AsyncClient(
            provider="azure", base_url=ROOT, settings=settings, registry=registry(), transport=fake.async_transport()
        ) as client:

            async def one() -> None:
                with pytest.raises(MissingCredentials, match="RuntimeError: no such tenant"):
                    await ask(client)

            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(one)
            await one()

    anyio.run(main)
    assert asked == [1, 1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_is_cancelled_while_asking_leaves_the_others_a_way(backend: str, fake: AzureWire) -> None:
    asked = []

    async def slow() -> str:
        asked.append(1)
        await anyio.sleep(10 if len(asked) == 1 else 0)
        return fake.admit(jwt())

    async def main() -> None:
        settings = {"token_provider": slow}
        async with AsyncClient(
            provider="azure", base_url=ROOT, settings=settings, registry=registry(), transport=fake.async_transport()
        ) as client:
            with anyio.move_on_after(0.05):
                await ask(client)
            with anyio.fail_after(2):
                await ask(client)

    anyio.run(main, backend=backend)
    assert (len(asked), len(fake.seen)) == (2, 1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_has_no_more_time_than_it_has(backend: str, fake: AzureWire) -> None:
    async def slow() -> str:
        await anyio.sleep(10)
        raise AssertionError

    async def main() -> None:
        settings = {"token_provider": slow}
        async with AsyncClient(
            provider="azure", base_url=ROOT, settings=settings, registry=registry(), transport=fake.async_transport()
        ) as client:
            begun = time.monotonic()
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(one, client)
            assert time.monotonic() - begun < 2

    async def one(client: AsyncClient) -> None:
        with pytest.raises(APITimeoutError, match="within the call's timeout|ran out of time while waiting"):
            await client.chat_completions(model="gpt", messages=HELLO, timeout=0.1)

    anyio.run(main, backend=backend)
    assert not fake.seen


def test_a_token_is_never_waited_for_without_need(fake: AzureWire) -> None:
    """While one call renews, the others go on with the token that is still good."""
    tokens = [AccessToken(fake.admit("first-canary"), int(time.time()) + 100)]
    renewing, go_on = threading.Event(), threading.Event()

    def source() -> AccessToken:
        if len(tokens) == 2:
            renewing.set()
            go_on.wait(5)
        return tokens[-1]

    with sync_client(fake, None, token_provider=source) as client, ThreadPoolExecutor(1) as pool:
        client.chat_completions(model="gpt", messages=HELLO)
        [dispatcher] = client.accounts._dispatchers.values()
        entra = dispatcher.provider._entra
        entra._kept = evolve(entra._kept, renew=0.0)
        tokens.append(AccessToken(fake.admit("second-canary"), int(time.time()) + 3600))
        later = pool.submit(client.chat_completions, model="gpt", messages=HELLO)
        assert renewing.wait(5)
        client.chat_completions(model="gpt", messages=HELLO)
        assert sent(fake) == ["first-canary"] * 2
        go_on.set()
        later.result(5)
    assert sent(fake)[-1] == "second-canary"
