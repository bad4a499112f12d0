"""Which credential goes along: keys, tokens from functions and credentials of every kind, ephemeral keys."""

from __future__ import annotations

import functools
import sys
import time
from types import SimpleNamespace
from typing import Any

import anyio
import azure.identity
import azure.identity.aio
import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo
from core.tests.conftest import Mode
from core.tests.offers import OFFER
from plugins.azure.tests.conftest import ROOT, azure_client, jwt, registry, sync_client

from callsheet import AsyncClient, AuthenticationError, Client, ConfigurationError, MissingCredentials
from callsheet_azure.wire import KEY, AzureWire

HELLO = [{"role": "user", "content": "Hello"}]
SCOPE = "https://cognitiveservices.azure.com/.default"


class Credential:
    """A credential as azure-identity's are; it remembers the scopes that it was asked for."""

    def __init__(self, token: str, lasts: float = 3600) -> None:
        self.token, self.lasts, self.closed = token, lasts, False
        self.asked: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, claims: str | None = None, **more: Any) -> AccessToken:
        self.asked.append(scopes)
        return AccessToken(self.token, int(time.time() + self.lasts))

    def close(self) -> None:
        self.closed = True


class AsyncCredential(Credential):
    async def get_token(self, *scopes: str, **more: Any) -> AccessToken:  # type: ignore[override]
        return super().get_token(*scopes)


class NewCredential(Credential):
    def get_token(self, *scopes: str, **more: Any) -> Any:
        given = super().get_token(*scopes)
        return AccessTokenInfo(given.token, given.expires_on, refresh_on=given.expires_on - 1800)


class Callable:
    """An object that is called, and its async twin by inheritance."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self) -> str:
        return self.token


class AsyncCallable(Callable):
    async def __call__(self) -> str:  # type: ignore[override]
        return self.token


class Inherited(AsyncCallable):
    pass


def shown(fake: AzureWire) -> list[dict[str, str]]:
    """The credentials of all requests."""
    return [{n: v for n, v in seen.headers.items() if n in {"api-key", "authorization"}} for seen in fake.seen]


async def ask(client: Any) -> None:
    await client.chat_completions(model="gpt", messages=HELLO)


async def test_the_key_goes_as_api_key(client: Any, fake: AzureWire) -> None:
    await ask(client)
    assert shown(fake) == [{"api-key": KEY}]


async def test_the_key_goes_as_bearer_where_that_is_wanted(mode: Mode, fake: AzureWire) -> None:
    await ask(azure_client(mode, fake, key_as_bearer=True))
    assert shown(fake) == [{"authorization": f"Bearer {KEY}"}]


def plain(token: str) -> Any:
    return lambda: token


def with_scope(token: str) -> Any:
    def get(scope: str) -> str:
        assert scope == SCOPE
        return token

    return get


def with_a_default(token: str) -> Any:
    return lambda kept=token: kept  # what is given by default stays


def with_the_scope_by_default(token: str) -> Any:
    def get(scope: str = "nothing") -> str:
        assert scope == SCOPE
        return token

    return get


def wrapped(token: str) -> Any:
    def inner(*arguments: Any, **keywords: Any) -> str:
        assert not arguments
        assert not keywords
        return token

    return inner


PLAIN: dict[str, Any] = {
    "a function": plain,
    "a function of the scope": with_scope,
    "a function of what is called something else": lambda token: lambda resource, /: token if resource == SCOPE else "",
    "a function with a default": with_a_default,
    "a function with a scope by default": with_the_scope_by_default,
    "a function of anything": wrapped,
    "a partial": lambda token: functools.partial(str, token),
    "a partial of a function of the scope": lambda token: functools.partial(lambda before, scope: before, token),
    "an object that is called": Callable,
    "a function that returns an AccessToken": lambda token: lambda: AccessToken(token, int(time.time()) + 3600),
    "a credential": Credential,
    "a credential with AccessTokenInfo": NewCredential,
    "azure-identity's function": lambda token: azure.identity.get_bearer_token_provider(Credential(token), SCOPE),
}


def async_plain(token: str) -> Any:
    async def get() -> str:
        return token

    return get


def async_with_scope(token: str) -> Any:
    async def get(scope: str) -> str:
        assert scope == SCOPE
        return token

    return get


def azure_async(token: str) -> Any:
    credential: Any = AsyncCredential(token)
    return azure.identity.aio.get_bearer_token_provider(credential, SCOPE)


ASYNC: dict[str, Any] = {
    "an async function": async_plain,
    "an async function of the scope": async_with_scope,
    "an async partial": lambda token: functools.partial(async_with_scope(token)),
    "an async object that is called": AsyncCallable,
    "one that inherits that": Inherited,
    "an async method": lambda token: AsyncCallable(token).__call__,
    "an async credential": AsyncCredential,
    "azure-identity's async function": azure_async,
}


@pytest.mark.parametrize("kind", PLAIN)
async def test_a_token_comes_from(kind: str, mode: Mode, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    client = azure_client(mode, fake, token_provider=PLAIN[kind](token))  # the key is there, and not used
    await ask(client)
    await client.generate_video(model="film-1", prompt="A fox")
    assert shown(fake) == [{"authorization": f"Bearer {token}"}] * 2


@pytest.mark.parametrize("kind", ASYNC)
async def test_a_token_comes_also_from(kind: str, mode: Mode, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    settings = {"token_provider": ASYNC[kind](token)}
    if mode.blocking:
        with pytest.raises(TypeError, match=r"account 'acct_\w+' at provider 'azure' is an async function"):
            azure_client(mode, fake, None, **settings)
        with pytest.raises(TypeError, match="account 'eu'"):
            entry = {"provider": "azure", "id": "eu", "base_url": ROOT, **settings}
            Client(config={"accounts": [entry]}, registry=registry())
        return
    await ask(azure_client(mode, fake, None, **settings))
    assert shown(fake) == [{"authorization": f"Bearer {token}"}]


async def test_an_awaitable_that_a_plain_function_returns_is_awaited(mode: Mode, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    get = async_plain(token)
    await ask(azure_client(mode, fake, None, token_provider=lambda: get()))
    assert shown(fake) == [{"authorization": f"Bearer {token}"}]


async def test_one_that_waits_can_not_be_awaited_without_a_loop(mode: Mode, fake: AzureWire) -> None:
    async def get() -> str:
        await anyio.sleep(0)
        return fake.admit(jwt())

    client = azure_client(mode, fake, None, token_provider=lambda: get())
    if mode.blocking:
        with pytest.raises(
            MissingCredentials, match="returned a coroutine, for which a sync call can't wait: use AsyncClient"
        ):
            await ask(client)
    else:
        await ask(client)
    assert len(fake.seen) == (0 if mode.blocking else 1)


async def test_the_scope_is_a_setting(mode: Mode, fake: AzureWire) -> None:
    credential = Credential(fake.admit(jwt()))
    await ask(azure_client(mode, fake, None, token_provider=credential, scope="https://ai.azure.com/.default"))
    assert credential.asked == [("https://ai.azure.com/.default",)]


@pytest.mark.parametrize("source", ["a text", 5, SimpleNamespace(get_token="text"), {"token": "x"}])
def test_what_can_not_be_asked_is_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_provider: .*credential with get_token") as caught:
        Client(provider="azure", base_url=ROOT, settings={"token_provider": source}, registry=registry())
    assert "a text" not in str(caught.value)


async def test_the_default_credential_is_made_when_it_is_needed(
    mode: Mode, fake: AzureWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Credential] = []

    def make() -> Credential:
        made.append(Credential(fake.admit(jwt())))
        return made[-1]

    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", make)
    client = azure_client(mode, fake, None, entra=True)
    assert not made
    await ask(client)
    await ask(client)
    [credential] = made
    assert (credential.asked, credential.closed) == ([(SCOPE,)], False)
    await client.close()
    assert credential.closed
    assert shown(fake) == [{"authorization": f"Bearer {credential.token}"}] * 2


def test_the_real_default_credential_is_asked(fake: AzureWire, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def get_token(_self: object, *scopes: str, **more: Any) -> AccessToken:
        asked.append(scopes)
        return AccessToken(fake.admit(jwt()), int(time.time()) + 3600)

    monkeypatch.setattr(azure.identity.DefaultAzureCredential, "get_token", get_token)
    with sync_client(fake, None, entra="true") as client:  # as the command line says it
        client.chat_completions(model="gpt", messages=HELLO)
    assert asked == [(SCOPE,)]


async def test_entra_without_azure_identity(mode: Mode, fake: AzureWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(MissingCredentials, match=r'pip install "callsheet-azure\[entra\]"'):
        await ask(azure_client(mode, fake, None, entra=True))
    token = fake.admit(jwt())
    await ask(azure_client(mode, fake, None, token_provider=lambda: token))
    assert len(fake.seen) == 1


async def test_a_credential_of_ones_own_stays_open(mode: Mode, fake: AzureWire) -> None:
    credential = Credential(fake.admit(jwt()))
    client = azure_client(mode, fake, None, token_provider=credential)
    await ask(client)
    await client.close()
    assert not credential.closed


@pytest.mark.parametrize("settings", [{}, {"key_as_bearer": True}, {"token_provider": lambda: jwt()}])
async def test_an_ephemeral_key_goes_as_bearer(settings: dict[str, Any], mode: Mode, fake: AzureWire) -> None:
    secret = await azure_client(mode, fake).mint_realtime_secret(model="rt-1")
    client = azure_client(mode, fake, **settings)
    await client.relay_sdp(sdp=OFFER, provider="azure", ephemeral_key=secret.value)
    assert shown(fake)[-1] == {"authorization": f"Bearer {secret.value}"}


async def test_what_is_refused_is_an_error_of_authentication(mode: Mode, fake: AzureWire) -> None:
    for client in (
        azure_client(mode, fake, "wrong-key-0123"),
        azure_client(mode, fake, None, token_provider=lambda: jwt(name="nobody")),
    ):
        with pytest.raises(AuthenticationError, match="Access denied due to invalid subscription key") as caught:
            await ask(client)
        assert (caught.value.code, caught.value.status_code) == ("401", 401)


async def test_no_token_goes_to_another_machine_in_the_open(mode: Mode, fake: AzureWire) -> None:
    token = fake.admit(jwt())
    with pytest.raises(ConfigurationError, match="would travel unencrypted") as caught:
        await ask(azure_client(mode, fake, None, base_url="http://res-1.example", token_provider=lambda: token))
    assert token not in str(caught.value)
    assert not fake.seen


async def test_two_accounts_have_tokens_of_their_own(mode: Mode, fake: AzureWire) -> None:
    tokens = {name: fake.admit(jwt(name=name)) for name in ("eu", "us")}
    accounts = [
        {
            "provider": "azure",
            "id": name,
            "base_url": f"https://{name}.openai.azure.com",
            "token_provider": plain(token),
        }
        for name, token in tokens.items()
    ]
    transport = fake.blocking_transport() if mode.blocking else fake.async_transport()
    kind: Any = Client if mode.blocking else AsyncClient
    made = kind(config={"accounts": accounts}, registry=registry(), transport=transport)
    for name in ("eu", "us", "eu"):
        call = made.chat_completions(model=f"{name}/gpt", messages=HELLO)
        if not mode.blocking:
            await call
    assert [s["authorization"].split()[1] for s in shown(fake)] == [tokens["eu"], tokens["us"], tokens["eu"]]
