"""The command `callsheet`. It needs click and rich, which come with `pip install 'callsheet[cli]'`.

`app` is the command and what happens to its errors, `plugins` the commands of other distributions, `options` and
`output` what commands share; every other module is a command or a group of them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process, and end the process."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(f"callsheet: the command needs {' and '.join(missing)}: pip install 'callsheet[cli]'")
    try:
        from callsheet.cli.app import callsheet

        callsheet(prog_name="callsheet")
    except KeyboardInterrupt:  # while importing; later ones are told more kindly by the app
        sys.exit(130)
