"""A sample of the fault matrix, the same each time; and the proof that the matrix finds what is broken.

The whole of it: python3 dev.py faults.
"""

import subprocess
import sys
from pathlib import Path

from tests.faults.cells import FAULTS, OPERATIONS, REJECTIONS, all_cells, chosen

RUN = Path(__file__).parent / "faults" / "run.py"


def matrix(*words: str) -> tuple[int, str]:
    """Run it in processes of its own: what leaks is counted for a whole process."""
    done = subprocess.run([sys.executable, RUN, "--workers", "2", *words], capture_output=True, text=True, timeout=110)
    return done.returncode, done.stdout + done.stderr


def test_the_matrix_is_whole():
    cells = all_cells()
    assert len({str(cell) for cell in cells}) == len(cells)
    squares = {cell.square for cell in cells}
    assert squares == {(fault, operation) for fault in FAULTS for operation in OPERATIONS}
    assert len(FAULTS) == 34
    for cell in cells:
        assert not (cell.accept and cell.number in REJECTIONS)
    assert chosen(3, 50, "503") == chosen(3, 50, "503") != chosen(4, 50, "503")


def test_a_sample_of_the_matrix():
    code, said = matrix("--sample", "200", "--seed", "20261121")
    assert code == 0, said


def test_what_is_broken_on_purpose_is_found():
    code, said = matrix("--prove")
    assert code == 0, said
    assert said.count(": found") > 10
