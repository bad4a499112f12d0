"""What is wrong with a config file is said with its line; what does nothing here is said, or refused."""

import pytest
from core.tests.echo import echo_registry

from callsheet import ConfigurationError, Registry
from callsheet_gateway import make_client, read_config
from callsheet_gateway.configfile.litellm import SECTIONS

ONE = "model_list: [{model_name: a, litellm_params: {model: other/m}}]\n"


@pytest.fixture
def read(tmp_path):
    """Reads a text as a config file named config.yaml, and makes its client."""

    def reading(text, registry=None):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        configured = read_config(path)
        return configured, make_client(configured, registry or echo_registry())

    return reading


@pytest.fixture
def wrong(read, tmp_path):
    """What is said of a text, without the folder."""

    def reading(text):
        with pytest.raises(ConfigurationError) as caught:
            read(text)
        return caught.value.message.removeprefix(f"{tmp_path}/")

    return reading


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{ONE}\n\n\n\n\nmodle_list: []", "config.yaml:7: unknown key 'modle_list'. Did you mean 'model_list'?"),
        (f"{ONE}frob: 1", "config.yaml:2: unknown key (not shown: it might be a secret). Known: accounts, models,"),
        ("", "config.yaml: a mapping with a 'model_list'"),
        ("model_list: []", "config.yaml: a 'model_list' is wanted, with entries of"),
        (
            "model_list: a",
            "config.yaml:1: model_list: a list of mappings, each with a 'model_name', is wanted, not a text",
        ),
        ("model_list:\n- a", "config.yaml:2: model_list[0]: a mapping with a 'model_name' is wanted, not a text"),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: other/m\n    api_bas: x\n",
            "config.yaml:5: model_list[0].litellm_params: unknown key 'api_bas'. Did you mean 'api_base'?",
        ),
        (
            "model_list: [{model_name: a,\n litellm_params: {model: other/m,\n  timeout: [1]}}]",
            "config.yaml:3: model_list[0].litellm_params: settings for provider 'other': timeout:",
        ),
        (
            "model_list:\n- model_name: a\n  litellm_params: &p\n    model: other/m\n    rpm: many\n"
            "- model_name: b\n  litellm_params: *p",
            "config.yaml:5: model_list[0].litellm_params.rpm: a whole number of 1 or more is wanted, not a text",
        ),
        (
            "x: 1\nmodels:\n  a: other/m",
            "config.yaml:1: unknown key",
        ),
        ("models:\n  a: other/m\n  b: m", "config.yaml:3: models (entry 2): PROVIDER/MODEL or ACCOUNT/MODEL is wanted"),
        (
            "models:\n  a: [othr/m]",
            "config.yaml:2: models (entry 1)[0]: no provider named 'othr' is installed. Did you mean 'other'?",
        ),
        (
            "models:\n  a: {account: other,\n    modle: m}",
            "config.yaml:3: models (entry 1): unknown key 'modle'. Did you mean 'model'?",
        ),
        (
            "models:\n  a:\n    account: other",
            "config.yaml:2: models (entry 1).model: a model, such as PROVIDER/MODEL, is wanted, not nothing",
        ),
        ("models:\n  a: frob/m", "config.yaml:2: models (entry 1): no provider named 'frob' is installed"),
        ("models:\n  a: othr/m", "Did you mean 'other'?"),
        (
            "accounts:\n- {provider: other, id: x}\n- {provider: other, id: x}\nmodels: {a: x/m}",
            "config.yaml:3: accounts[1]: another account has this id",
        ),
        (
            "accounts:\n- {provider: other, id: x}\n- {provider: other, id: y}\nmodels:\n  a: other/m",
            "config.yaml:5: models (entry 1): several accounts are configured at this provider",
        ),
        ("accounts: [{id: x}]\nmodels: {a: x/m}", "config.yaml:1: accounts[0]: every account needs a 'provider'"),
        (
            "accounts: [{provider: other,\n base_url: ftp://x}]\nmodels: {a: other/m}",
            "config.yaml:2: accounts[0].base_url: an address must begin with",
        ),
        (f"{ONE}gateway:\n  port: 70000", "config.yaml:3: gateway.port: a whole number from 0 to 65535 is wanted"),
        (f"{ONE}gateway:\n  prot: 7", "config.yaml:3: gateway: unknown key 'prot'. Did you mean 'port'?"),
        (f"{ONE}gateway: {{host: example.com}}", "config.yaml:2: gateway.host: an address to listen on is wanted"),
        (
            f"{ONE}gateway:\n  cors_origins:\n  - http://a\n  - a.example/x",
            "config.yaml:5: gateway.cors_origins[1]: an origin is wanted",
        ),
        (
            f"{ONE}gateway: {{access_log: 3}}",
            "config.yaml:2: gateway.access_log: true or false is wanted, not a number",
        ),
        (
            f"{ONE}gateway:\n  max_uploads_per_key: 0",
            "config.yaml:3: gateway.max_uploads_per_key: a whole number of 1 or more is wanted",
        ),
        (
            f"{ONE}gateway: {{max_spool: 2GiB}}",
            "gateway.max_spool: a whole number of 1048576 or more is wanted, not a text",
        ),
        (f"{ONE}gateway: {{max_memory: 1048576}}", "gateway.max_memory: a whole number of 33554432 or more is wanted"),
        (f"{ONE}gateway: {{unread_seconds: 0.5}}", "gateway.unread_seconds: a number from 1 to 86400 is wanted"),
        *(
            (f"{ONE}gateway: {{{name}: 86401}}", f"gateway.{name}: a number from {least} to 86400 is wanted")
            for name, least in (("unread_seconds", 1), ("notice_seconds", 0), ("grace_seconds", 0))
        ),
        (
            f"{ONE}gateway:\n  max_request_per_key: 9",
            "config.yaml:3: gateway: unknown key 'max_request_per_key'. Did you mean 'max_requests_per_key'?",
        ),
        (f"{ONE}gateway: []", "config.yaml:2: gateway: a mapping of keys to values is wanted, not a list"),
        (
            f"{ONE}gateway: {{master_key: a}}\ngeneral_settings: {{master_key: b}}",
            "config.yaml:2: gateway.master_key: general_settings has a master_key, too",
        ),
        (
            f"{ONE}general_settings:\n  master_key: 1234",
            "config.yaml:3: general_settings.master_key: a key, as a text, is wanted, not a number",
        ),
        (
            f"{ONE}general_settings:\n  master_kye: a",
            "config.yaml:3: general_settings: unknown key 'master_kye'. Did you mean 'master_key'?",
        ),
        (
            f"{ONE}router_settings: {{model_group_alias: {{b: c}}}}",
            "config.yaml:2: router_settings.model_group_alias (entry 1): no model of the file",
        ),
        (f"{ONE}router_settings: {{model_group_alias: {{a: a}}}}", "a model of this name is there already"),
        (
            f"{ONE}router_settings: {{timeout: 0}}",
            "config.yaml:2: router_settings.timeout: a number of 0.001 or more is wanted",
        ),
        (
            f"{ONE}environment_variables:\n  A: [1]",
            "config.yaml:3: environment_variables (entry 1): a text is wanted, not a list",
        ),
        ("models: {os.environ/X: other/m}", "config.yaml:1: models (entry 1): names are not read from the environment"),
        ("models: {a: os.environ/not-a-name}", "after os.environ/ the name of a variable is wanted"),
        (
            "models: {a: os.environ/lower}",
            "environment variable (not shown: not in capitals, it might be a secret), which is not set",
        ),
    ],
)
def test_errors_say_the_line(wrong, text, said):
    assert said in wrong(text)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", "many", "[1]", "99999999999999999999 x"])
@pytest.mark.parametrize("name", ["rpm", "tpm", "max_parallel_requests"])
def test_limits_are_whole_numbers(wrong, name, value):
    assert f".{name}: a whole number of 1 or more is wanted" in wrong(
        f"models: {{a: {{account: other, model: m, {name}: {value}}}}}"
    )


@pytest.mark.parametrize("value", ["-0.1", ".inf", ".nan", "true", "x"])
def test_a_weight_is_a_number(wrong, value):
    assert ".weight: a number of 0 or more is wanted" in wrong(
        f"models: {{a: {{account: other, model: m, weight: {value}}}}}"
    )


def test_limits_from_the_environment_are_digits(read, monkeypatch):
    monkeypatch.setenv("RPM", "7")
    configured, client = read("models: {a: {account: other, model: m, rpm: os.environ/RPM, weight: 0.5, info: {x: 1}}}")
    [[_, [one]]] = client.router.models.items()
    assert (one.rpm, one.weight, one.tpm, one.info) == (7, 0.5, None, {"x": 1})
    assert configured.warnings == []


REFUSED = [
    (section, key) for section in ("", "general_settings", "litellm_settings", "router_settings", "litellm_params", "model_info")
    for key in SECTIONS[section].refused
]  # fmt: skip
IGNORED = [(section, key) for section in SECTIONS for key in SECTIONS[section].ignored]


def with_key(section, key, value):
    if not section:
        return f"{ONE}{key}: {value}"
    if section in {"litellm_params", "model_info"}:
        more = "" if section == "litellm_params" else "  litellm_params: {model: other/m}\n"
        model = "    model: other/m\n" if section == "litellm_params" else ""
        return f"model_list:\n- model_name: a\n{more}  {section}:\n{model}    {key}: {value}\n"
    return f"{ONE}{section}:\n  {key}: {value}"


@pytest.mark.parametrize(("section", "key"), REFUSED)
def test_what_keeps_somebody_out_or_spending_down_is_not_passed_over(wrong, read, section, key):
    text = with_key(section, key, "[SECRET]")
    said = wrong(text)
    assert said.startswith(f"config.yaml:{len(text.splitlines())}: ")
    assert f"{key}: is LiteLLM's, and is not passed over: " in said
    assert "SECRET" not in said
    for off in ("null", "false"):
        if section not in {"litellm_params", ""}:
            assert read(with_key(section, key, off))[0].warnings == []


@pytest.mark.parametrize(("section", "key"), IGNORED)
def test_what_does_nothing_here_is_said(read, section, key):
    text = with_key(section, key, "SECRET")
    configured, client = read(text)
    [said] = configured.warnings
    assert f"config.yaml:{len(text.splitlines())}: " in said
    assert f"{key} is LiteLLM's and does nothing here" in said
    assert "SECRET" not in said
    assert list(client.router.models) == ["a"]


@pytest.mark.parametrize("value", ["presidio", "[langfuse, lakera_prompt_injection]"])
def test_a_callback_that_guards_is_refused(wrong, value):
    assert "litellm_settings.callbacks: one of them is a guard" in wrong(
        f"{ONE}litellm_settings: {{callbacks: {value}}}"
    )


def test_no_key_is_judged_twice():
    for section in SECTIONS.values():
        assert len(section.names) == len(set(section.names))


def test_a_short_master_key_is_warned_of(read):
    configured, _ = read(f"{ONE}general_settings: {{master_key: sk-1234}}")
    assert configured.gateway.master_key.get_secret_value() == "sk-1234"
    [said] = configured.warnings
    assert "general_settings.master_key is short" in said
    assert "sk-1234" not in said + repr(configured)


def test_accounts_by_id_provider_and_environment(read, monkeypatch):
    monkeypatch.setenv("NEEDS_KEY", "sk-needs-key")
    text = (
        "accounts: [{provider: other, id: x, api_base: 'http://127.0.0.1:1', extra_headers: {X-Team: a}}]\n"
        "models: {a: x/m, b: other/m/n, c: {account: x, model: o}, d: needs/m, e: {account: needs, model: os.environ/MODEL}}\n"
        "environment_variables: {MODEL: from-the-file}\n"
    )
    _, client = read(text)
    found = {name: (one.account.id, one.model) for name, [one] in client.router.models.items()}
    needs = found["d"][0]
    assert found == {
        "a": ("x", "m"),
        "b": ("x", "m/n"),
        "c": ("x", "o"),
        "d": (needs, "m"),
        "e": (needs, "from-the-file"),
    }
    settings = client.router.models.deployments("a")[0].account.settings
    assert (settings.base_url, settings.headers) == ("http://127.0.0.1:1", {"X-Team": "a"})
    assert client.router.models.deployments("d")[0].account.key_variable == "NEEDS_KEY"
    assert client.accounts.by_tag(client.router.models.deployments("d")[0].account.tag).id == needs


def test_errors_that_are_about_no_place_are_not_moved(read):
    with pytest.raises(ConfigurationError, match="no provider named 'other'"):
        read(ONE, Registry(points=[], wraps=()))
