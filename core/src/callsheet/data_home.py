"""Where a platform wants a program's data."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["data_home"]


def data_home(platform: str = sys.platform, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """The folder that the platform has for callsheet's data. It need not be there yet."""
    home = home or Path.home()
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        # The XDG specification: a relative path is to be ignored.
        chosen = environ.get("XDG_DATA_HOME", "")
        base = Path(chosen) if Path(chosen).is_absolute() else home / ".local" / "share"
    return base / "callsheet"
