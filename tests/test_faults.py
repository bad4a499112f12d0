"""A sample of the fault matrix, the same each time; and the proof that the matrix finds what is broken.

The whole of it: python3 dev.py faults.
"""

import subprocess
import sys
from pathlib import Path

from tests.faults.cells import FAULTS, MODES, REJECTIONS, VENDORS, all_cells, chosen
from tests.faults.groups import CALLS, PINNED, SIDES

RUN = Path(__file__).parent / "faults" / "run.py"


def matrix(*words: str) -> tuple[int, str]:
    """Run it in processes of its own: what leaks is counted for a whole process."""
    done = subprocess.run([sys.executable, RUN, "--workers", "2", *words], capture_output=True, text=True, timeout=110)
    return done.returncode, done.stdout + done.stderr


def test_the_matrix_is_whole():
    cells = all_cells()
    assert len({str(cell) for cell in cells}) == len(cells)
    squares = {cell.square for cell in cells if cell.topology == "one"}
    columns = {(name, operation) for name, vendor in VENDORS.items() for operation in vendor.operations}
    # A request that follows another one over the same connection meets no fault below that.
    nowhere = {("gemini", fault, "extend: start") for fault, name in FAULTS.items() if name is None}
    assert squares == {(name, fault, operation) for name, operation in columns for fault in FAULTS} - nowhere
    assert (len(FAULTS), len(nowhere)) == (34, 6)
    for topology, operations in (("two", CALLS.keys()), ("fallback", CALLS.keys() - set(PINNED))):
        there = {(cell.fault, cell.operation) for cell in cells if cell.topology == topology}
        assert there == {(fault, operation) for fault in FAULTS for operation in operations}
    assert {cell.mode for cell in cells if cell.topology != "one"} == set(MODES)
    for vendor in VENDORS.values():
        assert vendor.calls.keys() == vendor.operations.keys()
    for cell in cells:
        assert not (cell.accept and cell.number in REJECTIONS)
    assert chosen(VENDORS, 3, 50, "503") == chosen(VENDORS, 3, 50, "503") != chosen(VENDORS, 4, 50, "503")
    assert {cell.provider for cell in chosen(["gemini"], 3, 50, "")} == {"gemini"}


def test_a_sample_of_the_matrix():
    seed, size = 20261121, 312
    sample = chosen(VENDORS, seed, size, "")
    assert sum(cell.provider == "openai" for cell in sample) >= 200
    assert {cell.topology for cell in sample} == {"one", *SIDES}
    code, said = matrix("--sample", str(size), "--seed", str(seed))
    assert code == 0, said
    assert all(f"\n{name} " in f"\n{said}" for name in (*VENDORS, "openai, two", "openai, fallback"))


def test_what_is_broken_on_purpose_is_found():
    code, said = matrix("--prove")
    assert code == 0, said
    assert said.count(": found") > 31
