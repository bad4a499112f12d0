"""The commands as functions: what they print, what they answer, which exit code they end with. In one process."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


def document(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


def test_generate_waits_saves_and_says_where(run: Run, acme: ModuleType) -> None:
    done = run(
        "video", "generate", "a fox", "--seconds", "8", "--size", "640x360", "--to", "fox.mp4", "--model", "acme/x"
    )
    assert done.exit_code == 0, done.output
    assert Path("fox.mp4").read_bytes() == acme.BYTES
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    shown = {name.strip(): value.strip() for name, value in lines.items()}
    assert shown["id"].startswith("video_")
    assert (shown["status"], shown["seconds"], shown["size"]) == ("completed", "8", "640x360")
    assert (shown["model"], shown["file"]) == ("acme/x", "fox.mp4 (1.0 MB)")
    assert "rendering: completed" in done.stderr


def test_json_is_one_document_with_the_file(run: Run) -> None:
    video = document(run("video", "generate", "a fox", "--to", "fox.mp4", "--json"))
    assert (video["status"], video["prompt"], video["file"]) == ("completed", "a fox", "fox.mp4")
    assert document(run("video", "get", video["id"], "--json"))["id"] == video["id"]
    assert document(run("video", "download", video["id"], "--to", "b.mp4", "--json"))["bytes"] == 1_024_000


def test_quiet_prints_the_id_or_the_file_and_nothing_else(run: Run) -> None:
    started = run("video", "generate", "a fox", "--no-wait", "--quiet")
    assert started.stderr == ""
    id = started.stdout.strip()
    assert run("video", "wait", id, "--quiet", "--to", "fox.mp4").output == "fox.mp4\n"
    assert run("video", "list", "--quiet").output == f"{id}\n"


def test_what_can_be_done_with_a_video(run: Run) -> None:
    id = run("video", "generate", "a fox", "-q").stdout.strip()
    assert document(run("video", "edit", id, "warmer", "--json"))["prompt"] == "warmer"
    assert document(run("video", "extend", id, "it runs", "--seconds", "12", "--json"))["seconds"] == "12"
    assert document(run("video", "remix", id, "a cat", "--json"))["remixed_from_video_id"] == id
    assert run("video", "delete", id).output == f"deleted {id}\n"
    assert run("video", "get", id).exit_code == 3


def test_lists_page_by_page(run: Run) -> None:
    for number in range(3):
        run("video", "generate", f"scene {number}")
    first = run("video", "list", "--limit", "2")
    assert [line.split("  ")[-1] for line in first.stdout.splitlines()] == ["PROMPT", "scene 0", "scene 1"]
    more = first.stderr.removeprefix("More: callsheet ").split()
    assert more[:3] == ["video", "list", "--after"]
    assert run(*more).stdout.splitlines()[-1].endswith("scene 2")


def test_a_character_is_made_used_and_looked_up(run: Run) -> None:
    made = document(run("character", "create", "Bunny", "clip.mp4", "--json"))
    assert (made["name"], made["bytes"]) == ("Bunny", 4000)
    assert "Bunny" in run("character", "get", made["id"]).stdout
    good = run("video", "generate", "Bunny waves", "--character", made["id"])
    assert "warning" not in good.stderr
    warned = run("video", "generate", "a rabbit waves", "--character", made["id"], "--json")
    assert warned.stderr.count("warning: the prompt does not say 'Bunny'") == 1
    assert document(warned)["warnings"] == ["the prompt does not say 'Bunny'"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["video", "generate", "fail"], 1, "sad: it rained"),
        (["video", "generate", "crash"], 1, "error: ZeroDivisionError: a bug in the plugin"),
        (["video", "generate", "x", "--seconds", "abc"], 2, "whole seconds are wanted"),
        (["video", "generate", "  "], 2, "the prompt is empty"),
        (["video", "generate", "x", "--reference", "none.png"], 2, "none.png is not a file"),
        (["video", "generate", "x", "--to", "no/where.mp4"], 2, "no is not a directory"),
        (["video", "generate", "x", "--to", "."], 2, "is a directory; name a file in it"),
        (["video", "generate", "x", "--to", "clip.mp4"], 2, "clip.mp4 is there already; --force overwrites it"),
        (["video", "generate", "x", "--to", "x.mp4", "--no-wait"], 2, "--no-wait does not go with --to"),
        (["video", "generate", "x", "--setting", "folder"], 2, "'folder' is not KEY=VALUE"),
        (["video", "generate", "x", "--setting", "token=s"], 2, "secrets on a command line are seen by everybody"),
        (["video", "generate", "x", "--setting", "api-key=s"], 2, "secrets on a command line are seen by everybody"),
        (["character", "create", "Bunny", "none.mp4"], 2, "'none.mp4' does not exist"),
        (["providers", "--operation", "edti"], 2, "Did you mean edit?"),
        (["vidoe"], 2, "Did you mean 'video'?"),
        (["video", "extnd"], 2, "Did you mean 'extend'?"),
        (["video", "get", "video_xyz"], 3, "On the command line that is --provider NAME."),
        (["video", "get", "video_xyz", "--provider", "acme"], 3, "there is no 'video_xyz'"),
        (["video", "edit", "v1", "x", "--provider", "bare"], 4, "'bare' does not implement edit (vendor cannot)"),
        (["video", "generate", "x", "--provider", "amce"], 5, "Did you mean 'acme'?"),
        (["video", "generate", "x", "--setting", "colour=red"], 5, "Known settings: api_key, base_url"),
    ],
)
def test_failures(run: Run, words: list[str], code: int, said: str) -> None:
    failed = run(*words)
    assert (failed.exit_code, failed.stdout) == (code, "")
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    errors = [line for line in failed.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(errors) == 1
    assert not list(Path("state").iterdir()) or words[2] in {"fail", "crash"}, "nothing was begun"


def test_a_failed_job_tells_programs_as_much_as_people(run: Run) -> None:
    failed = document(run("video", "generate", "fail", "--json"))
    assert failed["error"]["type"] == "VideoFailedError"
    assert failed["error"]["code"] == "sad"
    assert failed["video"]["status"] == "failed"
    looked = run("video", "get", failed["video"]["id"])
    assert looked.exit_code == 0
    assert "it rained (sad)" in looked.stdout


def test_timeout_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_RENDER", "1.2")
    late = run("video", "generate", "x", "--timeout", "0.1", "--to", "my film.mp4", "--provider", "acme", "--json")
    assert late.exit_code == 124
    id = document(late)["video"]["id"]
    resume = f"callsheet video wait {id} --to 'my film.mp4' --provider acme"
    assert document(late)["resume"] == resume
    assert f"Go on with: {resume}" in late.stderr
    assert run("video", "wait", id, "--to", "my film.mp4").exit_code == 0
    assert Path("my film.mp4").exists()


def test_an_existing_file_is_kept_unless_forced(run: Run, acme: ModuleType) -> None:
    id = run("video", "generate", "x", "-q").stdout.strip()
    refused = run("video", "download", id, "--to", "clip.mp4")
    assert refused.exit_code == 2
    assert Path("clip.mp4").read_bytes() == b"clip" * 1000
    assert run("video", "download", id, "--to", "clip.mp4", "--force").exit_code == 0
    assert Path("clip.mp4").read_bytes() == acme.BYTES


def test_a_download_is_named_after_its_id_or_goes_to_standard_output(run: Run, acme: ModuleType) -> None:
    id = run("video", "generate", "x", "-q").stdout.strip()
    assert run("video", "download", id, "-q").stdout == f"{id}.mp4\n"
    assert run("video", "download", id, "-q", "--variant", "thumbnail").stdout == f"{id}.webp\n"
    assert run("video", "download", id, "--to", "-").stdout_bytes == acme.BYTES


def test_settings_are_for_the_default_provider_when_none_is_named(run: Run) -> None:
    Path("elsewhere").mkdir()
    id = run("video", "generate", "x", "-q", "--setting", "folder=elsewhere").stdout.strip()
    assert list(Path("elsewhere").iterdir())
    assert run("video", "get", id).exit_code == 3
    assert run("video", "get", id, "--setting", "folder=elsewhere").exit_code == 0


def test_providers_and_who_can_edit(run: Run) -> None:
    listed = run("providers").stdout.splitlines()
    assert listed[0].split() == ["NAME", "DISTRIBUTION", "MODELS", "OPERATIONS", "NOTES"]
    assert "needs no key; remix: emulated" in listed[1]
    assert "BARE_API_KEY is not set; edit: vendor cannot" in listed[2]
    who = [line.split() for line in run("providers", "--operation", "edit").stdout.splitlines()]
    assert [(row[0], row[2]) for row in who] == [("NAME", "EDIT"), ("acme", "yes"), ("bare", "no")]
    programs = document(run("providers", "--operation", "edit", "--json"))
    assert [(item["name"], item["edit"], item["missing"]) for item in programs] == [
        ("acme", True, []),
        ("bare", False, ["BARE_API_KEY"]),
    ]


def test_doctor_on_a_sound_installation(run: Run) -> None:
    sound = run("doctor")
    assert sound.exit_code == 0, sound.output
    assert "ok    acme ((registered) ): 19 of 19 operations; needs no key" in sound.stdout
    assert "note  bare ((registered) ): 0 of 19 operations; not set: BARE_API_KEY" in sound.stdout
    assert sound.stdout.endswith("A call that names no provider goes to: acme\n")
    report = document(run("doctor", "--json"))
    assert report["problems"] == []
    assert report["default"] == {"provider": "acme", "error": None}


def test_version_and_exit_codes_are_told(run: Run) -> None:
    assert run("--version").stdout.startswith("callsheet 0.1.0 (Python 3.")
    help = run("--help").stdout
    for line in (
        "  2  wrong usage or bad input",
        "124  --timeout is over; the job goes on",
        "130  interrupted by Ctrl-C",
    ):
        assert line in help
