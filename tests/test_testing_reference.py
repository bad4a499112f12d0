"""docs/testing.md is what docs/generate_testing.py makes of callsheet.testing, and leaves nothing of it out."""

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callsheet import testing
from callsheet.testing import Fault, Wire, checks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_page_is_current():
    command = [sys.executable, str(ROOT / "docs" / "generate_testing.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_current_is_told(tmp_path):
    for name in ("generate_testing.py", "generated.py", "in_words.py"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    command = [sys.executable, str(tmp_path / "generate_testing.py")]
    assert subprocess.run([*command, "--check"], capture_output=True).returncode == 1, "there is none"
    assert subprocess.run(command).returncode == 0
    assert subprocess.run([*command, "--check"]).returncode == 0
    page = tmp_path / "testing.md"
    page.write_text(page.read_text(encoding="utf-8").replace("key_prefix", "key_word"), encoding="utf-8")
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run python docs/generate_testing.py" in done.stderr


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_is_there(name):
    assert f"\n### {name}\n" in TEXT or f"`{name}" in TEXT or f"\n## {name}\n" in TEXT


@pytest.mark.parametrize("name", checks.__all__)
def test_every_rule_is_there(name):
    assert any(f"\n- `{name}{after}" in TEXT for after in "(:= ")


def test_every_setting_and_method_of_a_wire_is_there():
    section = TEXT.partition("\n## Wire\n")[2].partition("\n## ")[0]
    inside = {"connected", "offers", "routes"}
    for name in {name for name in vars(Wire) if not name.startswith("_")} - inside:
        assert f"`{name}:" in section or f"`{name}(" in section, name
    for name, value in vars(Wire()).items():
        assert name.startswith("_") or f"- `{name}`: " in section, (name, value)


def test_every_fault_is_there():
    for name, _ in inspect.getmembers(Fault, inspect.ismethod):
        assert name.startswith("_") or f"- `Fault.{name}(" in TEXT, name
