"""Pages that a script writes, or parts of them: between <!-- NAME: ... --> and <!-- NAME ends -->."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["put", "whole"]


def whole(page: Path, text: str, words: list[str]) -> None:
    """Write a page. With the word --check: raise SystemExit if it is not what would be written."""
    if words != ["--check"]:
        page.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        sys.exit(f"{page.name} is not current: run python docs/{Path(sys.argv[0]).name}")


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
