"""docs/hooks.md leaves nothing of the contract out."""

from pathlib import Path

import pytest

from callsheet.operations import OPERATIONS
from callsheet.spec import HOOKS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "hooks.md"


def section(name: str) -> str:
    """What the page says of a hook."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n### {name}\n")[2].partition("\n### ")[0]


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
