"""The posts' snippets, all of them, as their readers paste them: see seeds/README.md for what was changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from gateway.tests.films import finished
from gateway.tests.serving import CLIP, serving

from callsheet import Client

SEEDS = Path(__file__).parent / "seeds"
HOSTS = re.compile(r"http://(localhost|0\.0\.0\.0):4000")
RUN = """
import ast, asyncio, sys
code = compile(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
names = {"__name__": "__main__"}
coroutine = eval(code, names)
if coroutine is not None:
    asyncio.run(coroutine)
"""
"""Runs a file with `await` outside of functions, as notebooks do."""
ASK = """
for text in ("Remember: my editor is vim. Write a Python function to check if a number is prime.", "What is my editor?"):
    resp, latest_phase = run_turn(text)
    print(resp.model, resp.output_text, latest_phase)
kept = client.responses.input_items.list(resp.id, order="asc").data
assert [item.phase for item in items if not isinstance(item, dict)] == ["commentary", "final_answer"] * 2, items
assert [getattr(item, "phase", None) for item in kept] == [None, "commentary", "final_answer", None], kept
"""
"""Two turns of the conversation that phase.py is for."""


def environment(**more):
    """This process's, without proxies and without what would choose other providers."""
    unwanted = {"callsheet_providers", "callsheet_wraps", "http_proxy", "https_proxy", "all_proxy"}
    return {**{name: value for name, value in os.environ.items() if name.lower() not in unwanted}, **more}


@pytest.fixture
def folder(tmp_path):
    """Where the snippets run: the files that they upload are there."""
    for name in ("character.mp4", "luna.mp4", "luna_intro.mp4"):
        shutil.copy(CLIP, tmp_path / name)
    return tmp_path


@pytest.fixture
def python(folder):
    """Runs a Python snippet, and returns what it printed. Placeholders in it are given as `placeholder=real`."""

    def run(name, more="", root=None, **replaced):
        text = (SEEDS / "python" / name).read_text(encoding="utf-8") + more
        (folder / name).write_text(filled(text, root, replaced), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", RUN, name],
            cwd=folder,
            env=environment(CALLSHEET_LOCAL_DIR=str(folder / "data")),
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


@pytest.fixture
def library(folder, monkeypatch):
    """A client that sees what the snippets made, and makes what they left unfinished."""
    monkeypatch.setenv("CALLSHEET_LOCAL_DIR", str(folder / "data"))
    with Client(provider="local") as client:
        yield client


@pytest.fixture
def served(folder):
    """Starts `callsheet serve --config` with one of the posts' configs."""
    with ExitStack() as stack:

        def serve(name):
            config = str(SEEDS / "config" / f"{name}.yaml")
            return stack.enter_context(
                serving(folder / "data", "--config", config, OPENAI_API_KEY="sk-not-needed-here")
            )

        yield serve


@pytest.fixture
def curl(folder):
    """Runs a curl from a post, and returns the document that it brought."""

    def run(name, gateway, **replaced):
        text = filled((SEEDS / "curl" / name).read_text(), gateway.root, replaced)
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=folder,
            env=environment(LITELLM_KEY="sk-litellm-key", no_proxy="*"),
            capture_output=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert "error" not in document or document["error"] is None, document
        return document

    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    return run


def filled(text, root, replaced):
    """A snippet with the test's server and real ids in place of what stands there. Each placeholder must be there."""
    if root is not None:
        text, count = HOSTS.subn(root, text)
        assert count
    for placeholder, value in replaced.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    return text


def test_the_characters_snippets_one_after_another(python, library):
    said = python("character_create.py")
    (mossy,) = re.findall(r"^Character ID: (character_\S+)$", said, re.M)
    said = python("video.py", char_abc123def456=mossy)
    (video,) = re.findall(r"^Video ID: (video_\S+)$", said, re.M)
    scene = library.wait(video)
    assert (scene.status, scene.seconds, scene.size) == ("completed", "8", "1280x720")
    assert re.search(r"^Character: Mossy, Created: \d{10}$", python("character_get.py", char_abc123def456=mossy), re.M)
    python("edit.py", video_xyz123=video)
    python("extend.py", video_xyz123=video)
    extended, edited, _ = library.list_videos().data
    assert (edited.remixed_from_video_id, edited.seconds) == (scene.id, "8")
    assert (extended.remixed_from_video_id, extended.seconds) == (scene.id, "16")


def test_the_full_example_workflow(python, library):
    said = python("workflow.py")
    steps = [
        "✓ Character created: character_",
        "✓ Scene 1: video_",
        "✓ Scene 2 (extension): video_",
        "✓ Scene 1 graded: video_",
    ]
    for step in steps:
        assert step in said
    assert said.endswith("\n✓ Branded series created with consistent Luna character!\n")
    graded, scene2, scene1 = library.list_videos().data
    assert (scene1.status, scene2.seconds, graded.seconds) == ("completed", "14", "8")
    assert {scene2.remixed_from_video_id, graded.remixed_from_video_id} == {scene1.id}


def test_the_quick_example(python, library):
    assert "Character: character_" in python("quick_example.py")
    extended, edited, video = library.list_videos().data
    assert (video.status, video.seconds, edited.seconds, extended.seconds) == ("completed", "8", "8", "13")


def test_the_curls_of_the_characters_posts(served, curl):
    gateway = served("videos")
    assert gateway.models == ["sora-2", "sora-2-pro"]
    mossy = curl("character_mossy.sh", gateway)
    assert mossy["name"] == "Mossy"
    video = curl("video.sh", gateway, char_abc123def456=mossy["id"])
    assert (video["model"], video["status"], video["seconds"]) == ("sora-2", "queued", "8")
    assert "warnings" not in video  # such as: the character's name is not in the prompt
    luna = curl("character_luna.sh", gateway)
    assert curl("character_get.sh", gateway, char_abc123def456=luna["id"]) == luna
    assert curl("character_get_again.sh", gateway, char_xyz123=mossy["id"]) == mossy
    with gateway.http() as http:
        finished(http, video["id"])
        edited = curl("edit.sh", gateway, video_xyz789=video["id"])
        extended = curl("extend.sh", gateway, video_xyz789=video["id"])
        assert (edited["seconds"], extended["seconds"]) == ("8", "13")
        assert {edited["remixed_from_video_id"], extended["remixed_from_video_id"]} == {video["id"]}
        assert {edited["model"], extended["model"]} == {"sora-2"}
        assert http.get(f"/videos/{video['id']}/content").content[4:8] == b"ftyp"


def test_the_curl_of_the_gpt_54_post(served, curl):
    answer = curl("chat.sh", served("gpt-5.4"))
    assert answer["model"] == "gpt-5.4"
    works(answer["choices"][0]["message"]["content"])


def test_the_curl_of_the_codex_post(served, curl):
    answer = curl("responses.sh", served("gpt-5.3-codex"))
    assert answer["model"] == "gpt-5.3-codex"
    assert [item["phase"] for item in answer["output"]] == ["commentary", "final_answer"]
    works(answer["output"][-1]["content"][0]["text"])


def works(said):
    """Whether the Python in an answer tells primes from other numbers."""
    (code,) = re.findall(r"```python\n(.*?)```", said, re.S)
    names = {"__name__": "seed"}
    exec(code, names)
    is_prime = next(value for name, value in names.items() if "prime" in name and callable(value))
    assert [number for number in range(20) if is_prime(number)] == [2, 3, 5, 7, 11, 13, 17, 19]


def test_the_python_of_the_codex_post(served, python):
    said = python("phase.py", more=ASK, root=served("gpt-5.3-codex").root)
    assert said.count("gpt-5.3-codex") == 2
    assert "vim" in said.rpartition("gpt-5.3-codex")[2]
    assert "None" in said  # the post looks for the phase in a kind of item that there is not


def test_the_yaml_of_the_realtime_post(served):
    """Its JavaScript runs in a browser: see gateway/tests/browser."""
    with served("realtime").http() as http:
        answer = http.post("/realtime/client_secrets", json={"model": "gpt-4o-realtime"}).json()
    assert answer["client_secret"]["value"].startswith("ek_")
    assert answer["session"]["model"] == "gpt-4o-realtime"


def test_every_snippet_is_run():
    """A file that nobody runs proves nothing."""
    here = Path(__file__).read_text(encoding="utf-8")
    for file in sorted(SEEDS.glob("*/*")):
        name = file.stem if file.suffix == ".yaml" else file.name
        assert f'"{name}"' in here, file


def test_every_mended_line_is_marked():
    mended = [file.name for file in sorted(SEEDS.glob("*/*")) if "mended: " in file.read_text(encoding="utf-8")]
    assert mended == ["quick_example.py", "workflow.py"]
