"""The checks that look at a distribution: S01, S12, S13. Each of them finds what is wrong with one."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import distributions

import pytest
from core.tests.kit_mutants_unseen import ACME
from core.tests.kit_runner import complaint
from core.tests.test_cli.test_new_provider import CACHE

from callsheet.testing.kit.bench import Bench

GOOD = {
    "kitx/__init__.py": ACME.read_text(encoding="utf-8"),
    "kitx/py.typed": "",
    "kitx-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: kitx\nVersion: 1.0\nLicense-Expression: MIT\nRequires-Dist: callsheet>=0.1,<1\n"
    ),
    "kitx-1.0.dist-info/entry_points.txt": "[callsheet.providers]\nkitx = kitx:Acme\n",
}
META = GOOD["kitx-1.0.dist-info/METADATA"]
BROKEN = {
    "another distribution has the name": (
        "S01",
        {
            "other-1.0.dist-info/METADATA": META.replace("Name: kitx", "Name: other"),
            "other-1.0.dist-info/entry_points.txt": "[callsheet.providers]\nkitx = kitx:AcmeSettings\n",
        },
        "several distributions claim the name 'kitx'",
    ),
    "a name that no command line likes": ("S01", {}, "names are in lower case"),
    "a wrong type": (
        "S12",
        {"kitx/__init__.py": GOOD["kitx/__init__.py"].replace('order["length"] = int(', 'order["length"]: str = int(')},
        "mypy --strict",
    ),
    "no py.typed": ("S13", {"kitx/py.typed": None}, "has no py.typed"),
    "no licence": (
        "S13",
        {"kitx-1.0.dist-info/METADATA": META.replace("License-Expression: MIT\n", "")},
        "names no licence",
    ),
    "no upper bound": (
        "S13",
        {"kitx-1.0.dist-info/METADATA": META.replace(",<1", "")},
        "it must need callsheet with an upper bound",
    ),
    "a bound on something else": (
        "S13",
        {"kitx-1.0.dist-info/METADATA": META.replace("callsheet>=0.1,<1", 'callsheet>=0.1; python_version < "4"')},
        "it must need callsheet with an upper bound",
    ),
    "no dependency": (
        "S13",
        {"kitx-1.0.dist-info/METADATA": META.replace("Requires-Dist: callsheet>=0.1,<1\n", "Requires-Dist: httpx\n")},
        "it must need callsheet with an upper bound",
    ),
    "tests inside": ("S13", {"kitx/test_it.py": "def test(): pass\n"}, "tests in the package: test_it.py"),
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    def install(changes):
        for name, text in {**GOOD, **changes}.items():
            if text is not None:
                file = tmp_path / name
                file.parent.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "kitx", raising=False)
        kind = importlib.import_module("kitx").Acme
        [owner] = [one for one in distributions(path=[str(tmp_path)]) if one.name == "kitx"]
        [point] = owner.entry_points
        bench = Bench("kitx", kind, None, point)
        bench.cache = CACHE
        return bench

    yield install
    sys.modules.pop("kitx", None)


@pytest.mark.parametrize("id", ["S01", "S12", "S13"])
def test_a_good_one_passes(installed, id):
    bench = installed({})
    assert complaint(bench, id) is None
    bench.close()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_found(installed, name):
    id, changes, words = BROKEN[name]
    bench = installed(changes)
    if "no command line" in name:
        bench.name = "Kit X"
    assert words in (complaint(bench, id) or "nothing was found")
    bench.close()
