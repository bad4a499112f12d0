"""The code of docs/write-a-provider.md is that of docs/callsheet-acme, all of it; its second vendor is held to the kit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.test_docs import OF_A_FILE, ROOT, TUTORIAL

ACME = ROOT / "docs" / "callsheet-acme"
SHOWN = ("pyproject.toml", "src/callsheet_acme/__init__.py", "src/callsheet_acme/wire.py", "tests/test_acme.py")
BEAM = ("beam.py", "beam_wire.py")
KIT = """
from beam import Beam
from beam_wire import BeamWire
from callsheet.testing import ProviderTests


class TestBeam(ProviderTests):
    provider = Beam
    wire = BeamWire
"""


def blocks(name: str) -> list[str]:
    """The blocks of the tutorial that are from a file."""
    return [code for file, code in OF_A_FILE.findall(TUTORIAL.read_text(encoding="utf-8")) if file == name]


def without_blank_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_every_block_says_a_file_that_there_is():
    named = {file for file, _ in OF_A_FILE.findall(TUTORIAL.read_text(encoding="utf-8"))}
    assert named == {*SHOWN, *BEAM}


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


@pytest.fixture
def beam(tmp_path):
    """The second vendor, as a reader would put it together."""
    for name in BEAM:
        (tmp_path / name).write_text("\n".join(blocks(name)), encoding="utf-8")
    (tmp_path / "test_beam.py").write_text(KIT, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return tmp_path


def test_the_second_vendor_is_put_together_in_order(beam):
    for name in BEAM:
        compile((beam / name).read_text(encoding="utf-8"), name, "exec")


@pytest.mark.timeout(300)
def test_the_second_vendor_keeps_the_promises_of_a_provider(beam):
    slow = "test_l06 or test_l07"  # clips are cut a hundred times there
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not (({slow}) and create_character)"],
        cwd=beam, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(beam)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_the_second_vendor_has_types(beam):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(beam / ".mypy"), *BEAM]
    done = subprocess.run(command, cwd=beam, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
