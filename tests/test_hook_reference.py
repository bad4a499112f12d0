"""docs/hooks.md is what docs/generate_hooks.py makes of the contract, and leaves nothing of it out."""

import subprocess
import sys
from pathlib import Path

import pytest

from callsheet.operations import OPERATIONS
from callsheet.spec import HOOKS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "hooks.md"


def section(name: str) -> str:
    """What the page says of a hook."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n### {name}\n")[2].partition("\n### ")[0]


def test_the_page_is_current():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate_hooks.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_current_is_told(tmp_path):
    for name in ("generate_hooks.py", "generated.py", "in_words.py"):
        (tmp_path / name).write_bytes((ROOT / "docs" / name).read_bytes())
    command = [sys.executable, str(tmp_path / "generate_hooks.py")]
    assert subprocess.run(command).returncode == 0
    assert subprocess.run([*command, "--check"]).returncode == 0
    page = tmp_path / "hooks.md"
    page.write_text(page.read_text(encoding="utf-8").replace("generate_video", "make_video"), encoding="utf-8")
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run python docs/generate_hooks.py" in done.stderr


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_told_in_full(name):
    operation, text = OPERATIONS[name], section(name)
    assert f"request: {operation.request.__name__}, io: IO)" in text
    assert f"`{operation.method} /v1{operation.route}`" in text
    assert "New in " in text
    assert ("May start paid work." if operation.billable else "Costs nothing.") in text
    assert "Sent again" in text
    for field in set(operation.request.model_fields) - {"model"}:
        assert f"| `{field}` |" in text
    assert ("| `model` |" in text) is operation.takes_model
