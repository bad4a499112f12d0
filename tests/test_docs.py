"""Every code block of README and docs is executed: Python and shell for real, TOML and JSON parsed.

A block of the tutorial that stands below the name of a file is that file's: test_tutorial.py holds it.

Shell lines that would install packages or run this very test suite are checked by name instead. A line that begins with
`callsheet serve` starts that server for the rest of its page, on a port of its own. YAML is what --config FILE then reads.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from gateway.tests.serving import CLIP, serving

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("core/*.md"),
    *ROOT.glob("plugins/*/*.md"),
    *ROOT.glob("gateway/*.md"),
    *ROOT.glob("docs/*.md"),
]
TUTORIAL = ROOT / "docs" / "write-a-provider.md"
ACME = ROOT / "docs" / "callsheet-acme" / "src"
BIG_FILMS = {ROOT / "plugins" / "local" / "README.md"}
"""Pages whose films are rendered smaller here. The README and the demo have them in full."""
PORT = "4000"
MASTER_KEY = "sk-cs-of-a-reader-0123456789"
"""What the server would print for a reader to paste."""
DISTRIBUTIONS = {
    "callsheet",
    "callsheet-gateway",
    *(f"callsheet-{folder.parent.name}" for folder in ROOT.glob("plugins/*/pyproject.toml")),
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
OF_A_FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
"""A block below the name of the file that it is from."""


def text_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if page in BIG_FILMS:
        text = text.replace('size="1280x720"', 'size="320x180"')
    return OF_A_FILE.sub("", text) if page == TUTORIAL else text


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(text_of(page))


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder as a reader would have it: with a clip, and nothing in the environment."""
    for name in ("luna.mp4", "clip.mp4"):
        shutil.copy(CLIP, tmp_path / name)
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AZURE_", "ACME_")) or name == "CALLSHEET_PROVIDERS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("CALLSHEET_LOCAL_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CALLSHEET_GATEWAY_DIR", str(tmp_path / "data" / "gateway"))
    monkeypatch.setenv("CALLSHEET_MASTER_KEY", MASTER_KEY)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def is_run_elsewhere(line: str) -> bool:
    """Installing, what runs the tests themselves, and the demo, which has tests of its own: only the names are checked."""
    words = line.split("#")[0].split()
    if words[:2] == ["callsheet", "demo"]:
        assert words[2:] in ([], ["--out", "series"])
        return True
    if words[:2] == ["pip", "install"]:
        names = {re.sub(r"\[.*\]", "", word.strip("'\"")) for word in words[2:] if not word.startswith("-")}
        folders = {name for name in names if name.startswith("./")}  # of a clone
        assert all((ROOT / folder / "pyproject.toml").exists() for folder in folders), folders
        assert names - folders <= DISTRIBUTIONS, names
        return True
    if words[:2] == ["python3", "dev.py"]:
        assert words[2] in {"demo", "test", "check", "docs", "bench", "faults", "kills"}
        assert len(words) == 3 or (ROOT / "bench" / f"{words[3]}.py").exists()
        return True
    return False


class Servers:
    """The gateway that a page has started, if it has: another `callsheet serve` takes its place."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.port = folder, stack, PORT

    def start(self, line: str) -> None:
        words = shlex.split(line.split("#")[0])[2:]
        self.stack.close()
        gateway = self.stack.enter_context(
            serving(self.folder / "data", *words, cwd=self.folder, CALLSHEET_MASTER_KEY=MASTER_KEY)
        )
        self.port = gateway.root.rpartition(":")[2]

    def addressed(self, code: str) -> str:
        """Code with the port that the server really has."""
        return re.sub(rf"\b{PORT}\b", self.port, code)


@pytest.fixture
def servers(folder):
    with ExitStack() as stack:
        yield Servers(folder, stack)


@pytest.mark.timeout(300)  # many commands, on a machine that does other things as well
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_code_blocks(page, folder, servers):
    found = blocks(page)
    assert text_of(page).count("```") == 2 * len(found), "a fence is not closed"
    python = ""
    for language, code in found:
        match language:
            case "python":
                python += code + "\n"
            case "sh":
                lines = [line for line in code.splitlines() if line.strip() and not is_run_elsewhere(line)]
                for line in [line for line in lines if line.startswith("callsheet serve")]:
                    run_python(python, folder, servers)  # what came before speaks to the server that there was
                    python = ""
                    servers.start(line)
                    lines.remove(line)
                if lines:
                    script = servers.addressed("set -e\n" + "\n".join(lines))
                    done = subprocess.run(
                        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=100
                    )
                    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            case "toml":
                tomllib.loads(code)
            case "json":
                json.loads(code)
            case "yaml":
                assert yaml.safe_load(code)
                (folder / "config.yaml").write_text(code)
            case other:
                assert other == "text", f"a block of {other or 'no language'}: say python, sh, toml, json, yaml or text"
    run_python(python, folder, servers)


def run_python(code, folder, servers):
    if code:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", servers.addressed(code)],
            cwd=folder, capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ACME)},
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page_id(page)}: {target}"
