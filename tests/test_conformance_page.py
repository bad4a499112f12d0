"""docs/conformance.md has every check under its anchor; the table in docs/providers.md is what our plugins say."""

import re
import subprocess
import sys

import pytest
from tests.test_docs import ROOT
from tests.test_site import Page, build

from callsheet import OPERATIONS, Registry
from callsheet.testing.kit.catalogue import PAGE, checks_of
from callsheet.testing.kit.provider_tests import ProviderTests

CHECKS = sorted(checks_of(ProviderTests).values(), key=lambda check: check.id)
SCRIPTS = {"generate_checks.py": "conformance.md", "generate_matrix.py": "providers.md"}


def run(folder, script, *words):
    command = [sys.executable, str(folder / script), *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_page_is_current(script):
    done = run(ROOT / "docs", script, "--check")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path):
    """The scripts and their pages, to spoil."""
    (tmp_path / "docs").mkdir()
    for name in ("generated.py", *SCRIPTS, *SCRIPTS.values()):
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
        ("generate_matrix.py", "| vendor cannot |", "| works |"),
    ],
)
def test_a_page_that_is_not_current_is_told(copy, script, old, new):
    assert run(copy, script).returncode == 0
    page = copy / SCRIPTS[script]
    before = page.read_text(encoding="utf-8")
    assert old in before
    page.write_text(before.replace(old, new), encoding="utf-8")
    done = run(copy, script, "--check")
    assert done.returncode == 1
    assert f"run python docs/{script}" in done.stderr
    assert run(copy, script).returncode == 0
    assert page.read_text(encoding="utf-8") == before


def test_a_page_without_its_place_is_told(copy):
    page = copy / "conformance.md"
    page.write_text(page.read_text(encoding="utf-8").replace("<!-- checks ends -->", ""), encoding="utf-8")
    done = run(copy, "generate_checks.py")
    assert done.returncode == 1
    assert "<!-- checks ends -->" in done.stderr


def test_each_check_has_its_anchor_on_the_site(tmp_path):
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    anchors = Page(tmp_path / "site" / PAGE.replace(".md", ".html")).anchors
    for check in CHECKS:
        name, _, anchor = check.anchor.partition("#")
        assert name == PAGE
        assert anchor in anchors


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_is_told_in_full(check):
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    section = re.split(r"^#+ ", text.partition(f"\n#### {check.id}\n")[2], maxsplit=1, flags=re.M)[0]
    assert check.title
    assert check.remedy
    assert check.title in section
    assert check.remedy in section
    assert "Asked of " in section


def test_the_table_of_providers_knows_every_operation():
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[`(\w+)`\]\(hooks\.md#\1\) \| (.*) \|$", text, re.M))
    assert list(rows) == list(OPERATIONS)
    ours = {file.parent.name for file in (ROOT / "plugins").glob("*/pyproject.toml")}
    infos = [info for info in Registry().describe() if info.name in ours and info.operations]
    [columns] = re.findall(r"^\| \| (\[.*\)) \|$", text, re.M)
    assert sorted(re.findall(r"\[(\w+)\]", columns)) == sorted(info.name for info in infos)
    for number, name in enumerate(re.findall(r"\[(\w+)\]", columns)):
        [info] = [info for info in infos if info.name == name]
        for operation, cells in rows.items():
            cell = cells.split(" | ")[number]
            assert cell.startswith(("vendor cannot", "not yet")) is (operation not in info.operations), (
                name,
                operation,
            )
