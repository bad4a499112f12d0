"""What can be held of the Dockerfile where there is no Docker: its files, its options, its health check."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from gateway.tests.serving import serving

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "gateway" / "Dockerfile").read_text()
LINES = re.sub(r"\\\n", " ", TEXT).splitlines()


def of(instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


def test_what_is_copied_is_there() -> None:
    copied = [shlex.split(words)[:-1] for words in of("COPY") if not words.startswith("--from")]
    assert copied
    assert all((ROOT / name).exists() for names in copied for name in names)


def test_the_providers_are_there() -> None:
    providers = shlex.split(of("ARG")[0].partition("=")[2])[0].split()
    assert all((ROOT / "plugins" / name / "pyproject.toml").exists() for name in providers)


def test_every_variable_is_one_that_is_read() -> None:
    names = {word.partition("=")[0] for word in shlex.split(of("ENV")[0])}
    source = "".join(
        file.read_text() for folder in ("core", "gateway", "plugins") for file in (ROOT / folder).rglob("src/**/*.py")
    )
    assert all(name in source for name in names if name.startswith("CALLSHEET_"))


def test_its_command_and_its_health_check(tmp_path: Path) -> None:
    """The command as it stands, but for address and port; the check, but for the port."""
    command = json.loads(of("ENTRYPOINT")[0])
    assert command[:2] == ["callsheet", "serve"]
    options = [word for word in command[2:] if word not in {"--host", "0.0.0.0"}]
    check = json.loads(of("HEALTHCHECK")[0].partition(" CMD ")[2])
    with serving(tmp_path / "data", *options, CALLSHEET_MASTER_KEY="sk-of-a-container-0123456789") as gateway:
        port = gateway.root.rpartition(":")[2]
        program = check[2].replace("4000", port)
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode == 1


def test_it_serves_others_only_with_a_key() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "callsheet"), "serve", "--host", "0.0.0.0", "--no-keys"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "without a master key the gateway serves this machine only" in done.stderr
