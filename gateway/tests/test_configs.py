"""Whole config files: LiteLLM's posts', one with many settings, and our plainer spelling."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from callsheet import ConfigurationError
from callsheet_gateway import make_client, read_config

CONFIGS = Path(__file__).parent / "configs"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_API_BASE", "AZURE_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("AZURE_API_KEY", "azure-of-the-environment")


def read(name):
    configured = read_config(CONFIGS / f"{name}.yaml")
    return configured, make_client(configured)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("videos", {"sora-2": "openai/sora-2", "sora-2-pro": "openai/sora-2-pro"}),
        ("realtime", {"gpt-4o-realtime": "openai/gpt-4o-realtime-preview-2024-12-17"}),
        ("realtime-azure", {"gpt-4o-realtime": "azure/gpt-4o-realtime-preview"}),
        ("gpt-5.4", {"gpt-5.4": "openai/gpt-5.4"}),
        ("gpt-5.3-codex", {"gpt-5.3-codex": "openai/gpt-5.3-codex"}),
    ],
)
def test_the_posts_files_work_as_they_stand(name, models):
    configured, client = read(name)
    found = {name: one for name, [one] in client.router.models.items()}
    assert {model: f"{one.account.provider}/{one.model}" for model, one in found.items()} == models
    assert len({one.account.id for one in found.values()}) == 1
    assert all(one.account.settings.api_key.get_secret_value().endswith("environment") for one in found.values())
    assert configured.warnings == []
    assert configured.gateway.master_key is None
    if name == "realtime-azure":
        settings = found["gpt-4o-realtime"].account.settings
        assert (settings.api_version, settings.base_url) == ("2024-10-21", "https://team.openai.azure.com/openai/v1")
        assert found["gpt-4o-realtime"].info == {"mode": "realtime"}


def test_a_file_with_many_settings(monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master-0123456789")
    configured, client = read("many-settings")
    models = {name: one for name, [one] in client.router.models.items()}
    assert list(models) == ["sora-2", "gpt-5.4", "sora"]
    film = models["sora-2"]
    assert models["sora"] == film
    assert (film.weight, film.rpm, film.tpm, film.max_parallel_requests) == (2, 60, 100_000, 4)
    assert film.info["additionalProp1"] == {"anything": [1, 2]}
    assert film.account.settings.timeout == 30  # the router's
    assert film.account.settings.api_key.get_secret_value() == "sk-of-the-team-in-the-file"
    chat = models["gpt-5.4"].account
    assert (chat.id, chat.settings.timeout, chat.settings.organization) == ("team-chat", 20, "org-team")
    assert configured.gateway.master_key == SecretStr("sk-master-0123456789")
    said = "\n".join(configured.warnings)
    for line, key in [
        (11, "litellm_params.max_retries"), (12, "litellm_params.stream_timeout"),
        (35, "router_settings.redis_host"),
        (40, "litellm_settings.drop_params"), (43, "litellm_settings.success_callback"),
        (50, "general_settings.database_url is LiteLLM's and does nothing here"), (55, "callback_settings"),
    ]:  # fmt: skip
        assert any(
            warning.startswith(f"{configured.path}:{line}: ") and key in warning for warning in configured.warnings
        ), key
    assert said.count("max_retries") == 1
    routing = client.router.models.routing
    assert (routing.strategy, routing.retries) == ("shuffle", 2)
    for secret in ("sk-of-the-team", "password@", "sk-master"):
        assert secret not in said + repr(configured) + repr(client.router)
    for silent in ("enable_jwt_auth", "max_budget", "enable_tag_filtering"):  # off: nothing relies on them
        assert silent not in said


def test_the_plainer_spelling(monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", "sk-gateway-0123456789")
    configured, client = read("plain")
    assert {
        name: (one.account.provider, one.account.id if name != "draft" else None, one.model)
        for name, [one] in client.router.models.items()
    } == {
        "sora-2": ("openai", "team-a", "sora-2"),
        "fast": ("openai", "team-a", "gpt-5.4"),
        "deep": ("azure", "team-b", "gpt-5.4-deep"),
        "draft": ("local", None, "motion-1"),
    }
    gateway = configured.gateway
    assert (gateway.port, gateway.host, gateway.cors_origins) == (4321, None, ("http://localhost:5173",))
    assert gateway.data_dir == CONFIGS / "data"
    assert gateway.master_key == SecretStr("sk-gateway-0123456789")
    assert gateway.limits == {"max_uploads_per_key": 8, "unread_seconds": 30.0}
    assert configured.warnings == []
    accounts = {one.account.id: one.account for _, [one] in client.router.models.items()}
    assert accounts["team-a"].key_variable == "OPENAI_API_KEY"
    assert accounts["team-b"].key_variable is None


def test_a_variable_that_is_really_set_wins_over_the_files(monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master-0123456789")
    monkeypatch.setenv("TEAM_KEY", "sk-from-outside")
    _, client = read("many-settings")
    assert (
        client.router.models.deployments("sora-2")[0].account.settings.api_key.get_secret_value() == "sk-from-outside"
    )


def test_the_providers_own_variable_may_be_in_the_file(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    path = tmp_path / "config.yaml"
    path.write_text("models: {a: openai/m}\nenvironment_variables: {OPENAI_API_KEY: os.environ/OTHER_KEY}\n")
    with pytest.raises(ConfigurationError, match=r"config.yaml:2: .*variable OTHER_KEY, which is not set"):
        read_config(path)
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    account = make_client(read_config(path)).router.models.deployments("a")[0].account
    assert account.settings.api_key.get_secret_value() == "sk-other"
    assert account.key_variable == "OPENAI_API_KEY"


def test_a_missing_variable_is_said_with_its_place(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError) as caught:
        read("videos")
    assert caught.value.message.endswith(
        "videos.yaml:5: model_list[0].litellm_params.api_key: this comes from the environment variable OPENAI_API_KEY,"
        " which is not set"
    )
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY, which is not set"):
        read("videos")
    monkeypatch.setenv("LITELLM_MASTER_KEY", "")
    with pytest.raises(
        ConfigurationError, match=r"many-settings.yaml:49: general_settings.master_key: .*LITELLM_MASTER_KEY"
    ):
        read("many-settings")
