"""`callsheet serve` as a command."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from gateway.tests.serving import serving

CALLSHEET = str(Path(sys.executable).parent / "callsheet")


def run(*words, **options):
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "CALLSHEET_GATEWAY_DIR": folder}
        return subprocess.run(
            [CALLSHEET, "serve", *words], capture_output=True, text=True, timeout=60, env=env, **options
        )


def write(path, text):
    path.write_text(text)
    return str(path)


def test_it_prints_a_curl_that_works_and_ends_at_ctrl_c(tmp_path):
    process = subprocess.Popen(
        [CALLSHEET, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "CALLSHEET_LOCAL_DIR": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = []
    while not lines or not lines[-1].endswith("-o video.mp4\n"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    assert lines[0].startswith("Callsheet gateway: http://127.0.0.1:")
    export, _, curl = "".join(lines[lines.index("Try it in another terminal:\n") + 1 :]).partition("\n\n")
    assert f"shown this once; it stands in {tmp_path / 'callsheet' / 'gateway' / 'master-key'}" in export
    curl = curl.partition("\n\n")[0]
    answer = subprocess.run(["bash", "-c", f"{export}\n{curl}"], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["status"] == "queued"
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["error"]["code"] == "missing_api_key"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stderr.read() == "The gateway has ended.\n"
    process.stdout.close()
    process.stderr.close()


def test_a_config_names_the_models(tmp_path):
    config = write(
        tmp_path / "config.yaml",
        "model_list:\n- model_name: sora-2\n  litellm_params: {model: local/motion-1}\n"
        "- &talk\n  model_name: gpt-5.4\n  litellm_params: {model: local/scribe-1}\n  model_info: {mode: chat}\n"
        "- <<: *talk\n  model_name: gpt-6\n",
    )
    with serving(tmp_path / "data", "--config", config) as gateway, gateway.http() as http:
        assert gateway.models == ["sora-2", "gpt-5.4", "gpt-6"]
        made = http.post("/videos", json={"model": "sora-2", "prompt": "a", "size": "64x64", "seconds": "1"}).json()
        assert made["model"] == "sora-2"
        assert http.get(f"/videos/{made['id']}").json()["model"] == "sora-2"
        unknown = http.post("/videos", json={"model": "local/motion-1", "prompt": "a"})
        assert unknown.status_code == 404
        assert "there are: sora-2, gpt-5.4, gpt-6" in unknown.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "config.yaml: a mapping with a 'model_list'"),
        ("- a", "config.yaml: a mapping with a 'model_list'"),
        ("model_list: [", ": this is not YAML: did not find expected node"),
        ("model_list:\n- model_name: a\n  model_name: b\n", "config.yaml:3: this key is there twice"),
        ("model_list: [{model_name: a, litellm_params: {model: x/y}}]", "no provider named 'x'"),
        (
            "model_list: [{model_name: a, litellm_params: {model: local/y}}]\nrouter_settings: {timeot: 1}",
            "config.yaml:2: router_settings: unknown key 'timeot'. Did you mean 'timeout'",
        ),
        ("model_list: !!python/object/apply:os.system [ls]", "config.yaml:1: tags (!...) are not read"),
        ("? [a, b]\n: 1\nmodel_list: []", "a key must be a plain text"),
        ("a: &a [x]\nb: &b [*a,*a]\nmodel_list: 3", "config.yaml:1: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_config_says_where(tmp_path, text, words):
    done = run("--config", write(tmp_path / "config.yaml", text))
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert any(word in done.stderr for word in words.split("|"))
    assert "Traceback" not in done.stderr


def test_what_else_can_be_wrong(tmp_path):
    assert "is not a loopback address" in run("--host", "0.0.0.0", "--no-keys").stderr
    assert "No such file" in run("--config", str(tmp_path / "none.yaml")).stderr
    with serving(tmp_path / "data") as gateway:
        taken = run("--port", gateway.root.rpartition(":")[2])
        assert taken.returncode == 5
        assert "is taken by another program: try --port" in taken.stderr


def test_no_embedded_provider(monkeypatch):
    monkeypatch.setenv("CALLSHEET_PROVIDERS", "stub")
    done = run()
    assert done.returncode == 5
    assert "no provider that works without a key is installed" in done.stderr


def test_keys_of_the_environment_open_no_door(tmp_path):
    """Without a config only the embedded provider is served, whatever the environment would allow."""
    with serving(tmp_path / "data", OPENAI_API_KEY="sk-should-not-be-used") as gateway, gateway.http() as http:
        for model in ("openai/sora-2", "stub/x", "motion-1"):
            answer = http.post("/videos", json={"model": model, "prompt": "a"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_the_master_key_is_shown_once_and_kept(tmp_path):
    """Also over a restart, and other than one from outside."""
    folder = tmp_path / "data"
    with serving(folder, CALLSHEET_MASTER_KEY="sk-from-outside") as gateway, gateway.http() as http:
        assert http.get("/models").status_code == 401
        assert http.get("/models", headers={"authorization": "Bearer sk-from-outside"}).status_code == 200
    assert not (folder / "gateway" / "master-key").exists()
    for number in range(2):
        process = subprocess.Popen(
            [CALLSHEET, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                "PATH": "/usr/bin:/bin",
                "CALLSHEET_LOCAL_DIR": str(folder),
                "CALLSHEET_GATEWAY_DIR": str(folder / "gateway"),
            },
        )
        assert process.stdout is not None
        said = ""
        while "-o video.mp4" not in said:
            said += process.stdout.readline()
        key = (folder / "gateway" / "master-key").read_text().strip()
        assert (key in said) == (number == 0)
        assert "export CALLSHEET_MASTER_KEY=" in said
        base = said.split()[2]
        assert (
            httpx.get(f"{base}/models", headers={"authorization": f"Bearer {key}"}, trust_env=False).status_code == 200
        )
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def test_keys_are_made_and_withdrawn_while_it_runs(tmp_path):
    def keys(*words):
        done = subprocess.run(
            [CALLSHEET, "keys", *words, "--data-dir", str(tmp_path / "data" / "gateway"), "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    with serving(tmp_path / "data", CALLSHEET_MASTER_KEY="sk-from-outside") as gateway, gateway.http() as http:
        made = keys("create", "shop", "--owner", "acme", "--model", "local/scribe-1", "--expires-in", "1h")
        shown = {"authorization": f"Bearer {made['key']}"}
        assert [model["id"] for model in http.get("/models", headers=shown).json()["data"]] == ["local/scribe-1"]
        assert [key["shown"] for key in keys("list")["keys"]] == [made["key"][:10] + "..."]
        rotated = keys("rotate", made["id"])["key"]
        until = time.monotonic() + 1
        while http.get("/models", headers=shown).status_code == 200:
            assert time.monotonic() < until, "the old secret is good for more than a second"
        shown = {"authorization": f"Bearer {rotated}"}
        assert http.get("/models", headers=shown).status_code == 200
        keys("disable", made["id"])
        until = time.monotonic() + 1
        while http.get("/models", headers=shown).status_code == 200:
            assert time.monotonic() < until, "a disabled key is good for more than a second"


def test_jobs_outlive_a_restart_and_a_rotation_of_the_root_key(tmp_path):
    folder, outside = tmp_path / "data", {"CALLSHEET_MASTER_KEY": "sk-from-outside"}
    headers = {"authorization": "Bearer sk-from-outside"}
    document = {"model": "local/motion-1", "prompt": "A fox", "size": "64x64", "seconds": "1"}
    with serving(folder, **outside) as gateway, gateway.http(headers=headers) as http:
        id = http.post("/videos", json=document).json()["id"]
    subprocess.run(
        [CALLSHEET, "keys", "rotate-root", "--data-dir", str(folder / "gateway")], check=True, capture_output=True
    )
    with serving(folder, **outside) as gateway, gateway.http(headers=headers) as http:
        assert http.get(f"/videos/{id}").json()["id"] == id
        other = http.post("/videos", json=document).json()["id"]
        assert [video["id"] for video in http.get("/videos").json()["data"]] == [other, id]
        assert other[:12] != id[:12]  # the key's number stands in the id
        assert http.post("/videos/edits", json={"video": {"id": id}, "prompt": "x"}).status_code in {200, 409, 400}


def test_keys_that_nobody_asks_for_are_warned_of(tmp_path):
    """And where they are kept is said, where `callsheet keys` would look elsewhere."""
    open_, keyed = tmp_path / "open.yaml", tmp_path / "keyed.yaml"
    models = "model_list:\n- model_name: m\n  litellm_params: {model: local/motion-1}\n"
    write(open_, models)
    write(keyed, f"{models}general_settings: {{master_key: sk-of-a-test-0123456789}}\n")
    env = {**os.environ, "CALLSHEET_GATEWAY_DIR": str(tmp_path / "gateway"), "CALLSHEET_LOCAL_DIR": str(tmp_path)}
    said = {}
    for number, words in enumerate([[str(open_)], [str(open_)], [str(keyed), "--data-dir", str(tmp_path / "else")]]):
        with subprocess.Popen(
            [CALLSHEET, "serve", "--port", "0", "--config", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        ) as process:  # fmt: skip
            lines = []
            while not lines or not lines[-1].startswith("Try it"):
                lines.append(process.stdout.readline())
                assert lines[-1]
            process.send_signal(signal.SIGINT)
            said[number] = "".join(lines), process.communicate(timeout=20)[1]
        if number == 0:
            subprocess.run([CALLSHEET, "keys", "create", "a"], check=True, env=env, capture_output=True)
    assert "warning" not in said[0][1]
    assert "no key is asked for, though there are virtual keys" in said[1][1]
    assert "warning" not in said[2][1]
    assert f"callsheet keys create NAME --data-dir {tmp_path / 'else'}\n" in said[2][0]
