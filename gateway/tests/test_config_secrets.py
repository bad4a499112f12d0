"""A secret that stands in a config file is never said again: not in errors, warnings, representations or --check."""

import json
import traceback

import pytest
from click.testing import CliRunner
from core.tests.echo import echo_registry
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationInfo, field_validator

from callsheet import ConfigurationError, Provider, ProviderSettings
from callsheet_gateway import make_client, read_config
from callsheet_gateway.serve import serve

SECRET = "sk-Canary_7f3A9bQx42-correct-horse"
LETTERS = "correcthorsebatterystaple"
PIECES = ("7f3A9bQx42", "correct", "horse", "Canary")

WRONG = [
    "S", "[S]", "{S: S}", "- S", "S:", "S: {a: S}", "model_list: S", "model_list: [S]", "model_list: {S: S}",
    "models: S", "models: [S]", "models: {S}", "models: {S: S}", "models: {a: S}", "models: {a: [S]}",
    "models: {a: {S: x}}", "models: {a: S/m}", "models: {a: S/}", "models: {a: {account: S, model: m}}",
    "models: {a: {account: [S], model: m}}", "models: {a: {account: other, model: [S]}}",
    "models: {a: {account: other, model: m, rpm: S}}", "models: {a: {account: other, model: m, weight: S}}",
    "models: {a: {account: other, model: m, info: S}}", "models: {'S*S*': other/m}", "models: {a: other/m, a: S}",
    "models: {S: other/m, S: other/n}", "models: {a: os.environ/S}", "models: {'os.environ/S': x}",
    "accounts: S\nmodels: {a: other/m}", "accounts: [S]\nmodels: {a: other/m}", "accounts: [{S: S}]\nmodels: {a: other/m}",
    "accounts: [{provider: S}]\nmodels: {a: other/m}", "accounts: [{provider: [S]}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, id: 'S S'}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, id: S}, {provider: other, id: S}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, id: [S]}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, S: x}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, api_key=S: x}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, api_keyS: x}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, api_key: [S]}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, api_key: {S: S}}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, api_key: os.environ/S}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, base_url: S}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, base_url: 'ftp://x:S@h'}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, timeout: S}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, headers: S}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, headers: {S: [S]}}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, headers: {S: os.environ/S}}]\nmodels: {a: other/m}",
    "accounts: [{provider: picky, base_url: 'https://S'}]\nmodels: {a: other/m}",
    "model_list: [{S: a}]", "model_list: [{model_name: [S]}]", 'model_list: [{model_name: "S\\u0007"}]',
    "model_list: [{model_name: a, litellm_params: S}]", "model_list: [{model_name: a, litellm_params: {S: S}}]",
    "model_list: [{model_name: S, litellm_params: {model: S}}]",
    "model_list: [{model_name: S, litellm_params: {model: S/S}}]",
    "model_list: [{model_name: S, litellm_params: {model: [S]}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, custom_llm_provider: S}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, custom_llm_provider: [S]}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, tpm: S}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, api_base: S, base_url: S}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, api_key: S, timeout: x}}]",
    "model_list: [{model_name: S, litellm_params: {model: other/m}}, {model_name: S, litellm_params: {model: other/*S}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m}, model_info: S}]",
    "models: {a: other/m}\ngeneral_settings: S", "models: {a: other/m}\ngeneral_settings: [S]",
    "models: {a: other/m}\ngeneral_settings: {S: S}", "models: {a: other/m}\ngeneral_settings: {master_key: [S]}",
    "models: {a: other/m}\ngeneral_settings: {master_key: {S: S}}",
    "models: {a: other/m}\ngeneral_settings: {master_key: 'S S'}",
    "models: {a: other/m}\ngeneral_settings: {master_key: Sö}",
    "models: {a: other/m}\ngeneral_settings: {master_key: os.environ/S}",
    "models: {a: other/m}\ngeneral_settings: {master_keyS: x}", "models: {a: other/m}\ngeneral_settings: {master_key S: x}",
    "models: {a: other/m}\ngeneral_settings: {allowed_ips: S}",
    "models: {a: other/m}\ngateway: S", "models: {a: other/m}\ngateway: {S: S}", "models: {a: other/m}\ngateway: {host: S}",
    "models: {a: other/m}\ngateway: {port: S}", "models: {a: other/m}\ngateway: {cors_origins: S}",
    "models: {a: other/m}\ngateway: {cors_origins: ['https://x:S@h']}", "models: {a: other/m}\ngateway: {data_dir: [S]}",
    "models: {a: other/m}\ngateway: {access_log: S}",
    "models: {a: other/m}\ngateway: {master_key: S}\ngeneral_settings: {master_key: S}",
    "models: {a: other/m}\nrouter_settings: {model_group_alias: {S: S}}",
    "models: {a: other/m}\nrouter_settings: {timeout: S}", "models: {a: other/m}\nlitellm_settings: {request_timeout: [S]}",
    "models: {a: other/m}\nlitellm_settings: {callbacks: [presidio, S]}",
    "models: {a: other/m}\nenvironment_variables: S", "models: {a: other/m}\nenvironment_variables: {S: [S]}",
    "models: {a: other/m}\nenvironment_variables: {A: os.environ/S}",
    "a: &S x\nb: *S\nc: *T", "a: *S", "a: &S 1\nb: &S 2", "a: !S x", "a: !!S x", "a: !S! x",
    "%S\n---\na", "a: 'S", 'a: "S\\q"', "a: `S",
    "a: @S", "a: b: S", "a:\n\t- S", "? [S]\n: x", "S: [", "a: {S", "a: |S", "a: 1\nS", "S: 1\nS: 2", "<<: S", "{a: 1}S",
    "a: 1\n--- S\n", "\x07S", "a: " + "[" * 40 + "S",
]  # fmt: skip

FINE = [
    "models: {a: other/m}\ngateway: {master_key: S}", "models: {a: other/m}\ngeneral_settings: {master_key: S, database_url: S}",
    "accounts: [{provider: other, api_key: S, headers: {Authorization: S}}]\nmodels: {a: other/m}",
    "accounts: [{provider: other, id: x, api_key: os.environ/KEY}]\nmodels: {a: x/m}\nenvironment_variables: {KEY: S}",
    "model_list: [{model_name: a, litellm_params: {model: other/m, api_key: S, base_url: 'https://u:S@x.example/?key=S'}}]",
    "model_list: [{model_name: a, litellm_params: {model: other/m, max_retries: S}, model_info: {S: S, id: S}}]",
    "models: {a: other/m}\nlitellm_settings: {cache_params: {password: S}, callbacks: S}\ncallback_settings: {S: S}",
    "models: {a: other/m}\nenvironment_variables: {S: S}",
]  # fmt: skip


class Picky(Provider):
    """A plugin whose words quote what they are given."""

    class Settings(ProviderSettings):
        @field_validator("base_url")
        @classmethod
        def _none_is_right(cls, value: str | None, info: ValidationInfo) -> str | None:
            raise ValueError(f"{value} is not right")


@pytest.fixture
def registry(monkeypatch):
    """The providers of all clients that are made here."""
    found = echo_registry()
    found.register("picky", Picky)
    monkeypatch.setattr("callsheet.client_base._registry", found)
    return found


def hidden(text):
    return not [piece for piece in PIECES if piece.lower() in text.lower()]


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("secret", [SECRET, LETTERS, LETTERS.upper()], ids=["key", "letters", "capitals"])
@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_errors_hold_no_secret(tmp_path, text, secret):
    if "os.environ/S" in text and secret.isupper():
        pytest.skip("this is how variables look, and they are named")
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("S", secret))
    with pytest.raises(ConfigurationError) as caught:
        make_client(read_config(path))
    error = caught.value
    assert str(error).startswith(f"{path}")
    assert hidden(f"{error} {error!r} {error.args}")
    assert hidden("".join(traceback.format_exception_only(error)))
    assert error.__cause__ is None
    assert error.__suppress_context__
    for words in ([], ["--json"]):
        done = CliRunner().invoke(serve, ["--config", str(path), "--check", *words])
        assert done.exit_code == 1
        assert hidden(done.output)
        assert not words or json.loads(done.stdout)["ok"] is False


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("text", FINE, ids=range(len(FINE)))
def test_what_is_fine_holds_none_either(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("S", SECRET))
    configured = read_config(path)
    client = make_client(configured)
    assert hidden(f"{configured!r} {configured.warnings} {configured.gateway!r} {client!r}")
    assert configured.gateway.master_key in {None, SecretStr(SECRET)}
    for words in ([], ["--json"]):
        done = CliRunner().invoke(serve, ["--config", str(path), "--check", *words])
        assert (done.exit_code, hidden(done.output)) == (0, True), done.output


TOKENS = st.sampled_from([
    SECRET, f"{SECRET}: ", f"- {SECRET}", f"*{SECRET}", f"&{SECRET} ", f"!{SECRET} ", f"os.environ/{SECRET}", f"'{SECRET}'",
    "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ",", ": ", "<<: ", "'", '"', "|\n", "#", "\t", "---\n", "?", "%",
    "models:", "model_list:", "model_name: ", "litellm_params: ", "model: ", "other/m", "accounts:", "provider: other",
    "general_settings:", "master_key: ", "gateway:", "environment_variables:", "api_key: ", "timeout: ", "a: other/m", "\x00",
])  # fmt: skip
JUNK = st.binary(max_size=60) | st.lists(TOKENS, max_size=14).map(lambda words: "".join(words).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(JUNK)
@example(f"models: {{a: {SECRET}/m}}".encode())
def test_junk_is_refused_and_not_repeated(registry, tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    said = ""
    try:
        configured = read_config(path)
        said = repr(configured) + "".join(configured.warnings)
        make_client(configured)
    except ConfigurationError as error:
        said += str(error)
    assert hidden(said)
