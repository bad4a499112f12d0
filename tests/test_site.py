"""The documentation builds as a site without a warning, its links lead somewhere, and it needs nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements for which a browser fetches something by itself, and the attribute that says what."""


def build(root: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "docs" / "build_site.py"), str(target)]
    return subprocess.run(command, capture_output=True, text=True)


class Page(HTMLParser):
    """What a page is linked to by, and what it links to and loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.anchors = file, {""}
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        if tag == "a" and "href" in found:
            self.links.add(found["href"] or "")
        elif address := found.get(LOADS.get(tag, "")):
            self.loads.add(address)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    target = tmp_path_factory.mktemp("site") / "built"
    done = build(ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return {file: Page(file) for file in target.rglob("*.html")}


def test_every_page_of_the_docs_is_there(pages):
    names = {file.name for file in pages}
    for source in (ROOT / "docs").glob("*.md"):
        assert f"{source.stem}.html" in names


def test_internal_links_and_anchors_lead_somewhere(pages):
    followed = 0
    for page in pages.values():
        if page.file.name == "404.html":  # served below any address: its links begin at the root
            continue
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.file.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{page.file.name}: {link}"
            followed += 1
    assert followed > 300


def test_nothing_is_loaded_from_elsewhere(pages):
    for page in pages.values():
        outside = {address for address in page.loads if urlsplit(address).netloc}
        assert not outside, page.file.name
    [first] = [file for file in pages if file.name == "404.html"]
    styles = list(first.parent.rglob("*.css"))
    assert styles
    for file in styles:
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", file.read_text(encoding="utf-8")), file.name


@pytest.fixture
def copy(tmp_path):
    """The sources of the documentation, to break."""
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (ROOT / "plugins").glob("*/README.md"):
        (tmp_path / "plugins" / file.parent.name).mkdir(parents=True)
        shutil.copy(file, tmp_path / "plugins" / file.parent.name)
    return tmp_path


@pytest.mark.parametrize("link", ["nowhere.md", "using.md#nowhere"])
def test_a_broken_link_ends_the_build(copy, link):
    with (copy / "docs" / "cli.md").open("a") as page:
        page.write(f"\n[somewhere]({link})\n")
    done = build(copy, copy / "site")
    assert done.returncode == 1
    assert "does not exist" in done.stdout + done.stderr
    assert not (copy / "site").exists()


def test_a_page_that_is_not_in_the_navigation_ends_the_build(copy):
    (copy / "docs" / "lost.md").write_text("# Lost\n")
    done = build(copy, copy / "site")
    assert done.returncode == 1
    assert "docs/lost.md" in done.stderr
