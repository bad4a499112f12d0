"""What does not work at all is told by W01, once; and by every other check where W01 is not part of the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ACME = Path(__file__).parents[2] / "docs" / "callsheet-acme" / "src"
BROKEN = """
import callsheet as cs
from callsheet_acme import Acme
from callsheet_acme.wire import AcmeWire
from callsheet.testing import ProviderTests


class Wrong(Acme):
    auth = cs.Bearer()


class TestWrong(ProviderTests):
    provider = Wrong
    wire = AcmeWire
"""


@pytest.mark.parametrize(
    ("asked", "counted"), [("w01 or w05", "1 failed, 1 skipped"), ("w05", "1 failed"), ("w05 or t06", "1 failed")]
)
def test_no_run_is_green_for_want_of_w01(tmp_path, asked, counted):
    (tmp_path / "test_wrong.py").write_text(BROKEN)
    words = ["-q", "-p", "no:cacheprovider", "--no-header", "-k", f"({asked}) and generate_video"]
    env = {**os.environ, "PYTHONPATH": str(ACME)}
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert done.stdout.splitlines()[-1].startswith(counted), done.stdout[-2000:]
    assert done.returncode == 1
