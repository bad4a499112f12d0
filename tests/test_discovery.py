"""Broken plugins among good ones, all of them really installed in a folder: the good ones work, the broken ones are named."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

GOOD = """
from callsheet import IO, GenerateVideo, Provider, Video, hookimpl

class P(Provider):
    @hookimpl
    async def generate_video(self, request: GenerateVideo, io: IO) -> Video:
        return Video(id="v1", status="completed", prompt=request.prompt)
"""


class Broken(NamedTuple):
    """A plugin that does not load: its module's source, and what is said of it."""

    source: str
    reason: str
    value: str | None = None
    """The entry point's, where it is not MODULE:P."""


BROKEN = {
    "lacking": Broken("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that_is"),
    "torn": Broken("class :\n", "SyntaxError: invalid syntax"),
    "leaving": Broken("raise SystemExit(3)", "SystemExit: 3"),
    "panicking": Broken("class Panic(BaseException): ...\nraise Panic('at the disco')", "Panic: at the disco"),
    "loud": Broken("print('I AM LOUD')\n1 / 0", "ZeroDivisionError: division by zero"),
    "number": Broken("P = 42", "must name a class derived from callsheet.Provider, not 42"),
    "unmarked": Broken(GOOD.replace("@hookimpl", ""), "P.generate_video overrides a hook without being marked"),
    "wider": Broken(GOOD.replace("io: IO", "io: IO, grain: int"), "they must be exactly (self, request, io)"),
    "plain": Broken(GOOD.replace("async def", "def"), "P.generate_video must be an `async def`"),
    "renamed": Broken(GOOD, "AttributeError: module 'renamed' has no attribute 'Q'", "renamed:Q"),
    "empty": Broken(GOOD, "its entry point is '' where 'package:Class' is wanted", ""),
    "garbled": Broken(GOOD, "its entry point is 'not a module' where 'package:Class' is wanted", "not a module"),
    "odd": Broken(
        GOOD + "    class Settings(__import__('callsheet').ProviderSettings):\n        required = ('nothing',)\n",
        "its class can't be read: KeyError: 'nothing'",
    ),
    "odder": Broken(
        GOOD.replace("class P(Provider)", "class Mixin:\n    Settings = 1\n\nclass P(Provider, Mixin)"),
        "its class can't be read: TypeError",
    ),
}


class Site:
    """A folder of installed distributions, and programs that see no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []

    def install(self, name, value, source="", distribution=None, version="2.5"):
        distribution = distribution or f"{name}-plugin"
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[callsheet.providers]\n{name} = {value}\n")
        if source:
            (self.folder / f"{name}.py").write_text(source)
        self.names.append(name)
        return info

    def run(self, *command, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CALLSHEET_")}
        env |= {"PYTHONPATH": str(self.folder), "CALLSHEET_PROVIDERS": ",".join(self.names), "COLUMNS": "500"}
        env |= {"CALLSHEET_COMMANDS": "", "CALLSHEET_WRAPS": "", **more}
        return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, cwd=self.folder)

    def callsheet(self, *words, **more):
        return self.run("-m", "callsheet.cli", *words, **more)

    def python(self, code):
        done = self.run("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    for name in ("good", "better", "newer"):
        site.install(name, f"{name}:P", GOOD)
    with (site.folder / "newer.py").open("a") as module:
        module.write("\n    @hookimpl\n    async def teleport(self, request, io): ...\n")
    for name, broken in BROKEN.items():
        site.install(name, f"{name}:P" if broken.value is None else broken.value, broken.source)
    for number in (1, 2):
        site.install("twin", f"twin_{number}:P", GOOD, f"twin-{number}", f"{number}.0")
    return site


def test_the_others_work(site):
    said = site.python("""
import asyncio
from callsheet import AsyncClient, Client

async def main(name):
    async with AsyncClient(f"{name}/m") as client:
        print(name, (await client.generate_video(prompt="async", wait=True)).prompt)

for name in ("good", "better", "newer"):
    with Client(f"{name}/m") as client:
        print(name, client.generate_video(prompt="sync", wait=True).prompt)
    asyncio.run(main(name))
with Client() as client:
    print([info.name for info in client.providers() if not info.error])
    print(client.generate_video(prompt="after", model="good/m").prompt)
""").splitlines()
    assert said[:6] == [f"{name} {how}" for name in ("good", "better", "newer") for how in ("sync", "async")]
    assert said[-2:] == ["['better', 'good', 'newer']", "after"]


def test_each_is_refused_by_name_with_its_reason(site):
    said = site.python("""
import json, os
from callsheet import Client, PluginError

found = {}
for name in os.environ["CALLSHEET_PROVIDERS"].split(","):
    try:
        Client(f"{name}/m").generate_video(prompt="x")
    except PluginError as error:
        assert error.provider == name
        found[name] = [type(error).__name__, str(error)]
print()
print(json.dumps(found))
""")
    found = json.loads(said.splitlines()[-1])
    for name, broken in BROKEN.items():
        if name != "odd":  # what it is configured with is read by reports only
            kind, reason = found[name]
            assert kind == "ProviderLoadError"
            assert broken.reason in reason
    assert found["twin"][0] == "ProviderConflict"
    assert set(found) == {*BROKEN, "twin"} - {"odd"}


def test_providers_lists_all_of_them(site):
    done = site.callsheet("providers", "--json")
    assert done.returncode == 0
    listed = {item["name"]: item for item in json.loads(done.stdout)}  # one document: the loud one is not in it
    assert set(listed) == set(site.names)
    for name, broken in BROKEN.items():
        item = listed[name]
        assert (item["distribution"], item["version"]) == (f"{name}-plugin", "2.5")
        assert broken.reason in item["error"]
        assert item["operations"] == []
    assert listed["twin"]["distribution"] == "twin-1 1.0 and twin-2 2.0"
    assert "two distributions offer a provider named 'twin'" in listed["twin"]["error"]
    assert "uninstall one of them" in listed["twin"]["error"]
    for name in ("good", "better", "newer"):
        assert (listed[name]["error"], listed[name]["operations"]) == (None, ["generate_video"])
    assert listed["newer"]["unknown_hooks"] == ["teleport"]


def test_the_table_names_them_too(site):
    done = site.callsheet("providers")
    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "I AM LOUD" not in done.stdout
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    for name, broken in BROKEN.items():
        assert f"{name}-plugin 2.5" in rows[name]
        assert broken.reason in rows[name]
    edit = site.callsheet("providers", "--operation", "generate_video")
    assert edit.returncode == 0
    assert sum(" broken " in line for line in edit.stdout.splitlines()) == len(BROKEN) + 1


def test_doctor_counts_them_and_ends_with_1(site):
    done = site.callsheet("doctor")
    assert done.returncode == 1
    assert "I AM LOUD" not in done.stdout
    for name, broken in BROKEN.items():
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"  FAIL  {name} ({name}-plugin 2.5): ")]
        assert broken.reason in line
    assert "  FAIL  twin (twin-1 1.0 and twin-2 2.0 ): two distributions offer" in done.stdout
    assert "  note  newer (newer-plugin 2.5): 1 of" in done.stdout
    assert "unknown operations: teleport" in done.stdout
    assert done.stderr.splitlines()[-1] == f"error: {len(BROKEN) + 1} things are broken"
    report = json.loads(site.callsheet("doctor", "--json").stdout)
    assert len(report["problems"]) == len(BROKEN) + 1


@pytest.mark.parametrize("name", ["lacking", "leaving", "panicking", "number", "empty", "twin"])
def test_a_call_that_names_one_ends_with_5(site, name):
    done = site.callsheet("video", "generate", "a fox", "--provider", name)
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert f"'{name}'" in done.stderr


def test_an_interrupt_is_nobodys_error(tmp_path):
    site = Site(tmp_path)
    site.install("slow", "slow:P", "raise KeyboardInterrupt")
    assert site.callsheet("providers").returncode == 130


def test_a_wrap_that_is_no_wrap_is_told_by_doctor(tmp_path):
    site = Site(tmp_path)
    info = site.install("good", "good:P", GOOD)
    with (info / "entry_points.txt").open("a") as points:
        points.write("\n[callsheet.wraps]\nplain = good:P\n")
    done = site.callsheet("doctor", CALLSHEET_WRAPS="plain")
    assert done.returncode == 1
    assert "FAIL  the wrap 'plain' (good:P) must be an `async def wrap(call, result)`" in done.stdout


def test_what_is_installed_meanwhile_is_found(tmp_path):
    site = Site(tmp_path)
    site.install("good", "good:P", GOOD)
    site.names = ["good", "late"]
    said = site.python("""
import os, pathlib
from callsheet import Registry
print(Registry().names())
info = pathlib.Path("late_plugin-1.0.dist-info")
info.mkdir()
(info / "METADATA").write_text("Metadata-Version: 2.1\\nName: late-plugin\\nVersion: 1.0\\n")
(info / "entry_points.txt").write_text("[callsheet.providers]\\nlate = good:P\\n")
os.utime(".", (1, 1))  # as coarse as a file system's clock may be, the folder's time is another one
print(Registry().names(), Registry().provider("late").__name__)
""")
    assert said.splitlines() == ["['good']", "['good', 'late'] P"]


def test_a_distribution_in_two_folders_is_one(tmp_path):
    site = Site(tmp_path / "one")
    info = site.install("good", "good:P", GOOD)
    other = tmp_path / "two" / "Good.Plugin-2.4.dist-info"  # an older one, and spelled in another way
    shutil.copytree(info, other)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: Good.Plugin\nVersion: 2.4\n")
    (other / "entry_points.txt").write_text("[callsheet.providers]\ngood = older:P\n")
    both = os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")])
    done = site.callsheet("providers", "--json", PYTHONPATH=both)
    [item] = json.loads(done.stdout)
    assert (item["version"], item["error"]) == ("2.5", None)


def test_a_distribution_without_metadata_is_unknown_but_works(tmp_path):
    site = Site(tmp_path)
    (site.install("good", "good:P", GOOD) / "METADATA").unlink()
    [item] = json.loads(site.callsheet("providers", "--json").stdout)
    assert (item["distribution"], item["version"], item["error"]) == ("unknown distribution", "", None)
