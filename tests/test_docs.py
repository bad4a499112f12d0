"""Every code block of README and docs is executed: Python and shell for real, TOML and JSON parsed.

Shell lines that would install packages or run this very test suite are checked by name instead.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLIP = ROOT / "plugins" / "local" / "src" / "callsheet_local" / "media" / "bunny-720p-3s.mp4"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("core/*.md"),
    *ROOT.glob("plugins/*/*.md"),
    *ROOT.glob("docs/*.md"),
]
DISTRIBUTIONS = {"callsheet", *(f"callsheet-{folder.parent.name}" for folder in ROOT.glob("plugins/*/pyproject.toml"))}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder as a reader would have it: with a clip, and nothing in the environment."""
    for name in ("luna.mp4", "clip.mp4"):
        shutil.copy(CLIP, tmp_path / name)
    for name in ("OPENAI_API_KEY", "AZURE_API_KEY", "ACME_API_KEY", "CALLSHEET_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CALLSHEET_LOCAL_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def is_run_elsewhere(line: str) -> bool:
    """Installing, and what runs the tests themselves: only the names are checked."""
    words = line.split("#")[0].split()
    if words[:2] == ["pip", "install"]:
        names = {re.sub(r"\[.*\]", "", word.strip("'\"")) for word in words[2:] if not word.startswith("-")}
        assert names <= DISTRIBUTIONS, names
        return True
    if words[:2] == ["python3", "dev.py"]:
        assert words[2] in {"demo", "test", "check", "bench"}
        assert len(words) == 3 or (ROOT / "bench" / f"{words[3]}.py").exists()
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_code_blocks(page, folder):
    found = blocks(page)
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(found), "a fence is not closed"
    python = ""
    for language, code in found:
        match language:
            case "python":
                python += code + "\n"
            case "sh":
                lines = [line for line in code.splitlines() if line.strip() and not is_run_elsewhere(line)]
                if lines:
                    script = "set -e\n" + "\n".join(lines)
                    done = subprocess.run(
                        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=100
                    )
                    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            case "toml":
                tomllib.loads(code)
            case "json":
                json.loads(code)
            case other:
                assert other == "text", f"a block of {other or 'no language'}: say python, sh, toml, json or text"
    if python:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", python], cwd=folder, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page_id(page)}: {target}"
