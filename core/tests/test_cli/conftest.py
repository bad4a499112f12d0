"""A folder of installed distributions, made for one test, and ways to run the command with it."""

import importlib.util
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from attrs import define, field
from click.testing import CliRunner, Result

from callsheet import client_base
from callsheet.cli.app import callsheet
from callsheet.registry import Registry

HERE = Path(__file__).parent
Run = Callable[..., Result]
CTRL_C, CTRL_D = "\x03", "\x04"


@define
class Site:
    """Distributions in a folder on PYTHONPATH. Whatever else this machine has installed stays out of sight."""

    folder: Path
    work: Path
    environ: dict[str, str] = field(factory=dict)

    def add(self, distribution: str, points: Mapping[str, Mapping[str, str]], **modules: str) -> None:
        """Install a distribution with entry points (group -> name -> value) and modules (name -> source)."""
        info = self.folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        sections = [
            f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in named.items()) for group, named in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(sections))
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source)
        for group, named in points.items():
            variable = {"callsheet.providers": "CALLSHEET_PROVIDERS", "callsheet.commands": "CALLSHEET_COMMANDS"}.get(
                group
            )
            if variable:
                self.environ[variable] = ",".join(filter(None, [self.environ.get(variable), *named]))

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLSHEET_", "ACME_"))}
        mine = {"PYTHONPATH": str(self.folder), "ACME_DIR": str(self.work / "state"), "COLUMNS": "120", "TERM": "xterm"}
        return {**kept, "CALLSHEET_COMMANDS": "", "CALLSHEET_WRAPS": "", **mine, **self.environ}

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start the command in the work folder, with more environment variables."""
        return subprocess.Popen(
            [sys.executable, "-m", "callsheet.cli", *words],
            cwd=self.work,
            env={**self.env, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def on_terminal(self, *words: str, typed: tuple[tuple[str, str], ...] = (), **more: str) -> tuple[int, str]:
        """Run the command on a terminal of its own; give back its exit code and what it showed.

        `typed` are pairs: when the first is shown, after what was typed before, the second is typed.
        """
        waiting, after = [*typed], 0
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "callsheet.cli", *words],
            cwd=self.work,
            env={**self.env, **more},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # Linux's way to say that the other side is closed
                    break
            if waiting and (at := seen.find(waiting[0][0].encode(), after)) >= 0:
                awaited, keys = waiting.pop(0)
                after = at + len(awaited)
                if keys == CTRL_C:
                    time.sleep(0.3)  # readline is deaf between showing its prompt and waiting for keys
                    process.send_signal(signal.SIGINT)  # the terminal is not the process's controlling one
                else:
                    os.write(ours, keys.encode())
        os.close(ours)
        return process.wait(timeout=10), seen.decode(errors="replace").replace("\r\n", "\n")


@pytest.fixture
def acme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("acme_plugin", HERE / "acme_plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(acme: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, with the providers acme and bare and no others."""
    registry = Registry(points=[], wraps=())
    registry.register("acme", acme.Acme)
    registry.register("bare", acme.Bare)
    monkeypatch.setattr(client_base, "_registry", registry)
    for name in [name for name in os.environ if name.startswith(("CALLSHEET_", "ACME_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("ACME_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CALLSHEET_COMMANDS", "")
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_bytes(b"clip" * 1000)
    return lambda *words, input=None: CliRunner().invoke(callsheet, words, input=input, prog_name="callsheet")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with the providers `acme` (embedded) and `bare`, and the command `hello`."""
    made = Site(tmp_path / "site", tmp_path / "work")
    made.folder.mkdir()
    (made.work / "state").mkdir(parents=True)
    made.add(
        "acme-plugin",
        {
            "callsheet.providers": {"acme": "acme_plugin:Acme", "bare": "acme_plugin:Bare"},
            "callsheet.commands": {"hello": "acme_plugin:hello"},
            "callsheet.wires": {"acme": "callsheet.testing:FakeUpstream"},
        },
        acme_plugin=(HERE / "acme_plugin.py").read_text(),
    )
    return made
