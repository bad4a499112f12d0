"""`callsheet serve` as a command."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gateway.tests.serving import serving

CALLSHEET = str(Path(sys.executable).parent / "callsheet")


def run(*words, **options):
    return subprocess.run([CALLSHEET, "serve", *words], capture_output=True, text=True, timeout=60, **options)


def write(path, text):
    path.write_text(text)
    return str(path)


def test_it_prints_a_curl_that_works_and_ends_at_ctrl_c(tmp_path):
    process = subprocess.Popen(
        [CALLSHEET, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "CALLSHEET_LOCAL_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = []
    while not lines or not lines[-1].endswith("-o video.mp4\n"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    assert lines[0].startswith("Callsheet gateway: http://127.0.0.1:")
    curl = "".join(lines[-6:-4])
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["status"] == "queued"
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
        ("", "a 'model_list' is wanted"),
        ("- a", "a 'model_list' is wanted"),
        ("model_list: [", "config.yaml"),
        ("model_list:\n- model_name: a\n  model_name: b\n", "the key 'model_name' is there twice"),
        ("model_list: [{model_name: a, litellm_params: {model: x/y}}]", "no provider named 'x'"),
        (
            "model_list: [{model_name: a, litellm_params: {model: local/y}}]\nrouter_settings: {}",
            "config.yaml: config: router_settings: LiteLLM's, and not read yet",
        ),
        ("model_list: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [a, b]\n: 1\nmodel_list: []", "unhashable key"),
        ("a: &a [x]\nb: &b [*a,*a]\nmodel_list: 3", "'model_list' is a list of mappings|a, b: unknown"),
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
    assert "is not a loopback address" in run("--host", "0.0.0.0").stderr
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
