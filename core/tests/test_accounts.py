"""Accounts: what they are configured with, what their ids are made of, and how they end."""

import pytest
from core.tests.echo import Echo, echo_registry

from callsheet import (
    AsyncClient,
    Client,
    ConfigurationError,
    MissingCredentials,
    NotFoundError,
    Provider,
    ProviderSettings,
    Registry,
)


@pytest.fixture
def registry():
    return echo_registry()


@pytest.fixture
def client(registry):
    with Client(registry=registry) as made:
        yield made


def test_accounts_from_config(registry):
    config = {
        "accounts": [
            {"provider": "other", "id": "east", "base_url": "http://east.example"},
            {"provider": "other", "id": "west", "base_url": "http://west.example"},
        ]
    }
    client = Client(config=config, registry=registry)
    assert client.generate_video(prompt="a", provider="west").prompt.endswith("|west")
    assert client.generate_video(prompt="a", model="east/m").prompt.endswith("|east")
    video = client.generate_video(prompt="a", model="west/m")
    assert client.edit(video=video, prompt="x").meta.account == "west"
    with pytest.raises(ConfigurationError, match="several accounts .* provider='east', provider='west'"):
        client.generate_video(prompt="a", model="other/m")
    with pytest.raises(ConfigurationError, match="say which account"):
        client.generate_video(prompt="a")
    assert (
        Client(config={"accounts": config["accounts"][:1]}, registry=registry).generate_video(prompt="a").meta.account
        == "east"
    )
    with pytest.raises(ConfigurationError, match="give each an id of its own"):
        Client(config={"accounts": [config["accounts"][0]] * 2}, registry=registry)
    for wrong in ({"acounts": []}, {"accounts": {}}, {"accounts": [{"id": "x"}]}):
        with pytest.raises(ConfigurationError, match=r"provider|Did you mean 'accounts'"):
            Client(config=wrong, registry=registry)
    with pytest.raises(NotFoundError, match="an account that this client does not have"):
        Client(registry=registry).edit(video=video, prompt="x")


def test_account_ids_do_not_depend_on_the_secret(registry):
    ids = {
        Client("other/m", api_key=key, registry=registry).generate_video(prompt="a").meta.account
        for key in ("a", "b", None)
    }
    assert len(ids) == 1
    elsewhere = (
        Client("other/m", base_url="http://x.example", registry=registry).generate_video(prompt="a").meta.account
    )
    assert elsewhere not in ids


def test_settings_that_nobody_knows(registry):
    with pytest.raises(
        ConfigurationError, match="settings for provider 'other': colour: Extra inputs .* Known settings: api_key"
    ):
        Client("other/m", settings={"colour": 1}, registry=registry)
    with pytest.raises(ConfigurationError, match="say for which provider"):
        Client(api_key="k", registry=registry)


def test_settings_are_not_lost_to_the_environment(registry, monkeypatch):
    monkeypatch.setenv("NEEDS_KEY", "sk-environment")
    client = Client("needs/m", settings={"api_key": "sk-team", "base_url": "http://team.example/"}, registry=registry)
    settings = client.accounts.default().settings
    assert (settings.api_key.get_secret_value(), settings.base_url) == ("sk-team", "http://team.example/")
    client = Client("needs/m", settings={"api_key": "sk-team"}, api_key="sk-argument", registry=registry)
    assert client.accounts.default().settings.api_key.get_secret_value() == "sk-argument"


def test_an_account_is_the_same_however_its_address_is_spelled(registry):
    spellings = ("http://east.example/v1", "HTTP://East.example/v1/")
    assert len({Client("other/m", base_url=url, registry=registry).accounts.default().id for url in spellings}) == 1
    with pytest.raises(ConfigurationError, match="'echo' is the name of a provider"):
        Client(config={"accounts": [{"provider": "other", "id": "echo"}]}, registry=registry)


def test_closing_goes_on_after_a_failure(registry):
    closed = []

    class Grumpy(Echo):
        def close(self):
            closed.append("grumpy")
            raise OSError("no")

    class Quiet(Echo):
        def close(self):
            closed.append("quiet")

    registry.register("grumpy", Grumpy)
    registry.register("quiet", Quiet)
    client = Client(registry=registry)
    for name in ("quiet", "grumpy", "other"):
        client.generate_video(prompt="a", model=f"{name}/m")
    with pytest.raises(OSError, match="no"):
        client.close()
    assert closed == ["grumpy", "quiet"]


def test_a_missing_key_is_named_when_a_call_is_made(client, monkeypatch):
    with pytest.raises(MissingCredentials, match="set the environment variable NEEDS_KEY") as caught:
        client.get_video(video_id="x", provider="needs")
    assert (caught.value.provider, caught.value.status_code) == ("needs", 401)


def test_no_embedded_provider_and_two():
    found = Registry(points=[], wraps=())
    with pytest.raises(ConfigurationError, match="pip install callsheet-NAME"):
        Client(registry=found).generate_video(prompt="a")
    found.register("one", Echo)
    found.register("two", Echo)
    with pytest.raises(ConfigurationError, match="say which provider.*one, two"):
        Client(registry=found).generate_video(prompt="a")


def test_the_environments_account_can_be_meant_by_its_id(client):
    video = client.generate_video(prompt="a", model="other/m")
    assert client.generate_video(prompt="a", provider=video.meta.account).meta == video.meta


@pytest.mark.parametrize("address", ["localhost:8000", "api.example/v1", "ftp://x", "//x", "HTP://x"])
def test_an_address_without_http_is_refused(registry, address):
    with pytest.raises(ConfigurationError, match="base_url: .*an address that begins with https://"):
        Client("other/m", base_url=address, registry=registry)


def test_an_async_setting_is_refused_by_the_sync_client(registry):
    """At construction, not at the first call."""

    class AsksSettings(ProviderSettings):
        ask: object = None

        @property
        def needs_loop(self):
            return self.ask == "async"

    class Asks(Provider):
        Settings = AsksSettings

    registry.register("asks", Asks)
    with pytest.raises(TypeError, match="a setting of account 'acct_.*' at provider 'asks' is an async function"):
        Client("asks/m", settings={"ask": "async"}, registry=registry)
    with pytest.raises(TypeError, match="use AsyncClient"):
        Client(config={"accounts": [{"provider": "asks", "ask": "async"}]}, registry=registry)
    Client("asks/m", settings={"ask": "plain"}, registry=registry)
    AsyncClient("asks/m", settings={"ask": "async"}, registry=registry)
