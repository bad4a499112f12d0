"""dev.py: what a fresh clone is set up with. (A whole set-up is what every run of these tests stands on.)"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def dev(tmp_path):
    """dev.py as a module, in a small copy of the repository."""
    shutil.copy(ROOT / "dev.py", tmp_path)
    for file in [
        "pyproject.toml",
        "constraints.txt",
        "core/pyproject.toml",
        *(f"plugins/{n}/pyproject.toml" for n in ("stub", "local")),
    ]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    spec = importlib.util.spec_from_file_location("dev", tmp_path / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_distribution_is_installed_editable_with_the_constraints(dev):
    words = dev.requirements()
    folders = [word for before, word in pairwise(words) if before == "-e"]
    assert [Path(folder).name for folder in folders] == ["core[cli]", "local", "stub"]
    assert words[-2] == "-c"
    assert any(word.startswith("pytest") for word in words)


def test_a_changed_pyproject_installs_again(dev, tmp_path):
    before = dev.stamp()
    assert dev.stamp() == before
    with (tmp_path / "plugins/stub/pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    assert dev.stamp() != before


def test_uv_gets_the_index_that_pip_was_told_to_use(dev, monkeypatch, tmp_path):
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/root")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://second.example/root file://{tmp_path} file:///gone/for/good")
    monkeypatch.setenv("PIP_CERT", "/etc/some.pem")
    env = dev.uv_environment([sys.executable, "-m", "pip"])
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/root"
    assert env["UV_INDEX"] == f"https://second.example/root file://{tmp_path}"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert env["SSL_CERT_FILE"] == "/etc/some.pem"


def test_constraints_hold_no_address():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 30
    assert not [line for line in lines if "://" in line or "@" in line]


def test_help_and_unknown_names():
    def run(*words):
        return subprocess.run([sys.executable, ROOT / "dev.py", *words], capture_output=True, text=True)

    assert "python3 dev.py demo" in run("--help").stdout
    bench = run("bench")
    assert bench.returncode == 1
    assert "dispatch" in bench.stderr
    unknown = run("no-such-command")
    assert unknown.returncode == 127
    assert "no such command" in unknown.stderr


PATIENT = """
import sys, time
try:
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.7)  # hangs up, closes, tells how to go on
    print("ended in its own way", flush=True)
    sys.exit(7)
"""


def test_ctrl_c_leaves_the_command_its_own_end():
    command = [sys.executable, "dev.py", "python", "-c", PATIENT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to dev.py and to what it runs
        out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("ended in its own way\n", 7)
