"""The pages that are made of the code are what their scripts make of it now, and one that is not is told."""

import subprocess
import sys

import pytest
from tests.test_docs import ROOT

SCRIPTS = {
    "generate_checks.py": "conformance.md",
    "generate_hooks.py": "hooks.md",
    "generate_matrix.py": "providers.md",
    "generate_testing.py": "testing.md",
}
WHOLE = {"generate_hooks.py", "generate_testing.py"}
"""Those whose page is theirs from its first line to its last."""


def run(folder, script, *words):
    command = [sys.executable, str(folder / script), *words]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_script_is_held():
    assert {script.name for script in (ROOT / "docs").glob("generate_*.py")} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_page_is_current(script):
    done = run(ROOT / "docs", script, "--check")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path):
    """The scripts and their pages, to spoil."""
    (tmp_path / "docs").mkdir()
    for name in ("generated.py", "in_words.py", *SCRIPTS, *SCRIPTS.values()):
        (tmp_path / "docs" / name).write_bytes((ROOT / "docs" / name).read_bytes())
    for file in (ROOT / "plugins").glob("*/pyproject.toml"):
        (tmp_path / "plugins" / file.parent.name).mkdir(parents=True)
        (tmp_path / "plugins" / file.parent.name / file.name).write_bytes(file.read_bytes())
    return tmp_path / "docs"


@pytest.mark.parametrize(
    ("script", "old", "new"),
    [
        ("generate_checks.py", "If this fails:", "Otherwise:"),
        ("generate_checks.py", "#### W05", "#### W16"),
        ("generate_hooks.py", "generate_video", "make_video"),
        ("generate_matrix.py", "| vendor cannot |", "| works |"),
        ("generate_testing.py", "key_prefix", "key_word"),
    ],
)
def test_a_page_that_is_not_current_is_told(copy, script, old, new):
    page = copy / SCRIPTS[script]
    before = page.read_text(encoding="utf-8")
    assert old in before
    page.write_text(before.replace(old, new), encoding="utf-8")
    done = run(copy, script, "--check")
    assert done.returncode == 1
    assert f"run python docs/{script}" in done.stderr
    assert run(copy, script).returncode == 0
    assert page.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("script", sorted(WHOLE))
def test_a_page_that_is_not_there_is_told_and_made(copy, script):
    page = copy / SCRIPTS[script]
    before = page.read_text(encoding="utf-8")
    page.unlink()
    assert run(copy, script, "--check").returncode == 1
    assert run(copy, script).returncode == 0
    assert page.read_text(encoding="utf-8") == before


def test_a_page_without_its_place_is_told(copy):
    page = copy / "conformance.md"
    page.write_text(page.read_text(encoding="utf-8").replace("<!-- checks ends -->", ""), encoding="utf-8")
    done = run(copy, "generate_checks.py")
    assert done.returncode == 1
    assert "<!-- checks ends -->" in done.stderr
