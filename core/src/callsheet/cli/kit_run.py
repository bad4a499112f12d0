"""The conformance kit in a process of its own: pytest, out of reach of what lies in the current folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define

__all__ = ["FOLDER", "MARK", "ONLY", "KitRun", "run_kit"]

MARK = "\x1e"
"""What a line begins with that tells of an event."""
ONLY, FOLDER = "CALLSHEET_CHECK_ONLY", "CALLSHEET_CHECK_FOLDER"
"""Environment variables for `kit_events`: what --only says, and where the user is."""
PATIENCE = 5.0
"""Seconds that the process gets to end when it is told to."""
OTHERS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DEBUG", "PYTEST_VERSION")
"""What the environment says to pytest is meant for the user's own tests."""


@define
class KitRun:
    """What became of a run."""

    code: int = 0
    """How pytest ended: 0 and 1 are good and bad results, anything else is no result."""
    report: dict[str, Any] = Factory(dict)
    """What conformance.json says of the provider."""
    checks: dict[str, dict[str, str]] = Factory(dict)
    """The words of each check, by its id."""
    failed: dict[tuple[str, str], dict[str, str]] = Factory(dict)
    """What was seen in those that failed, by check and operation."""
    unknown: list[str] = Factory(list)
    groups: list[str] = Factory(list)
    number: int = 0
    done: int = 0
    log: list[str] = Factory(list)
    """What pytest itself said."""
    unwritten: str = ""
    """Why the report could not be written, if it could not."""

    def take(self, line: str) -> None:
        """A line of its output."""
        said, mark, told = line.partition(MARK)
        if said.strip():
            self.log.append(said.rstrip())
        if not mark:
            return
        match event := json.loads(told):
            case {"event": "checks"}:
                self.number, self.checks = event["number"], event["checks"]
            case {"event": "done"}:
                self.done += 1
            case {"event": "failed"}:
                self.failed.setdefault((event["id"], event["operation"]), event)
            case {"event": "unknown"}:
                self.unknown, self.groups = event["words"], event["groups"]


def run_kit(
    provider: str,
    *,
    wire: str | None = None,
    only: Sequence[str] = (),
    report: Path | None = None,
    told: Callable[[int, int], None] = lambda _done, _number: None,
) -> KitRun:
    """Check an installed provider. `told` hears how many checks of how many are done.

    The run has a folder of its own, for its caches and temporary files, too: neither settings nor conftest.py of where
    the user is are read, nothing is written there, and of pytest's plugins none is loaded but the kit's.
    """
    with tempfile.TemporaryDirectory(prefix="callsheet-check-") as home:
        made, config = Path(home, "report"), Path(home, "pytest.ini")
        config.write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-c", str(config), "--rootdir", home, "--noconftest"]
        command += ["-p", "no:cacheprovider", "-p", "_callsheet_pytest", "-p", "callsheet.cli.kit_events"]
        command += ["--pyargs", "callsheet.testing", "--provider", provider, "--callsheet-report", str(made)]
        command += ["-q", "--no-header", "--tb=short", "--color=no", *(["--wire", wire] if wire else [])]
        process = subprocess.Popen(  # noqa: S603  our own words; the names were looked up
            command,
            cwd=home,
            env=_environment(home, only, wire),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us; what it has started itself ends with it
        )
        run = KitRun()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                run.take(line)
                if run.number:
                    told(run.done, run.number)
            run.code = process.wait()
        finally:
            _end(process)
        written = made / "conformance.json"
        if run.code in {0, 1} and run.done and written.exists():
            [run.report] = json.loads(written.read_text(encoding="utf-8"))["providers"]
            if report is not None:  # only now: what was broken off is no report
                try:
                    shutil.copytree(made, report, dirs_exist_ok=True)
                except OSError as error:  # what was found out is shown all the same
                    run.unwritten = f"{report}: {error.strerror or error}"
        return run


def _environment(home: str, only: Sequence[str], wire: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    path = [str(Path(folder).absolute()) for folder in kept.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return {
        **kept,
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
        **({FOLDER: str(Path.cwd())} if wire else {}),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), home),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "110",
        ONLY: ",".join(only),
    }


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that goes on, and those that it has started."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is not None:
        return
    _signal(process, signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)  # it leads a group of its own: start_new_session
        else:
            process.terminate()
    except ProcessLookupError:
        pass
