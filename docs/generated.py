"""Parts of pages that a script writes, between <!-- NAME: ... --> and <!-- NAME ends -->; the rest is written by hand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["put"]


def put(page: Path, name: str, text: str, words: list[str]) -> None:
    """Write a part of a page. With the word --check: raise SystemExit if it is not what would be written."""
    old = page.read_text(encoding="utf-8")
    part = re.compile(rf"(<!-- {name}:[^\n]* -->\n).*?(<!-- {name} ends -->)", re.DOTALL)
    if len(part.findall(old)) != 1:
        sys.exit(f"{page.name}: no part, or several, between <!-- {name}: ... --> and <!-- {name} ends -->")
    new = part.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", old)
    if words != ["--check"]:
        page.write_text(new, encoding="utf-8")
    elif new != old:
        sys.exit(f"{page.name} is not current: run python docs/{Path(sys.argv[0]).name}")
