"""The code of docs/write-a-provider.md is that of docs/callsheet-acme, all of it; its other vendors are held to the kit."""

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from core.tests.test_cli.test_new_provider import CACHE
from tests.test_docs import OF_A_FILE, ROOT, TUTORIAL

ACME = ROOT / "docs" / "callsheet-acme"
SHOWN = ("pyproject.toml", "src/callsheet_acme/__init__.py", "src/callsheet_acme/wire.py", "tests/test_acme.py")
OTHERS = ("beam", "reel")
SERVE, GENERATE = "serve.py", "callsheet video generate"
KIT = """
from {name} import {Name}
from {name}_wire import {Name}Wire
from callsheet.testing import ProviderTests


class Test{Name}(ProviderTests):
    provider = {Name}
    wire = {Name}Wire
"""


def blocks(name: str) -> list[str]:
    """The blocks of the tutorial that are from a file."""
    return [code for file, code in OF_A_FILE.findall(TUTORIAL.read_text(encoding="utf-8")) if file == name]


def files_of(name: str) -> tuple[str, str]:
    return f"{name}.py", f"{name}_wire.py"


def test_every_block_says_a_file_that_there_is():
    named = {file for file, _ in OF_A_FILE.findall(TUTORIAL.read_text(encoding="utf-8"))}
    assert named == {*SHOWN, SERVE, *(file for name in OTHERS for file in files_of(name))}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_the_file(name):
    text, shown = (ACME / name).read_text(encoding="utf-8"), set()
    for block in blocks(name):
        assert f"\n{text}".count(f"\n{block}") == 1, f"not in {name}:\n{block}"
        first = f"\n{text}".partition(f"\n{block}")[0].count("\n")
        shown |= set(range(first, first + block.count("\n")))
    hidden = [line for number, line in enumerate(text.splitlines()) if line.strip() and number not in shown]
    assert not hidden, f"{name}: nowhere in the tutorial: {hidden}"


def test_all_files_of_the_example_are_shown_but_those_without_code():
    files = {file.relative_to(ACME).as_posix() for file in ACME.rglob("*") if file.is_file()}
    code = {file for file in files if not {"__pycache__", ".pytest_cache"} & set(Path(file).parts)}
    assert code == {*SHOWN, "README.md", "LICENSE", "src/callsheet_acme/py.typed"}


@pytest.fixture(params=OTHERS)
def other(request, tmp_path):
    """Another vendor, as a reader would put it together."""
    for name in files_of(request.param):
        (tmp_path / name).write_text("\n".join(blocks(name)), encoding="utf-8")
    kit = KIT.format(name=request.param, Name=request.param.capitalize())
    (tmp_path / "test_kit.py").write_text(kit, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return tmp_path


def test_the_other_vendors_are_put_together_in_order(other):
    for file in other.glob("*.py"):
        compile(file.read_text(encoding="utf-8"), file.name, "exec")


@pytest.mark.timeout(300)
def test_the_other_vendors_keep_the_promises_of_a_provider(other):
    wanted = "test_s or test_w or test_t or test_e"  # the group L takes long, and finds nothing that is the page's
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"({wanted}) and not s12"],
        cwd=other, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(other)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_the_other_vendors_have_types(other):
    files = sorted(file.name for file in other.glob("*.py") if not file.name.startswith("test_"))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(CACHE), *files]
    done = subprocess.run(command, cwd=other, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_wire_is_served_to_the_command_line(tmp_path):
    [code] = blocks(SERVE)
    (tmp_path / SERVE).write_text(code, encoding="utf-8")
    installed = tmp_path / "site" / "callsheet_acme-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: callsheet-acme\nVersion: 1.0\n", encoding="utf-8")
    points = tomllib.loads((ACME / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items()]
    (installed / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ACME / "src"), str(installed.parent)])}
    with subprocess.Popen(
        [sys.executable, SERVE], cwd=tmp_path, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as served:
        try:
            command, *words = served.stdout.readline().split()
            assert command == "export"
            account = dict(word.split("=", 1) for word in words)
            [said] = [line for line in TUTORIAL.read_text(encoding="utf-8").splitlines() if line.startswith(GENERATE)]
            done = subprocess.run(
                [sys.executable, "-m", "callsheet.cli", *shlex.split(said)[1:]],
                cwd=tmp_path, env={**env, **account}, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"
        finally:
            served.communicate("\n", timeout=20)
    assert served.returncode == 0
