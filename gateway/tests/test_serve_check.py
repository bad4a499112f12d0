"""`callsheet serve --check`: says what would run, and touches nothing. And what a file says of the server itself."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway.tests.serving import serving

from callsheet_gateway.serve import serve

CALLSHEET = str(Path(sys.executable).parent / "callsheet")
FILE = """\
accounts:
  - {provider: openai, id: team-a, api_key: os.environ/TEAM_KEY, base_url: "https://user:pass@api.example/v1?key=1"}
  - {provider: openai, id: team-b, api_key: sk-in-the-file}
models:
  film: {account: team-a, model: sora-2, rpm: 60}
  talk: team-b/gpt-realtime
  text: local/scribe-1
gateway: {port: 4321, cors_origins: "http://localhost:5173", data_dir: data}
general_settings: {database_url: "postgres://user:pass@db"}
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs --check over a text in this process, where no socket can be made."""
    monkeypatch.setenv("TEAM_KEY", "sk-of-the-environment")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config.yaml"

    def no_socket(*_words, **_more):
        raise AssertionError("--check makes no socket")

    def run(text, *words):
        path.write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", no_socket)
            return CliRunner().invoke(serve, ["--config", str(path), "--check", *words])

    return run


def test_as_data(check, tmp_path):
    done = check(FILE, "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    film, talk, text = document["models"]
    assert film == {
        "name": "film", "provider": "openai", "model": "sora-2", "account": "team-a", "address": "https://api.example/v1",
        "key": {"from": "environment", "variable": "TEAM_KEY"}, "rpm": 60,
    }  # fmt: skip
    assert (talk["account"], talk["key"]) == ("team-b", {"from": "file"})
    assert (text["provider"], text["model"], text["key"], text["address"]) == (
        "local",
        "scribe-1",
        {"from": "none"},
        None,
    )
    assert document["gateway"] == {
        "host": "127.0.0.1", "port": 4321, "master_key": False, "cors_origins": ["http://localhost:5173"],
        "data_dir": str(tmp_path / "data"),
        "limits": {
            "max_requests": 1000, "max_requests_per_key": 200, "max_uploads_per_key": 4, "max_spool": 2 * 1024**3,
            "max_memory": 512 * 1024**2, "unread_seconds": 180.0, "notice_seconds": 2.0, "grace_seconds": 30.0,
            "token_seconds": 120,
        },
        "single_use_tokens": True,
    }  # fmt: skip
    assert document["routing"] == {"strategy": "shuffle", "retries": 2, "fallbacks": {}, "default_fallbacks": []}
    [database] = document["warnings"]
    assert "config.yaml:9: general_settings.database_url is LiteLLM's and does nothing here" in database
    assert document["ok"] is True
    assert not [secret for secret in ("user:pass", "sk-", "key=1") if secret in done.output]


def test_for_people(check):
    done = check(FILE)
    assert done.exit_code == 0
    for line in (
        "  film",
        "    sora-2 at openai, account team-a",
        "    https://api.example/v1, key from TEAM_KEY",
        "    rpm 60",
        "    https://api.openai.com/v1, key in the file",
        "    no address, no key",
        "  shuffle, at most 3 attempts",
        "  listens on 127.0.0.1, port 4321",
        "  master key: none",
        "  at most 200 of them by one key",
        "  at most 2,147,483,648 bytes of uploads on the disk",
        "  at most 536,870,912 bytes of large bodies in memory",
        "  at most 180 seconds for a client to take something of its answer",
        "  ephemeral keys: for one call each",
    ):
        assert line in done.stdout.splitlines()
    assert done.stderr.count("warning: ") == 1
    assert not [secret for secret in ("user:pass", "sk-") if secret in done.output]


def test_keys_for_more_than_one_call_are_said(check):
    text = FILE.replace("port: 4321", "single_use_tokens: false")
    assert "  ephemeral keys: for any number of calls" in check(text).stdout.splitlines()
    assert json.loads(check(text, "--json").stdout)["gateway"]["single_use_tokens"] is False


def test_a_mistake_is_exit_code_1(check):
    done = check("modle_list: []\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "config.yaml:1: unknown key 'modle_list'. Did you mean 'model_list'?" in done.stderr
    done = check("models: {a: locl/x}\n", "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert document["error"]["type"] == "ConfigurationError"
    assert (
        "config.yaml:1: models (entry 1): no provider named 'locl' is installed. Did you mean 'local'?" in done.stdout
    )


def test_options_win_over_the_file(check):
    done = check(FILE, "--json", "--port", "0", "--host", "::1", "--cors-origin", "http://a.example")
    gateway = json.loads(done.stdout)["gateway"]
    assert (gateway["host"], gateway["port"], gateway["cors_origins"]) == ("::1", 0, ["http://a.example"])


def test_a_master_key_is_passed_on_and_not_shown(check):
    done = check(f"{FILE.replace('general_settings', 'litellm_settings').replace('database_url', 'cache_params')}"
                 "general_settings: {master_key: sk-master-0123456789}\n", "--json")  # fmt: skip
    assert json.loads(done.stdout)["gateway"]["master_key"] is True
    assert "sk-master" not in done.output


def test_without_a_file_it_says_what_is_embedded():
    done = CliRunner().invoke(serve, ["--check", "--json"])
    assert done.exit_code == 0
    assert {model["provider"] for model in json.loads(done.stdout)["models"]} == {"local"}


def test_what_an_account_lacks_is_said(check):
    done = check("models: {a: openai/m, b: openai/n}\n")
    assert done.exit_code == 0
    assert (
        done.stderr.count("has no api_key, without which calls may fail: set OPENAI_API_KEY, or give it in the file")
        == 1
    )


def test_as_a_command(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("models: {text: local/scribe-1}\n")
    done = subprocess.run(
        [CALLSHEET, "serve", "--config", str(path), "--check"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Models:\n  text\n    scribe-1 at local")
    path.write_text("models: {text: local/scribe-1}\ngeneral_settings: {max_budget: 5}\n")
    done = subprocess.run(
        [CALLSHEET, "serve", "--config", str(path), "--check"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.yaml:2: general_settings.max_budget: is LiteLLM's, and is not passed over: it limits" in done.stderr


def test_a_server_in_the_plainer_spelling(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("models: {text: {account: local, model: scribe-1, rpm: 5}}\ngateway: {port: 1}\n")
    with serving(tmp_path / "data", "--config", str(path)) as gateway, gateway.http() as http:  # --port 0 wins
        answer = http.post("/responses", json={"model": "text", "input": "What is 6 times 7?"}).json()
        assert (answer["model"], answer["status"]) == ("text", "completed")
        for _ in range(4):
            assert http.post("/responses", json={"model": "text", "input": "hi"}).status_code == 200
        refused = http.post("/responses", json={"model": "text", "input": "hi"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "deployments_at_limit")
        assert 50 < float(refused.headers["retry-after"]) <= 60
