"""Wheels, and environments with nothing but them in it: made without any index, out of what is installed here."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def wheel(folder: Path, target: Path) -> Path:
    """Build a distribution's wheel into a folder."""
    copy = target / "source" / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__", "tests", ".*"))
    out = target / "built" / folder.name
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = out.glob("*.whl")
    return made


def needed(folder: Path, *extras: str) -> list[str]:
    """The distributions that one of ours needs, its own kind left out."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    wanted = [Requirement(line) for line in asked]
    return [r.name for r in wanted if not r.name.startswith("callsheet") and (not r.marker or r.marker.evaluate())]


def clean_environment(home: Path, wheels: Iterable[Path], names: Iterable[str]) -> Path:
    """Make a venv with these wheels, and with copies of distributions that are installed here; give its Python."""
    venv.create(home, with_pip=False)
    [site] = home.glob("lib/python*/site-packages")
    seen: set[str] = set()
    for name in names:
        copy_with_dependencies(name, site, seen)
    program = home / "bin" / "python"
    if importlib.util.find_spec("pip"):
        install = [sys.executable, "-m", "pip", "--python", str(program), "install", "--no-index", "--no-deps", "-q"]
    else:  # where dev.py had to make its environment without pip, it has uv
        install = ["uv", "pip", "install", "--offline", "--no-deps", "-q", "--python", str(program)]
    done = subprocess.run([*install, *map(str, wheels)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def copy_with_dependencies(name: str, site: Path, seen: set[str]) -> None:
    """Put an installed distribution into another environment, so that no index is needed."""
    if name.lower() in seen:
        return
    seen.add(name.lower())
    dist = distribution(name)
    for file in dist.files or []:
        source = Path(str(dist.locate_file(file)))
        if ".." not in file.parts and source.is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for text in dist.requires or []:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            copy_with_dependencies(wanted.name, site, seen)
