"""`callsheet demo` as a process: three videos that play, a contact sheet, a refusal, a table, and under a minute."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from attrs import frozen
from PIL import Image

VIDEOS = {"scene-1.mp4": 4, "scene-2-extended.mp4": 8, "scene-1-graded.mp4": 4}


@frozen
class Shown:
    """What a demo printed, how long it took, and where it was."""

    out: str
    err: str
    seconds: float
    folder: Path


def environment(providers: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLSHEET_")}
    return {**kept, "CALLSHEET_PROVIDERS": providers, "COLUMNS": "150"}


def callsheet(folder: Path, *words: str, providers: str = "local,stub") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "callsheet.cli", *words],
        cwd=folder, env=environment(providers), capture_output=True, text=True, timeout=100,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("demo")
    started = time.monotonic()
    done = callsheet(folder, "demo", "--data-dir", "data")
    assert done.returncode == 0, done.stdout + done.stderr
    return Shown(done.stdout, done.stderr, time.monotonic() - started, folder)


def test_it_takes_less_than_a_minute_and_leaves_four_files(shown: Shown) -> None:
    assert shown.seconds < 60
    files = {path.name for path in (shown.folder / "callsheet-demo").iterdir()}
    assert files == {*VIDEOS, "contact-sheet.png"}


@pytest.mark.parametrize(("name", "seconds"), VIDEOS.items())
def test_the_videos_play_from_start_to_end(shown: Shown, name: str, seconds: int) -> None:
    with av.open(shown.folder / "callsheet-demo" / name) as film:
        assert film.format.name.startswith("mov,mp4")
        picture = film.streams.video[0]
        assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 1280, 720)
        moments = [frame.time for frame in film.decode(picture)]
        assert None not in moments
        assert moments == sorted(moments)
        assert len(moments) == pytest.approx(seconds * float(picture.average_rate or 0), abs=2)
        assert float(film.duration or 0) / av.time_base == pytest.approx(seconds, abs=0.2)


def test_the_contact_sheet_shows_four_rows_that_differ(shown: Shown) -> None:
    with Image.open(shown.folder / "callsheet-demo" / "contact-sheet.png") as sheet:
        assert sheet.width > 1500
        assert sheet.height > 1000
        rows = [sheet.crop((48, top, sheet.width - 48, top + 250)).tobytes() for top in (195, 545, 895, 1245)]
    assert len(set(rows)) == 4


def test_it_shows_the_code_of_each_step_and_who_runs_it(shown: Shown) -> None:
    for line in (
        'bunny = client.create_character(name="Bunny", video=CLIP)',
        "scene = client.wait(job, on_progress=show)",
        "job = await client.extend(",
        "graded = await client.wait(job, on_progress=show)",
        "answered = await client.relay_sdp(sdp=await caller.offer(), ephemeral_key=secret.value)",
        'items += event.data["response"]["output"]  # as it came, `phase` included',
        'client.edit(video="video_xyz123", prompt="Make it rain.", provider="stub")',
    ):
        assert f"     {line}\n" in shown.out
    assert len(re.findall(r"^\d+\. .+  Client, sync$", shown.out, re.MULTILINE)) == 5
    assert len(re.findall(r"^\d+\. .+  AsyncClient, async$", shown.out, re.MULTILINE)) == 4
    for verb in ("rendering", "extending", "editing"):
        assert f"{verb}: completed in" in shown.err


def test_the_call_is_heard_and_the_conversation_remembers(shown: Shown) -> None:
    said = re.search(r"'6 \* 7 = 42.', heard as a tone of (\d+) Hz for [\d.]+ s; (\d+) events", shown.out)
    assert said is not None
    assert int(said[1]) == pytest.approx(440, rel=0.02)  # the voice sage
    assert int(said[2]) > 10
    assert "commentary: I will multiply 12 by 34.\n   final_answer: 12 * 34 = 408.\n" in shown.out
    assert "   Your name is Ada.\n" in shown.out


def test_the_stub_refuses_by_name_and_the_film_is_credited(shown: Shown) -> None:
    assert "NotImplementedError: provider 'stub' does not implement edit." in shown.out
    assert "Big Buck Bunny, (c) Blender Foundation, CC BY 3.0" in shown.out


def test_it_ends_with_a_table_and_commands_that_work(shown: Shown) -> None:
    lines = shown.out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("MADE "))
    assert lines[head].split() == ["MADE", "WHERE", "SIZE", "SECONDS", "TOOK"]
    rows = [re.split(r"  +", line) for line in lines[head + 1 : head + 9]]
    assert [row[0] for row in rows] == [
        "character Bunny",
        "scene 1",
        "scene 2, extended",
        "scene 1, graded",
        "contact sheet",
        "realtime call",
        "response",
        "response, second turn",
    ]
    for row, (name, seconds) in zip(rows[1:4], VIDEOS.items(), strict=True):
        assert row[1] == f"callsheet-demo/{name}"
        assert row[3] == f"{seconds} s"
        assert re.fullmatch(r"[\d.]+ [kM]B", row[2])
        assert re.fullmatch(r"\d+\.\d s", row[4])
    commands = [line.strip() for line in lines if line.startswith("  callsheet video")]
    assert len(commands) == 2
    for command in commands:
        done = callsheet(shown.folder, *shlex.split(command)[1:])
        assert done.returncode == 0, done.stderr
    assert (shown.folder / "noir.mp4").stat().st_size > 10_000


LAST_ACT = """
from pathlib import Path
from callsheet import Client
from callsheet_local.demo import MODEL, Session, Stage, act_three

with Client(MODEL, settings={"data_dir": "data"}) as client:
    act_three(Stage(Path("here"), Session(None)), client)
"""
"""The one that asks the stub. What comes before it and after it knows nothing of other providers."""


def test_without_the_stub_one_line_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAST_ACT], cwd=tmp_path, env=environment("local"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "The stub provider is not installed: with `pip install callsheet-stub`" in done.stdout


def test_ctrl_c_leaves_no_half_file_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "callsheet.cli", "demo", "--seconds", "6", "--data-dir", "data"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment("local,stub"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "%" not in (line := process.stderr.readline()):
        assert line, "it ended before it showed progress"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list((tmp_path / "callsheet-demo").iterdir()) == []
    [resume] = re.findall(r"^Go on with: callsheet (.+)$", err, re.MULTILINE)
    done = callsheet(tmp_path, *shlex.split(resume))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "callsheet-demo" / "scene-1.mp4").stat().st_size > 10_000
