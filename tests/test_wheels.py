"""Wheels in a clean environment: found by entry point, refusing by name, never failing to load."""

import json
import subprocess
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from tests.wheels import ROOT, clean_environment, needed, wheel

BUILT = {"core": ROOT / "core", "stub": ROOT / "plugins" / "stub"}
TOP = {"core": {"callsheet", "_callsheet_pytest.py"}, "stub": {"callsheet_stub"}}
FROZEN = ROOT / "tests" / "frozen" / "callsheet_first-0.1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheels")
    return {name: wheel(folder, target) for name, folder in BUILT.items()}


@pytest.fixture(scope="module")
def python(tmp_path_factory, wheels):
    home = tmp_path_factory.mktemp("clean") / "venv"
    return clean_environment(home, [*wheels.values(), FROZEN], needed(ROOT / "core"))


def run(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_found_by_entry_point(python):
    code = """
import json, callsheet
print(json.dumps([[p.name, p.distribution, p.version, list(p.operations), p.error] for p in callsheet.Client().providers()]))
"""
    first, *others = json.loads(run(python, code))
    assert (first[:3], first[4]) == (["first", "callsheet-first", "0.1.0"], None)
    assert others == [
        ["first_small", "callsheet-first", "0.1.0", ["generate_video"], None],
        ["stub", "callsheet-stub", "0.1.0", [], None],
    ]


def test_every_operation_of_the_stub_refuses_by_name(python):
    code = """
from callsheet import Client, models
from callsheet.operations import OPERATIONS
from callsheet.drive import finish
client = Client(provider="stub")
offer = "v=0\\nm=audio 9 x 0\\na=fingerprint:x\\na=ice-ufrag:x\\na=ice-pwd:x\\n"
values = dict(prompt="a", name="n", video=b"x", sdp=offer, messages=[])
values |= dict(video_id="v", character_id="c", call_id="r", response_id="r")
for name, operation in OPERATIONS.items():
    fields = {k: v for k, v in values.items() if k in operation.request.model_fields and name != "responses"}
    if name in ("edit", "extend"):
        fields["video"] = "v"
    if name == "download_video":
        fields["video"] = fields.pop("video_id")
    try:
        getattr(client, name)(provider="stub", **fields)
    except NotImplementedError as error:
        assert f"provider 'stub' does not implement {name}" in str(error), error
        print(name)
"""
    from callsheet.operations import OPERATIONS

    assert run(python, code).split() == list(OPERATIONS)


def test_a_plugin_of_an_older_contract_works_and_refuses_what_came_later(python):
    code = """
import asyncio
from callsheet import AsyncClient, Client, UnsupportedOperation
client = Client("first_small/m")
video = client.generate_video(prompt="hello", wait=True)
print(video.prompt)
try:
    client.edit(video=video, prompt="x")
except UnsupportedOperation as error:
    print(error.provider, error.operation)
async def main():
    async with AsyncClient("first_small/m") as other:
        return (await other.generate_video(prompt="again")).id == video.id
print(asyncio.run(main()))
"""
    assert run(python, code).split("\n")[:3] == ["hello", "first_small edit", "True"]


def test_the_console_script_says_what_is_missing(python):
    done = subprocess.run(
        [python, "-I", "-c", "from callsheet.cli import main; main()"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "pip install 'callsheet[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_wheels_hold(wheels):
    for name, file in wheels.items():
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            [metadata] = [n for n in names if n.endswith("METADATA")]
            text = archive.read(metadata).decode()
        assert {n.partition("/")[0] for n in names} - {Path(n).parts[0] for n in names if "dist-info" in n} == TOP[name]
        of_the_kit = ("_callsheet_pytest.py", "callsheet/testing/")  # which is for others' tests
        assert not [n for n in names if "test" in Path(n).name.lower() and not n.startswith(of_the_kit)]
        assert not any(n.endswith(".pth") for n in names)
        assert any(n.endswith("py.typed") for n in names)
        assert any("LICENSE" in n for n in names)
        assert "License-Expression: Apache-2.0" in text
    with pytest.raises(PackageNotFoundError):
        distribution("callsheet-first")


@pytest.mark.parametrize("name", ["core", "gateway", "plugins/local"])
def test_a_wheel_holds_every_file_of_its_source(name, tmp_path):
    """Pages, media, py.typed: what is not Python is easily left behind."""
    source = ROOT / name / "src"
    wanted = {
        str(file.relative_to(source))
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel(ROOT / name, tmp_path)) as archive:
        packed = {name for name in archive.namelist() if ".dist-info" not in name}
    assert packed == wanted
