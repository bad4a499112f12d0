#!/usr/bin/env python3
"""Set up a .venv with every distribution of this repository, and run something in it.

    python3 dev.py demo           make the demo series (files in ./callsheet-demo/)
    python3 dev.py test [ARGS]    run the tests (ARGS go to pytest)
    python3 dev.py docs           build the documentation into ./site
    python3 dev.py check          ruff, mypy --strict
    python3 dev.py bench NAME     measure; without NAME, list what can be measured
    python3 dev.py faults [ARGS]  run the fault matrix (--provider NAME, --sample N, --only SUBSTRING, --seed N)
    python3 dev.py kills [N]      kill -9 the gateway N times (200) while jobs are ordered; the tests do it 20 times
    python3 dev.py COMMAND ...    run any command inside .venv

Needs CPython 3.11 or newer and pip, nothing else. The first run installs into .venv beside this
file; later runs start at once and install again only when a pyproject.toml changed.
CALLSHEET_NO_UV=1 installs with plain pip.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
COMMANDS = {
    "demo": ["callsheet", "demo"],
    # Two workers more than CI has cores: much of the tests is waiting for processes and clocks.
    "docs": ["python", str(ROOT / "docs" / "build_site.py")],
    "test": ["python", "-m", "pytest", "-n", "4", "--dist", "worksteal"],
}
CHECKS = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["python", "-m", "mypy"],
]


def members() -> list[Path]:
    """The folders of all distributions, in the order in which they depend on each other."""
    found = [ROOT / "core", *sorted((ROOT / "plugins").iterdir()), ROOT / "gateway"]
    return [folder for folder in found if (folder / "pyproject.toml").exists()]


def stamp() -> str:
    """What the environment was installed from: it is renewed when this changes."""
    digest = hashlib.sha256(sys.version.encode())
    for file in [
        ROOT / "pyproject.toml",
        ROOT / "constraints.txt",
        *(folder / "pyproject.toml" for folder in members()),
    ]:
        digest.update(file.read_bytes() if file.exists() else b"-")
    return digest.hexdigest()


def run(*command: str | Path, quiet: bool = False, env: dict[str, str] | None = None) -> int:
    stream = subprocess.DEVNULL if quiet else None
    return subprocess.run([str(word) for word in command], cwd=ROOT, stdout=stream, stderr=stream, env=env).returncode


def requirements() -> list[str]:
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["dev"]
    for folder in members():
        extras = "[cli]" if folder.name == "core" else ""
        wanted += ["-e", f"{folder}{extras}"]
    if (ROOT / "constraints.txt").exists():
        wanted += ["-c", str(ROOT / "constraints.txt")]
    return [str(word) for word in wanted]


def uv_environment(pip: list[str | Path]) -> dict[str, str]:
    """uv does not read pip's configuration: hand it the index that pip was told to use."""
    listing = subprocess.run([str(word) for word in [*pip, "config", "list"]], capture_output=True, text=True).stdout
    configured: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        configured[key.rpartition(".")[2].strip()] = value.strip().strip("'\"")
    env = dict(os.environ)
    if index := configured.get("index-url"):
        env.setdefault("UV_DEFAULT_INDEX", index)
    for pip_name, uv_name in [
        ("extra-index-url", "UV_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("trusted-host", "UV_INSECURE_HOST"),
    ]:
        # pip's list files write a line break between values as the two characters \n
        if values := shlex.split(configured.get(pip_name, "").replace("\\n", " ")):
            local_and_gone = [value for value in values if value.startswith("file:") and not Path(value[7:]).exists()]
            env.setdefault(uv_name, " ".join(value for value in values if value not in local_and_gone))
    # As pip does: the best version of all indexes, not of the first that has the package.
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if cert := configured.get("cert"):
        env.setdefault("SSL_CERT_FILE", cert)
    return env


def make_environment() -> list[str | Path]:
    """Create .venv if it is missing; return the pip command that installs into it."""
    if not PYTHON.exists():
        try:
            venv.create(VENV, with_pip=True)
        except (Exception, SystemExit):  # Debian without python3-venv has no ensurepip
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, with_pip=False)
    if run(PYTHON, "-m", "pip", "--version", quiet=True) == 0:
        return [PYTHON, "-m", "pip"]
    if run(sys.executable, "-m", "pip", "--version", quiet=True) == 0:
        return [sys.executable, "-m", "pip", "--python", PYTHON]
    sys.exit("This Python has no pip. Install it (Debian: apt install python3-venv python3-pip) and try again.")


def install() -> None:
    started = time.monotonic()
    print("Setting up .venv (once; about half a minute) ...", file=sys.stderr, flush=True)
    pip = make_environment()
    wanted = requirements()
    quiet = ["-q", "--disable-pip-version-check"]
    done = False
    if not os.environ.get("CALLSHEET_NO_UV"):
        uv = shutil.which("uv")
        if uv is None and run(*pip, "install", *quiet, "uv", quiet=True) == 0:
            uv = str(BIN / ("uv.exe" if os.name == "nt" else "uv"))
        if uv is not None:
            done = run(uv, "pip", "install", "-q", "--python", PYTHON, *wanted, env=uv_environment(pip)) == 0
    if not done:
        print("Installing with pip ...", file=sys.stderr, flush=True)
        done = run(*pip, "install", *quiet, *wanted) == 0
    if not done:
        sys.exit("Installation failed; the messages above say why. Delete .venv and run again after mending it.")
    (VENV / ".stamp").write_text(stamp(), encoding="utf-8")
    print(f"Ready in {time.monotonic() - started:.0f} s.", file=sys.stderr, flush=True)


def start(command: list[str]) -> int:
    """Run a command with .venv first on the path."""
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(VENV)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else hundreds of processes each compile what they import
    program = shutil.which(command[0], path=env["PATH"])
    if program is None:
        print(f"{command[0]}: no such command in .venv.\n\n{__doc__}", file=sys.stderr)
        return 127
    with subprocess.Popen([program, *command[1:]], env=env) as running:
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:  # the terminal has told it, too: it ends in its own way, and in its own time
                continue


def bench(words: list[str]) -> list[str]:
    """The command that runs one benchmark of bench/."""
    known = sorted(file.stem for file in (ROOT / "bench").glob("[a-z]*.py"))
    if not words or words[0] not in known:
        sys.exit(f"python3 dev.py bench NAME, where NAME is one of: {', '.join(known)}")
    return ["python", str(ROOT / "bench" / f"{words[0]}.py"), *words[1:]]


def main(words: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  an older Python must be told, not fail on syntax
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Try: python3.11 dev.py ...")
    if not words or words[0] in {"-h", "--help", "help"}:
        print(__doc__)
        return 0
    mark = VENV / ".stamp"
    if not mark.exists() or mark.read_text(encoding="utf-8") != stamp():
        install()
    name, rest = words[0], words[1:]
    if name == "check":
        failed = [" ".join(command) for command in CHECKS if run_check(command)]
        print("check: " + ("failed: " + "; ".join(failed) if failed else "all passed"))
        return 1 if failed else 0
    if name == "bench":
        return start(bench(rest))
    if name == "faults":
        return start(["python", str(ROOT / "tests" / "faults" / "run.py"), *rest])
    if name == "kills":
        os.environ["CALLSHEET_KILLS"] = rest[0] if rest else "200"
        return start([*COMMANDS["test"], str(ROOT / "gateway" / "tests" / "test_kill.py")])
    return start([*COMMANDS.get(name, [name]), *rest])


def run_check(command: list[str]) -> int:
    print("$", " ".join(command), flush=True)
    return start(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
