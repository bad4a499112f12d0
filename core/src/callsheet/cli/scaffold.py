"""What `callsheet new-provider` writes: the names that follow from one name, and the files of a distribution."""

from __future__ import annotations

import builtins
import importlib
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from attrs import frozen

import callsheet
from callsheet.installed import UNKNOWN, owner_of
from callsheet.spec import Provider

__all__ = ["BadName", "Names", "files_like", "files_of_its_own", "write"]

TEMPLATES = Path(__file__).with_name("templates")
LONGEST = 30
OURS = frozenset({"core", "gateway", "testing"})
"""Names that stand for parts of callsheet itself."""
IMPORTED = frozenset({"ClassVar", "Mapping"})
"""What the code of a template imports: a class of the same name would hide it."""
EVERY = {
    "pyproject.toml.tmpl": "pyproject.toml",
    "README.md.tmpl": "README.md",
    "gitignore.tmpl": ".gitignore",
    "workflow.yml.tmpl": ".github/workflows/test.yml",
    "LICENSE": "LICENSE",
}
CODE = {
    "init.py.tmpl": "src/{package}/__init__.py",
    "wire.py.tmpl": "src/{package}/wire.py",
    "conformance.py.tmpl": "tests/test_conformance.py",
}


class BadName(ValueError):
    """A name that no provider can have."""


@frozen
class Names:
    """What a provider's name becomes. Raises BadName, in words, for one that nothing can be named after."""

    name: str

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", self.name):
            plain = re.sub(r"[^a-z0-9]+", "-", re.sub(r"^callsheet[-_]", "", self.name.lower())).strip("-0123456789")
            raise BadName(
                "a name begins with a letter, and has lower-case letters, digits, - and _"
                + (f": '{plain}', perhaps?" if plain else "")
            )
        if self.name.startswith(("callsheet-", "callsheet_")):
            raise BadName(f"'{self.name[10:]}' is name enough: the distribution is called {self._called(10)}")
        if len(self.name) > LONGEST:
            raise BadName(f"it has {len(self.name)} characters; at most {LONGEST}, since people have to type it")
        if self.name in OURS:
            raise BadName(f"{self.distribution} would be a part of callsheet itself")
        if keyword.iskeyword(self.kind) or hasattr(builtins, self.kind) or self.kind in IMPORTED:
            raise BadName(f"its class would be called {self.kind}, which means something else in Python")

    @property
    def distribution(self) -> str:
        return self._called(0)

    @property
    def package(self) -> str:
        return f"callsheet_{self.name.replace('-', '_')}"

    @property
    def kind(self) -> str:
        """The name of its class."""
        return "".join(part.capitalize() for part in re.split("[-_]", self.name))

    @property
    def variable(self) -> str:
        """What the names of its environment variables begin with."""
        return self.name.replace("-", "_").upper()

    @property
    def key(self) -> str:
        """The variable that holds its key, unless told otherwise."""
        return f"{self.variable}_API_KEY"

    @property
    def address(self) -> str:
        return f"https://api.{self.name.replace('_', '-')}.example/v1"

    def _called(self, after: int) -> str:
        return f"callsheet-{self.name[after:].replace('_', '-')}"


def files_of_its_own(names: Names, base_url: str | None, key: str | None = None) -> dict[str, str]:
    """A provider over a wire of its own: path -> content. `key` names the variable that holds its key."""
    words = {"key": key or names.key, "prefix": urlsplit(base_url or names.address).path.rstrip("/")}
    return _filled("own", names, base_url, words, [_bounded("callsheet", callsheet.__version__)])


def files_like(
    names: Names,
    base_url: str | None,
    point: EntryPoint,
    kind: type[Provider],
    wire: EntryPoint,
    key: str | None = None,
) -> dict[str, str]:
    """A provider that derives from an installed one, over its wire. Raises BadName for the name of its base."""
    needed = {"callsheet": callsheet.__version__}
    owner, version = owner_of(point)
    if owner != UNKNOWN:
        needed.setdefault(owner, version)
    used = sorted((_public(each), each.__name__) for each in (kind, kind.Settings))
    if names.kind in {name for _, name in used}:
        raise BadName(f"its class would be called as that of '{point.name}' is: {names.kind}")
    modules = dict.fromkeys(module for module, _ in used)
    imports = [f"from {m} import {', '.join(name for module, name in used if module == m)}" for m in modules]
    words = {
        "like": point.name,
        "imports": "\n".join(imports),
        "Base": kind.__name__,
        "Settings": kind.Settings.__name__,
        "key": key or names.key,
        "wire_module": wire.module,
        "Wire": wire.attr,
    }
    return _filled("like", names, base_url, words, [_bounded(*each) for each in needed.items()])


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder with these files: all of them or none. Raises FileExistsError if something is there already."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise FileExistsError(f"{folder} is there already")
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = beside / folder.name
        for path, content in files.items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8", newline="\n")
        if folder.exists():
            folder.rmdir()  # it is empty; if something has come into it since, this says so
        made.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _filled(
    variant: str, names: Names, base_url: str | None, words: Mapping[str, str], needed: list[str]
) -> dict[str, str]:
    words = {
        "name": names.name,
        "Name": names.kind,
        "NAME": names.variable,
        "package": names.package,
        "distribution": names.distribution,
        "base_url": base_url or names.address,
        "dependencies": ", ".join(f'"{requirement}"' for requirement in needed),
        **words,
    }
    sources = {target: TEMPLATES / source for source, target in EVERY.items()}
    sources |= {target: TEMPLATES / variant / source for source, target in CODE.items()}
    files = {}
    for target, source in sources.items():
        text = source.read_text(encoding="utf-8")
        files[target.format(package=names.package)] = (
            Template(text).substitute(words) if source.suffix == ".tmpl" else text
        )
    return {**files, f"src/{names.package}/py.typed": ""}


def _bounded(distribution: str, version: str) -> str:
    """A requirement from a version up to the next major."""
    if not (found := re.match(r"(\d+)\.(\d+)", version)):
        return distribution
    major, minor = map(int, found.groups())
    return f"{distribution}>={major}.{minor},<{major + 1}"


def _public(kind: type[object]) -> str:
    """The module to import a class from: its package, where that has it."""
    module = kind.__module__
    top = module.partition(".")[0]
    return top if getattr(importlib.import_module(top), kind.__name__, None) is kind else module
