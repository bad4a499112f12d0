"""Write the list of checks in docs/conformance.md out of the conformance kit's docstrings.

python docs/generate_checks.py          write it
python docs/generate_checks.py --check  fail if it is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from generated import put

from _callsheet_pytest import GROUPS as MEANINGS
from callsheet import OPERATIONS
from callsheet.testing.kit.catalogue import GROUPS, Check, checks_of
from callsheet.testing.kit.provider_tests import ProviderTests

PAGE = Path(__file__).with_name("conformance.md")


def text() -> str:
    """The checks by their groups, each below a heading of its id: that is its anchor."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    checks = sorted(checks_of(ProviderTests).values(), key=lambda check: check.id)
    for letter, group in GROUPS.items():
        yield f"### {letter}: {group}\n\n{_sentence(MEANINGS[group])}\n"
        for check in checks:
            if check.group == group:
                yield f"#### {check.id}\n\n{check.title}\n"
                yield f"*If this fails:* {check.remedy}\n\n{_asked(check)}\n"


def _asked(check: Check) -> str:
    """Of what it is asked, and whether that may be without a vendor."""
    embedded = " Embedded providers are asked, too." if not check.vendor and check.group != "shape" else ""
    if check.over is None:
        return f"Asked of the provider as a whole.{embedded}"
    over = [name for name in OPERATIONS if check.over(name)]
    if len(over) == len(OPERATIONS):
        return f"Asked of each operation.{embedded}"
    return f"Asked of {', '.join(f'`{name}`' for name in over)}.{embedded}"


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


if __name__ == "__main__":
    put(PAGE, "checks", text(), sys.argv[1:])
