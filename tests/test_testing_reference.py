"""docs/testing.md leaves nothing of callsheet.testing out."""

import inspect
from pathlib import Path

import pytest

from callsheet import testing
from callsheet.testing import Fault, Wire, checks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


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
