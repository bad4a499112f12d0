"""The entry points of what is installed, for all groups at once: reading them takes time with every distribution there is."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any

__all__ = ["entry_points", "owner_of"]

log = logging.getLogger("callsheet.installed")
PREFIX = "callsheet."
"""How the names of our groups begin."""
UNKNOWN = "unknown distribution"


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of one of our groups. Read again only when something was installed or uninstalled since."""
    return [point for point in _read(_state_of_the_path()) if point.group == group]


def owner_of(point: EntryPoint) -> tuple[str, str]:
    """The distribution that an entry point belongs to: its name and its version, as far as they are known."""
    owner = getattr(point, "dist", None)
    try:
        name, version = (owner.name, owner.version) if owner is not None else ("", "")
    except Exception:  # there is no METADATA: Pythons differ in what they make of that
        name, version = "", ""
    return name or UNKNOWN, version or ""


def _state_of_the_path() -> tuple[Any, ...]:
    """What changes when something is installed: the folders' times. importlib.metadata goes by the same."""
    return (*map(id, sys.meta_path), *((folder, _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int | None:
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=1)
def _read(_state: tuple[Any, ...]) -> tuple[EntryPoint, ...]:
    offers: dict[tuple[str, str], list[EntryPoint]] = {}
    for distribution in distributions():
        for point in _ours(distribution):
            offers.setdefault((point.group, point.name), []).append(point)
    return tuple(point for same in offers.values() for point in _one_each(same))


def _ours(distribution: Distribution) -> list[EntryPoint]:
    """A distribution's entry points in our groups. One whose list can't be read, whoever's it is, has none."""
    try:
        # Most have nothing to do with us, and parsing all of them would take most of the time.
        if PREFIX not in (distribution.read_text("entry_points.txt") or ""):
            return []
        return [point for point in distribution.entry_points if point.group.startswith(PREFIX)]
    except Exception as error:
        log.warning("the entry points of %s can't be read: %s", distribution, type(error).__name__)
        return []


def _one_each(same: list[EntryPoint]) -> Iterable[EntryPoint]:
    """Entry points of one name, one of each distribution: of one that lies in two folders on sys.path, the first."""
    if len(same) == 1:
        return same  # a distribution's name is in a file of its own, which is read only when it matters
    found: dict[object, EntryPoint] = {}
    for point in same:
        owner = re.sub("[-_.]+", "-", owner_of(point)[0]).lower()
        found.setdefault(point if owner == UNKNOWN else owner, point)
    return found.values()
