"""`callsheet check`: what it shows, what it ends with, and that it leaves the user's folder alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from core.tests.test_cli.lantern import add_lantern

from callsheet.cli.kit_run import KitRun

STRIPS = ("request.prompt, **", "request.prompt.strip(), **")
EDITS = ("    notes: ", "    edit = 1\n    notes: ")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_shown_where_all_is_well(site: Any) -> None:
    add_lantern(site)
    done = site.run("check", "lantern", "--only", "S04,W01", "-k", "S05")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "lantern (callsheet-lantern 1.0), talking to callsheet_lantern.wire:LanternWire"
    shown = dict(re.split(" {2,}", line, maxsplit=1) for line in lines[2:22])
    assert shown["OPERATION"].split() == ["RESULT", "CHECKS"]
    assert shown["get_video"].split() == ["works", "1", "passed"]
    assert shown["edit"].split() == ["not", "yet", "-"]
    assert lines[-1] == "5 passed"
    assert done.stderr.startswith("checking lantern: starting\n")
    assert re.search(r"^checking lantern: done in \d+\.\d s$", done.stderr, re.MULTILINE)


def test_an_operation_that_was_not_called_is_not_said_to_work(site: Any) -> None:
    add_lantern(site)
    told = json.loads(site.run("check", "lantern", "--only", "W01", "--only", "get_video", "--json").stdout)
    assert told["operations"]["get_video"] == "works"
    assert told["operations"]["generate_video"] == "not checked"
    assert told["counted"] == {"passed": 1, "failed": 0, "skipped": 0, "known failure": 0}


def test_a_failure_is_told_with_what_to_do(site: Any) -> None:
    add_lantern(site, STRIPS)
    done = site.run("check", "lantern", "--only", "W05", "--only", "W01", "--report", "out")
    assert done.returncode == 1
    told = done.stdout[done.stdout.index("FAIL") :]
    assert told.startswith("FAIL  W05  Any text arrives as it is")
    assert "      generate_video:\n" in told
    assert "did not arrive as it is" in told
    assert "If this fails: send prompts as they are given" in told
    assert "See docs/conformance.md#w05; only this: --only W05" in told
    assert told.splitlines()[-1] == "5 passed, 1 failed"
    assert done.stderr.splitlines()[-1] == "error: 1 of 6 checks failed"
    assert "Traceback" not in done.stdout + done.stderr
    assert "callsheet_lantern" not in told, "where it comes from is for --verbose"
    assert names_in(site.work / "out") == ["badge.json", "conformance.json", "conformance.md", "junit.xml"]

    verbose = site.run("check", "lantern", "--only", "W05", "--verbose").stdout
    assert re.search(r"^W05 +get_video +passed", verbose, re.MULTILINE)
    assert re.search(r"^      \| .*wire_tests.py:\d+", verbose, re.MULTILINE)

    as_json = site.run("check", "lantern", "--only", "W05", "--json")
    assert as_json.returncode == 1
    [failure] = json.loads(as_json.stdout)["failures"]
    assert (failure["id"], failure["operation"], failure["see"]) == ("W05", "generate_video", "docs/conformance.md#w05")
    assert failure["must"].startswith("Any text arrives")
    assert failure["if_this_fails"].startswith("send prompts")
    assert "did not arrive as it is" in failure["seen"]


def test_known_failures_are_told_and_a_stale_one_is_a_failure(site: Any) -> None:
    known = '    prefix = "/v1"', '    known_failures = {"W05 generate_video": "it trims"}\n    prefix = "/v1"'
    add_lantern(site, STRIPS, wire=(known,))
    done = site.run("check", "lantern", "--only", "W05")
    assert done.returncode == 0, done.stdout
    assert "known  W05 generate_video: it trims" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 passed, 1 known failure"
    code = site.folder / "callsheet_lantern" / "__init__.py"
    code.write_text(code.read_text().replace(*reversed(STRIPS)))
    stale = site.run("check", "lantern", "--only", "W05")
    assert stale.returncode == 1
    assert "it passes, and stands in known_failures of the wire: it trims" in stale.stdout


def test_quiet_says_nothing_of_what_is_well(site: Any) -> None:
    add_lantern(site, STRIPS)
    assert site.run("check", "lantern", "-q", "--only", "W01").stdout == ""
    bad = site.run("check", "lantern", "-q", "--only", "W05")
    assert "FAIL  W05" in bad.stdout
    assert bad.stderr == "error: 1 of 3 checks failed\n"


def test_nothing_where_the_user_is_has_a_say_or_is_written(site: Any) -> None:
    add_lantern(site)
    (site.work / "conftest.py").write_text("raise SystemExit('conftest.py was read')")
    (site.work / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\nfilterwarnings = nonsense\n")
    (site.work / "tmp").mkdir()
    before = names_in(site.work)
    done = site.run(
        "check", "lantern", "--only", "S02,W03,S12",
        PYTEST_ADDOPTS="-n 4 --nonsense", PYTEST_PLUGINS="nowhere", TMPDIR=str(site.work / "tmp"),
        PYTHONPATH=os.path.relpath(site.folder, site.work),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert names_in(site.work) == before
    assert not names_in(site.work / "tmp")


def test_without_a_vendor_only_the_shape_is_checked_and_that_is_said(site: Any) -> None:
    add_lantern(site, ships=False)
    done = site.run("check", "lantern", "--only", "S06,S10,W01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(", without a vendor to talk to")
    assert re.search(r"^get_video +only its shape was checked +1 passed, 1 skipped$", done.stdout, re.MULTILINE)
    assert "Only its shape was checked: there is no vendor for it to talk to." in done.stderr


def test_a_wire_of_ones_own_may_lie_in_the_current_folder(site: Any) -> None:
    add_lantern(site, ships=False)
    code = (site.folder / "callsheet_lantern" / "wire.py").read_text()
    (site.work / "bench.py").write_text(code.replace("LanternWire", "Bench"))
    done = site.run("check", "lantern", "--only", "W01", "--wire", "bench:Bench")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(", talking to bench:Bench")
    for wire, said in (("nowhere:X", "No module named 'nowhere'"), ("bench", "spelled MODULE:CLASS")):
        wrong = site.run("check", "lantern", "--only", "W01", "--wire", wire)
        assert (wrong.returncode, wrong.stdout) == (5, "")
        assert said in wrong.stderr
        assert "Traceback" not in wrong.stderr


def test_an_embedded_provider_has_no_vendor(site: Any) -> None:
    done = site.run("check", "acme", "--only", "S04,S06")
    assert done.returncode == 0, done.stderr
    assert "Only its shape" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lanter"], 5, "Did you mean 'lantern'?"),
        (["torn"], 5, "ZeroDivisionError"),
        (["lantern", "--only", "W99"], 2, "--only W99: no check, group or operation is named so. Groups: errors, "),
        (["lantern", "--only", "W14", "--only", "edit"], 2, "--only leaves nothing to check of lantern"),
        (["lantern", "--only", "S04", "--report", "a-file"], 2, "is a file"),
    ],
)
def test_what_can_not_be_checked(site: Any, words: list[str], code: int, said: str) -> None:
    add_lantern(site)
    site.add("torn-plugin", {"callsheet.providers": {"torn": "torn:P"}}, torn="1/0")
    (site.work / "a-file").touch()
    failed = site.run("check", *words)
    assert (failed.returncode, failed.stdout) == (code, "")
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_json_is_told_of_what_can_not_be_checked(site: Any) -> None:
    add_lantern(site)
    for words in (["lanter"], ["lantern", "--wire", "nowhere:X", "--only", "W01"]):
        failed = site.run("check", *words, "--json")
        assert failed.returncode == 5
        assert json.loads(failed.stdout)["error"]["message"] in failed.stderr


def test_a_run_that_breaks_off_shows_what_was_said(site: Any) -> None:
    add_lantern(
        site,
        ("import callsheet as cs", "import os, sys\nimport callsheet as cs\nif 'pytest' in sys.modules: os._exit(7)"),
    )
    failed = site.run("check", "lantern", "--only", "S04", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["error"]["message"] == "the checks broke off: pytest ended with 7"
    assert failed.stderr.splitlines()[-1] == "error: the checks broke off: pytest ended with 7"


def test_a_misfit_is_told_by_its_name_before_anything_is_run(site: Any) -> None:
    add_lantern(site, EDITS)
    failed = site.run("check", "lantern")
    assert failed.returncode == 5
    assert "edit" in failed.stderr


def test_what_is_missing_is_named(site: Any) -> None:
    add_lantern(site)
    script = (
        "import sys; sys.modules['hypothesis'] = sys.modules['trio'] = None\n"
        "sys.argv = ['callsheet', 'check', 'lantern']\nimport callsheet.cli; callsheet.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=site.work, env=site.env, capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr == "error: checking needs hypothesis and trio: pip install 'callsheet[testing]'\n"


def test_ctrl_c_ends_what_was_started_and_leaves_nothing(site: Any) -> None:
    add_lantern(site)
    (site.work / "tmp").mkdir()
    process = site.start("check", "lantern", "--report", "out", TMPDIR=str(site.work / "tmp"))
    family: list[psutil.Process] = []
    end = time.monotonic() + 30
    while len(family) < 2 and time.monotonic() < end:  # pytest, and a process that a check has started
        family = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.02)
    assert len(family) >= 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert names_in(site.work) == ["state", "tmp"]
    assert not names_in(site.work / "tmp")


def test_on_a_terminal_there_is_a_bar(site: Any) -> None:
    add_lantern(site)
    code, shown = site.on_terminal("check", "lantern", "--only", "S04,S05")
    assert code == 0
    assert "━" in shown
    assert "checking lantern" in shown


def test_the_command_line_does_not_import_pytest() -> None:
    script = (
        "import sys, callsheet.cli.app, callsheet.cli.check, callsheet.cli.new_provider; print('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_events_are_told_from_what_else_is_printed() -> None:
    run = KitRun()
    for line in ("..\x1e" + json.dumps({"event": "done"}) + "\n", "F\n", "\x1e" + json.dumps({"event": "new"}), "\n"):
        run.take(line)
    assert (run.done, run.log) == (1, ["..", "F"])
