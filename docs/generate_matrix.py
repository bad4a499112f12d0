"""Write the table of what our own providers can do in docs/providers.md, out of their hooks and notes.

python docs/generate_matrix.py          write it
python docs/generate_matrix.py --check  fail if it is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from generated import put

from callsheet import OPERATIONS, ProviderInfo, Registry
from callsheet.testing.kit.report import CANNOT, EMULATED, NOT_YET, RETIRED, WORKS, state_of

PAGE = Path(__file__).with_name("providers.md")
PLUGINS = PAGE.parent.parent / "plugins"


def text() -> str:
    """The table, and below it what the notes say beyond a word."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    columns = list(_providers())
    yield f"| | {' | '.join(f'[{one.name}](../plugins/{one.name}/README.md)' for one in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    told: list[str] = []
    for operation in OPERATIONS:
        cells = [_cell(operation, one, told) for one in columns]
        yield f"| [`{operation}`](hooks.md#{operation}) | {' | '.join(cells)} |"
    yield ""
    yield from (f"{number}. {note}" for number, note in enumerate(told, 1))


def _providers() -> Iterator[ProviderInfo]:
    """Those of this repository that offer something, the embedded ones first."""
    ours = {folder.parent.name for folder in PLUGINS.glob("*/pyproject.toml")}
    infos = {info.name: info for info in Registry().describe() if info.name in ours}
    if broken := sorted(ours - {name for name, info in infos.items() if not info.error}):
        sys.exit(f"not installed, or broken: {', '.join(broken)}; python3 dev.py installs all of them")
    return iter(sorted((i for i in infos.values() if i.operations), key=lambda i: (not i.embedded, i.name)))


def _cell(operation: str, info: ProviderInfo, told: list[str]) -> str:
    """A state in a word or two, and the number of the note that says more."""
    state, note = state_of(operation, info, ()), info.notes.get(operation, "")
    word = next((word for word in (RETIRED, EMULATED, CANNOT, NOT_YET) if state.lower().startswith(word)), WORKS)
    if note in {"", word}:
        return word
    line = f"{info.name}: {note}"
    if line not in told:
        told.append(line)
    return f"{word} ({told.index(line) + 1})"


if __name__ == "__main__":
    put(PAGE, "matrix", text(), sys.argv[1:])
