"""The command as a process: Ctrl-C, terminals, plugins that are broken, libraries that are missing."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def interrupt(process: subprocess.Popen[str], *, when: str) -> tuple[int, str, str]:
    """Send Ctrl-C when the command has said something; give back its exit code, stdout and stderr."""
    assert process.stderr is not None
    said = ""
    while when not in said:
        line = process.stderr.readline()
        assert line, f"ended before it said {when!r}: {said}"
        said += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, said + err


def test_ctrl_c_while_waiting_prints_how_to_go_on(site: Any) -> None:
    process = site.start("video", "generate", "a fox", "--to", "my fox.mp4", ACME_RENDER="5")
    started = time.monotonic()
    code, out, err = interrupt(process, when="%")
    assert (code, out) == (130, "")
    assert time.monotonic() - started < 5
    assert "Traceback" not in err
    [resume] = re.findall(r"^Go on with: (callsheet video wait video_\S+ --to 'my fox.mp4')$", err, re.MULTILINE)
    assert [path.name for path in site.work.iterdir()] == ["state"]
    done = site.run(*resume.replace("'my fox.mp4'", "fox").split()[1:])
    assert done.returncode == 0, done.stderr
    assert (site.work / "fox").stat().st_size == 1_024_000


def test_ctrl_c_while_downloading_keeps_what_is_there_for_the_next_time(site: Any) -> None:
    process = site.start("video", "generate", "a fox", "--to", "fox.mp4", ACME_TRICKLE="6")
    code, _, err = interrupt(process, when="downloading: ")
    assert code == 130
    [resume] = re.findall(r"^Go on with: callsheet (.+)$", err, re.MULTILINE)
    [part] = [path for path in site.work.iterdir() if path.suffix == ".part"]
    assert not (site.work / "fox.mp4").exists()
    before = part.stat().st_size
    assert 0 < before < 1_024_000
    done = site.run(*resume.split())
    assert done.returncode == 0, done.stderr
    from_the_start = bytes(range(256)) * 4000
    assert (site.work / "fox.mp4").read_bytes() == from_the_start
    assert not part.exists()


def test_ctrl_c_before_anything_was_begun_promises_nothing(site: Any) -> None:
    site.add("slow-plugin", {"callsheet.commands": {"slow": "slow_plugin:slow"}}, slow_plugin=SLOW)
    code, out, err = interrupt(site.start("slow"), when="ready")
    assert (code, out) == (130, "")
    assert "Go on with" not in err
    assert err.splitlines()[-1] == "interrupted"


def test_ctrl_c_before_an_id_is_known_says_where_to_look(site: Any) -> None:
    process = site.start("video", "generate", "a fox", "--provider", "acme", ACME_SLOW="30")
    code, _, err = interrupt(process, when="asked")
    assert code == 130
    assert err.splitlines()[1:] == [
        "interrupted",
        "It may have been begun nevertheless; see: callsheet video list --provider acme",
    ]


SLOW = """
import click, time

@click.command()
def slow():
    click.echo("ready", err=True)
    time.sleep(30)
"""


def test_progress_is_lines_in_a_log_and_a_bar_on_a_terminal(site: Any) -> None:
    logged = site.run("video", "generate", "a fox", "--to", "a.mp4", ACME_RENDER="2.5")
    lines = logged.stderr.splitlines()
    assert 3 <= len(lines) <= 6
    assert lines[0] == "rendering: queued"
    assert re.fullmatch(r"rendering: \d+ %( \(\d+ %/s, \d s left\))?", lines[1])
    assert re.fullmatch(r"rendering: completed in \d\.\d s", lines[-2])
    assert re.fullmatch(r"downloading: 1\.0 MB done in \d\.\d s", lines[-1])
    assert "\x1b" not in logged.stdout + logged.stderr

    code, shown = site.on_terminal("video", "generate", "a fox", "--to", "b.mp4", ACME_RENDER="2")
    plain = ESCAPES.sub("", shown)
    assert code == 0
    assert "\x1b" in shown
    assert re.search(r"rendering ━+\S* +\d\d % +\d+ %/s 00:0\d", plain)
    assert re.search(r"downloading ━+ +1\.0 MB", plain)
    assert "file     b.mp4 (1.0 MB)" in plain


def test_a_terminal_that_can_do_nothing_gets_lines(site: Any) -> None:
    code, shown = site.on_terminal("video", "generate", "a fox", TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown
    assert "rendering: completed in" in shown


def test_tables_are_drawn_on_a_terminal(site: Any) -> None:
    code, shown = site.on_terminal("providers", NO_COLOR="1")
    assert code == 0
    assert "─────" in shown
    assert re.search(r"acme\b.* all .*emulated", shown)


def test_json_is_alone_on_standard_output_while_progress_is_shown(site: Any) -> None:
    shown = site.run("video", "generate", "a fox", "--json", ACME_RENDER="1")
    assert json.loads(shown.stdout)["status"] == "completed"
    assert "rendering: " in shown.stderr


def test_broken_plugins_are_listed_and_hurt_nobody(site: Any) -> None:
    site.add(
        "torn-plugin", {"callsheet.commands": {"torn": "torn:x"}, "callsheet.providers": {"torn": "torn:P"}}, torn="1/0"
    )
    site.add("odd-plugin", {"callsheet.commands": {"odd": "json:dumps"}, "callsheet.providers": {"odd": "json:dumps"}})
    site.add(
        "twin-plugin", {"callsheet.commands": {"hello": "acme_plugin:hello"}, "callsheet.wraps": {"w": "nowhere:w"}}
    )
    site.environ["CALLSHEET_WRAPS"] = ""

    help = site.run("--help")
    assert help.returncode == 0
    words = " ".join(help.stdout.split())
    assert "torn (broken) command 'torn' (torn:x of torn-plugin 1.0) does not load: ZeroDivisionError" in words
    assert "odd (broken) command 'odd' (json:dumps of odd-plugin 1.0) is not a click command but a function" in words
    assert "'hello' is offered by acme-plugin 1.0 and twin-plugin 1.0; uninstall one of them" in words
    assert site.run("torn", "--any", "thing").returncode == 5

    listed = site.run("providers")
    assert listed.returncode == 0
    assert re.search(r"^torn +torn-plugin 1\.0 +- .*ZeroDivisionError", listed.stdout, re.MULTILINE)
    assert re.search(r"^odd .*must name a class derived from callsheet\.Provider", listed.stdout, re.MULTILINE)
    assert site.run("video", "generate", "x", "--provider", "torn").returncode == 5
    assert site.run("video", "generate", "x").returncode == 0

    site.environ["CALLSHEET_WRAPS"] = "w"
    doctor = site.run("doctor")
    assert doctor.returncode == 1
    assert doctor.stdout.count("  FAIL  ") == 6
    assert "wrap 'w' (nowhere:w) does not load: ModuleNotFoundError" in doctor.stdout
    assert doctor.stderr == "error: 6 things are broken\n"
    report = json.loads(site.run("doctor", "--json").stdout)
    assert len(report["problems"]) == 6


def test_no_plugin_can_take_the_name_of_our_own_commands(site: Any) -> None:
    site.add("sly-plugin", {"callsheet.commands": {"video": "acme_plugin:hello"}})
    assert "hello" not in site.run("video", "list").stdout
    doctor = site.run("doctor")
    assert doctor.returncode == 1
    assert "command 'video' of sly-plugin 1.0 is never called: callsheet has a command of this name" in doctor.stdout


def test_doctor_without_any_provider(site: Any) -> None:
    site.environ["CALLSHEET_PROVIDERS"] = ""
    bare = site.run("doctor")
    assert bare.returncode == 1
    assert "FAIL  none is installed: pip install callsheet-NAME" in bare.stdout
    assert "pip install callsheet-NAME" in site.run("providers").stderr


def test_a_command_of_another_distribution_is_imported_only_when_it_is_wanted(site: Any) -> None:
    assert site.run("hello").stdout == "hello from acme\n"
    site.add("loud-plugin", {"callsheet.commands": {"loud": "loud:x"}}, loud="print('imported')")
    assert "imported" not in site.run("providers").stdout
    assert "imported" in site.run("loud").stdout


def test_without_click_and_rich_one_line_says_what_to_install(site: Any) -> None:
    hide = "import sys; sys.modules['click'] = sys.modules['rich'] = None\nimport callsheet.cli\n"
    for missing, wanted in (("", "click and rich"), ("del sys.modules['rich']\n", "click")):
        script = hide + missing + "callsheet.cli.main()"
        done = subprocess.run([sys.executable, "-c", script], env=site.env, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == f"callsheet: the command needs {wanted}: pip install 'callsheet[cli]'\n"


def test_debug_shows_where_an_error_came_from(site: Any) -> None:
    told = site.run("video", "get", "video_x")
    assert (told.returncode, told.stderr.count("\n")) == (3, 1)
    shown = site.run("video", "get", "video_x", CALLSHEET_DEBUG="1")
    assert "Traceback" in shown.stderr
    assert "router.py" in shown.stderr


def test_a_reader_that_goes_away_is_no_error(site: Any) -> None:
    script = f'"{sys.executable}" -m callsheet.cli doctor | head -n 1'
    done = subprocess.run(["bash", "-c", script], env=site.env, capture_output=True, text=True)
    assert done.stdout.startswith("callsheet 0.1.0 in ")
    assert "Traceback" not in done.stderr


def test_rich_is_not_imported_without_a_terminal(site: Any) -> None:
    script = (
        "import sys, callsheet.cli\nsys.argv = ['callsheet', 'video', 'generate', 'a fox', '--to', 'f.mp4']\n"
        "try:\n    callsheet.cli.main()\nfinally:\n    print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=site.work, env=site.env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert Path(site.work, "f.mp4").exists()
