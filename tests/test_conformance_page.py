"""docs/conformance.md has every check under its anchor; the table in docs/providers.md is what our plugins say."""

import re

import pytest
from tests.test_docs import ROOT
from tests.test_site import Page, build

from callsheet import OPERATIONS, Registry
from callsheet.testing.kit.catalogue import PAGE, checks_of
from callsheet.testing.kit.provider_tests import ProviderTests

CHECKS = sorted(checks_of(ProviderTests).values(), key=lambda check: check.id)


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
