"""Build the documentation as a site that needs nothing from elsewhere. A warning ends it: a broken link, a lost page.

python docs/build_site.py [FOLDER]     into ./site, or into FOLDER

Pages lie as they lie in the repository, so that their links lead somewhere in both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "docs" / "mkdocs.yml"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/README.md", "plugins/*/README.md")
BESIDES = ("docs/*.jpg", "docs/*.png", "docs/*.css", "docs/*/pyproject.toml", "docs/*/src/**/*.py", "docs/*/tests/*.py")
"""What pages show, wear, or lead to."""


def found(patterns: tuple[str, ...]) -> list[str]:
    """The files that match, as paths from the root."""
    return sorted(str(file.relative_to(ROOT)) for pattern in patterns for file in ROOT.glob(pattern))


def listed(nav: Any) -> Iterator[str]:
    """The pages of a navigation, whatever its levels."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(item)


def build(target: Path) -> None:
    """Build the site into a folder, which may be there already. Raises SystemExit for whatever is wrong."""
    pages = found(PAGES)
    navigation = list(listed(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["nav"]))
    if lost := sorted(set(pages) ^ set(navigation)):
        sys.exit(f"{CONFIG.name}: its nav and the pages that there are differ in: {', '.join(lost)}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in [*pages, *found(BESIDES)]:
            place = copy / "pages" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)
        shutil.copy(CONFIG, copy)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(copy / CONFIG.name)]
        colours = {} if sys.stderr.isatty() else {"NO_COLOR": "1"}
        if subprocess.run(command, env={**os.environ, **colours}).returncode:  # noqa: S603  words of our own
            sys.exit("the documentation was not built")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(copy / "site", target)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site")
