"""The provider that `callsheet new-provider lantern` writes, installed on a site, with what a test changes about it."""

import tomllib
from typing import Any

from callsheet.cli.scaffold import Names, files_of_its_own


def add_lantern(
    site: Any, *changes: tuple[str, str], wire: tuple[tuple[str, str], ...] = (), ships: bool = True
) -> None:
    """Install it. `changes` are texts and what stands in their place; `wire` the same for the vendor's side.

    With `ships=False` the distribution has no vendor's side.
    """
    names = Names("lantern")
    files = files_of_its_own(names, None)
    folder = site.folder / names.package
    folder.mkdir()
    (folder / "py.typed").touch()
    for name, wanted in (("__init__.py", changes), ("wire.py", wire)):
        code = files[f"src/{names.package}/{name}"]
        for old, new in wanted:
            assert old in code
            code = code.replace(old, new)
        (folder / name).write_text(code)
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    if not ships:
        del points["callsheet.wires"]
    site.add(names.distribution, points)
    with (site.folder / "callsheet_lantern-1.0.dist-info" / "METADATA").open("a") as metadata:
        metadata.write("License-Expression: Apache-2.0\nRequires-Dist: callsheet>=0.1,<1\n")
