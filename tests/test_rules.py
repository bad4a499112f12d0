"""The rules of the house that a program can check."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src" / "callsheet"
PLUGINS = sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))
DISTRIBUTIONS = [ROOT / "core", *PLUGINS, ROOT / "gateway"]
PROVIDERS = {folder.name for folder in PLUGINS}
SOURCES = sorted(file for folder in DISTRIBUTIONS for file in folder.glob("src/**/*.py"))
CORE_SOURCES = sorted(CORE.rglob("*.py"))
UPSTREAM = ROOT / "gateway" / "src" / "callsheet_gateway" / "upstream"
"""The one other place that speaks HTTP to providers: it is a client itself, on httptools' parser."""
OURS = [place for place in ROOT.iterdir() if place.name not in {"dist", "callsheet-demo"} and place.name[0] != "."]
"""What lies at the top, without what was made or installed there: .venv alone has ten times as many files."""
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml"}
TRACKED_TEXT = [
    file
    for place in [*OURS, ROOT / ".ci"]
    for file in (place.rglob("*") if place.is_dir() else [place])
    if file.is_file() and (file.suffix in TEXT or place.name == ".ci") and "dist" not in file.relative_to(ROOT).parts
]


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", [*CORE_SOURCES, *sorted((ROOT / "gateway/src").rglob("*.py"))], ids=relative)
def test_core_and_gateway_name_no_provider(file):
    """Neither as a word of its own in a string, nor as the first part of a model's name, nor as a package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in PROVIDERS, f"line {node.lineno}: {node.value!r}"
            named = re.findall(
                rf"\b(?:{'|'.join(PROVIDERS)})/[a-z]|callsheet[-_](?:{'|'.join(PROVIDERS)})\b", node.value
            )
            assert not named, f"line {node.lineno}: {named}"


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_only_the_transport_imports_an_http_client(file):
    if file.name not in {"transport.py", "deadlines.py"} or file.parent != CORE:
        assert not imports(file) & {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests", "urllib3"}
    if file.parent != UPSTREAM:
        assert not imports(file) & {"httptools", "h11"}


@pytest.mark.parametrize("file", CORE_SOURCES, ids=relative)
def test_core_imports_no_plugin(file):
    assert not {name for name in imports(file) if name.startswith("callsheet_")}


TESTS = [file for file in TRACKED_TEXT if file.suffix == ".py" and file.parent.name == "tests"]


@pytest.mark.parametrize("file", [*SOURCES, ROOT / "dev.py", *TESTS], ids=relative)
def test_files_stay_small(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400


def test_one_version():
    import callsheet

    versions = {
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"] for folder in DISTRIBUTIONS
    }
    assert versions == {callsheet.__version__}
    assert f"## {callsheet.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_core_has_four_dependencies():
    project = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]
    assert sorted(re.split(r"[<>=]", text)[0] for text in project["dependencies"]) == [
        "attrs",
        "httpx",
        "pluggy",
        "pydantic",
    ]


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=relative)
def test_a_distribution_is_complete(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert list(folder.glob("src/*/py.typed"))
    assert len((folder / "README.md").read_text().splitlines()) > 5
    for text in project["dependencies"]:
        if text.startswith("callsheet"):
            assert ">=" in text
            assert "<" in text


@pytest.mark.parametrize("file", sorted((ROOT / "gateway/src").rglob("pages/**/*.*")), ids=relative)
def test_pages_are_small_and_come_from_here(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert not re.search(r"(src|href|from|import)\W{1,3}(https?:)?//", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=|\beval\(", text)
    assert not re.search(rf"\b(?:{'|'.join(PROVIDERS - {'openai'})})/[a-z]", text)


@pytest.mark.parametrize("file", TRACKED_TEXT, ids=relative)
def test_no_machine_and_no_registry_is_named(file):
    text = file.read_text(encoding="utf-8")
    if file != Path(__file__):
        assert not re.search(r"(^|[\"'\s=(])/(work|farm|root|home/[a-z]+)/[a-z.]", text, re.M)
        assert not re.search(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian|https?://\S*(/simple/|\.whl\b)", text)
        assert "../shared" not in text


def test_the_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert "python3 dev.py demo" in text
    assert "python3 dev.py test" in text
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text()
    assert "python3 dev.py check" in (ROOT / ".ci" / "run").read_text()
