"""LiteLLM's model_list: names for models at accounts."""

import pytest
from core.tests.echo import echo_registry

from callsheet import BadRequestError, Client, ConfigurationError, NotFoundError
from callsheet.config import configure
from callsheet.ids import IdCodec
from callsheet.routing import Accounts, Router


@pytest.fixture
def registry():
    return echo_registry()


def entry(name, model, **params):
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def client(registry, *entries):
    return Client(config={"model_list": list(entries)}, registry=registry)


def test_a_name_stands_for_a_model_at_an_account(registry):
    made = client(registry, entry("film", "other/m"), entry("film-pro", "other/m/pro"))
    video = made.generate_video(prompt="a", model="film-pro")
    assert (video.model, video.meta.provider) == ("m/pro", "other")
    # Both say the same of their account, so it is one, and the account of whatever names none.
    assert made.create_character(name="n", video=b"x").meta.account == video.meta.account
    assert made.generate_video(prompt="a", model="echo/n").meta.provider == "echo"  # a program may name others


def test_the_provider_may_stand_beside_the_model(registry):
    made = client(registry, entry("film", "org/m", custom_llm_provider="other"))
    assert made.generate_video(prompt="a", model="film").model == "org/m"
    made = client(registry, entry("film", "other/m", custom_llm_provider="other"))
    assert made.generate_video(prompt="a", model="film").model == "m"


def test_settings_and_their_litellm_names(registry, monkeypatch):
    monkeypatch.setenv("TEAM_KEY", "sk-of-the-team")
    made = client(
        registry, entry("film", "other/m", api_key="os.environ/TEAM_KEY", api_base="http://x.example", timeout=5)
    )
    [account] = made.accounts._configured.values()
    assert account.settings.api_key.get_secret_value() == "sk-of-the-team"
    assert (account.settings.base_url, account.settings.timeout) == ("http://x.example", 5)
    assert "sk-of" not in repr(account) + repr(made.router)


def test_the_account_id_depends_on_the_variable_and_not_on_the_key(registry):
    def ids(variable, key):
        accounts = Accounts(registry)
        models = configure(
            accounts,
            {"model_list": [entry("film", "other/m", api_key=f"os.environ/{variable}")]},
            {variable: key},
        )
        return models.deployments("film")[0].account.id

    assert ids("A", "one") == ids("A", "two") != ids("B", "one")


def test_the_providers_own_variable_is_the_account_of_the_library(registry, monkeypatch):
    monkeypatch.setenv("NEEDS_KEY", "sk-environment")
    made = client(registry, entry("film", "needs/m", api_key="os.environ/NEEDS_KEY"))
    plain = Client(registry=registry)
    assert [*made.accounts._configured] == [plain.accounts.of_provider("needs").id]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{}], r"model_list\[0\]: 'model_name' is wanted"),
        ([{"model_name": "film"}], r"model_list\[0\]: 'litellm_params' with a 'model' is wanted"),
        ([entry("film", "m")], r"model_list\[0\].litellm_params.model: it does not say PROVIDER/MODEL"),
        ([entry("film", "othr/m")], "no provider named 'othr'.* Did you mean 'other'"),
        ([entry("film", "other/")], "does not say PROVIDER/MODEL"),
        (
            [entry("film", "other/m", api_bas="x")],
            "unknown key 'api_bas'. Did you mean 'api_base'",
        ),
        ([entry("film", "other/m", rpms="x")], "unknown key 'rpms'. Did you mean 'rpm'"),
        ([entry("film", "other/m", frob="x")], "unknown key .not shown.*Known: api_base, .*api_key, base_url"),
        ([{**entry("film", "other/m"), "model_inf": {}}], "unknown key 'model_inf'. Did you mean 'model_info'"),
        ([entry("film", "other/m", api_key="os.environ/NOT_THERE")], "variable NOT_THERE, which is not set"),
        (
            [entry("a", "other/m", timeout=1), entry("b", "other/m", timeout=2)],
            "the same account with other settings; give each an 'account_id'",
        ),
        ([entry("film-*-*", "other/m")], "one . is understood in a name, not several"),
        ([entry("film", "other/*")], "a . in the model stands for what the one in the name does"),
        (["film"], r"model_list\[0\]: a mapping with a \'model_name\' is wanted, not a text"),
        ([entry("film", "other/m", account_id=5)], "account_id: a text is wanted, not a number"),
        ([entry("film", "other/m", custom_llm_provider=5)], "custom_llm_provider: a text is wanted, not a number"),
        ([entry("a\ud800", "other/m")], "model_name: .* is wanted"),
        ([entry("film", "other/m", api_base="http://a", base_url="http://b")], "api_base and base_url are the same"),
        ([entry("film", "other/m", api_base="ftp://x")], "must begin with http:// or https://"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(registry, entries, words):
    with pytest.raises(Exception, match=words) as caught:
        client(registry, *entries)
    assert isinstance(caught.value, ConfigurationError | LookupError)


def test_two_accounts_at_one_provider(registry):
    made = client(
        registry,
        entry("a", "other/m", timeout=1, account_id="east"),
        entry("b", "other/m", timeout=2, account_id="west"),
    )
    assert made.generate_video(prompt="a", model="b").meta.account == "west"
    video = made.generate_video(prompt="a", model="a")
    assert made.edit(video=video, prompt="x").meta.account == "east"
    with pytest.raises(BadRequestError, match="lives at"):
        made.edit(video=video, prompt="x", model="b")


def test_closed_accounts_are_the_configured_ones_and_no_others(registry, monkeypatch):
    monkeypatch.setenv("NEEDS_KEY", "sk-environment")
    elsewhere = Client("echo/m", registry=registry).generate_video(prompt="a")
    made = client(registry, entry("film", "other/m"))
    made.accounts.configured_only = True
    for model in ("needs/m", "echo/m", "other/m", "m", "", "film/x"):
        with pytest.raises(NotFoundError, match="there are: film") as caught:
            made.generate_video(prompt="a", model=model)
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"
    with pytest.raises(NotFoundError, match="an account that this client does not have"):
        made.edit(video=elsewhere, prompt="x")
    with pytest.raises(ConfigurationError, match="no account is configured at provider 'needs'"):
        made.generate_video(prompt="a", provider="needs")
    assert made.generate_video(prompt="a").meta.provider == "other"
    nothing = Accounts(registry, configured_only=True)
    with pytest.raises(ConfigurationError, match="none is configured"):
        nothing.default()
    assert list(Router(nothing, IdCodec()).models) == []


def test_without_a_model_several_accounts_are_a_question(registry):
    made = client(registry, entry("a", "other/m"), entry("b", "echo/m"))
    made.accounts.configured_only = True
    with pytest.raises(BadRequestError, match="say which model is meant; there are: a, b") as caught:
        made.list_videos()
    assert caught.value.param == "model"
    assert made.list_videos(model="b").meta.provider == "echo"


def test_accounts_and_models_in_the_plainer_spelling(registry, monkeypatch):
    monkeypatch.setenv("TEAM_KEY", "sk-of-the-team")
    config = {
        "accounts": [{"provider": "other", "id": "team", "api_key": "os.environ/TEAM_KEY", "timeout": 5}],
        "models": {
            "film": {"account": "team", "model": "m", "rpm": 3, "weight": "0.5", "info": {"mode": "video"}},
            "draft": "echo/n",
            "short": "other/o/p",
        },
    }
    made = Client(config=config, registry=registry)
    assert made.generate_video(prompt="a", model="film").meta.account == "team"
    assert made.generate_video(prompt="a", model="short").model == "o/p"
    assert made.generate_video(prompt="a", model="draft").meta.provider == "echo"
    [film] = made.router.models.deployments("film")
    assert (film.rpm, film.weight, film.tpm, film.info) == (3, 0.5, None, {"mode": "video"})
    assert film.account.settings.api_key.get_secret_value() == "sk-of-the-team"
    assert film.account.key_variable == "TEAM_KEY"
    assert "sk-of" not in repr(film)


def test_variables_of_the_configuration_come_after_real_ones(registry):
    config = {"models": {"a": "needs/m"}, "environment_variables": {"NEEDS_KEY": "os.environ/B", "B": "never"}}
    for environ, key in [({"B": "real"}, "real"), ({"NEEDS_KEY": "own", "B": "real"}, "own")]:
        models = configure(Accounts(registry), config, environ)
        assert models.deployments("a")[0].account.settings.api_key.get_secret_value() == key
    with pytest.raises(ConfigurationError, match="variable B, which is not set") as caught:
        configure(Accounts(registry), config, {})
    assert caught.value.at == ("environment_variables", "NEEDS_KEY")


@pytest.mark.parametrize(
    ("config", "at"),
    [
        ({"accounts": [{"provider": "other"}, {"provider": "othr"}]}, ("accounts", 1)),
        ({"accounts": [{"provider": "other", "timeout": "x"}]}, ("accounts", 0, "timeout")),
        ({"models": {"a": {"account": "other", "model": "m", "rpm": 0}}}, ("models", "a", "rpm")),
        ({"model_list": [entry("a", "other/m", headers={"X": "os.environ/NO"})]},
         ("model_list", 0, "litellm_params", "headers", "X")),
        ({"model_list": [entry("a", "other/m", typo=1)]}, ("model_list", 0, "litellm_params", "typo")),
        ({"general_settings": {}}, ("general_settings",)),
        ([], ()),
    ],
)  # fmt: skip
def test_an_error_knows_its_place(registry, config, at):
    with pytest.raises(ConfigurationError) as caught:
        configure(Accounts(registry), config, {})
    assert caught.value.at == at
