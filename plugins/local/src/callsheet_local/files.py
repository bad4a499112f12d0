"""The data directory: which file lies where, and how a file appears there.

    index.sqlite3            what videos and characters there are (with its -wal and -shm)
    characters/ID.png        a character's cut-out: the frames of its motion, one below the other
    videos/ID.mp4            completed videos; ID.webp and ID.jpg are their stills, made when first asked for
    inputs/ID.image, ID.mp4  what a job that is not done yet needs: its first frame, the video that it edits or extends
    work/                    half-made files; each job's names begin with its id

A file gets its final name when it is whole and on the disk, and only then does the index speak of it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from callsheet import ConfigurationError

__all__ = ["MEGABYTE", "Files", "place", "remove", "share", "unusable"]

MEGABYTE = 1_000_000
_FOLDERS = ("characters", "videos", "inputs", "work")


def unusable(directory: Path, reason: object) -> ConfigurationError:
    """The error for a data directory that can't be used."""
    return ConfigurationError(
        f"the local provider can't use its data directory {directory}: {reason}."
        " Make it a folder that you may write to, or name another one: the environment variable CALLSHEET_LOCAL_DIR"
        " or the setting data_dir.",
        code="data_dir_unusable",
        param="data_dir",
    )


@frozen
class Files:
    """Paths inside a data directory."""

    root: Path

    def prepare(self) -> None:
        """Make the folders. ConfigurationError if that can't be done, or if they can't be written to."""
        try:
            for folder in _FOLDERS:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            probe = self.scratch("probe", "")
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise unusable(self.root, f"{error.strerror or error} ({error.filename})") from error

    @property
    def index(self) -> Path:
        return self.root / "index.sqlite3"

    def character(self, id: str) -> Path:
        return self.root / "characters" / f"{id}.png"

    def video(self, id: str, suffix: str = ".mp4") -> Path:
        return self.root / "videos" / f"{id}{suffix}"

    def input(self, id: str, suffix: str) -> Path:
        return self.root / "inputs" / f"{id}{suffix}"

    def scratch(self, id: str, suffix: str) -> Path:
        """A new name for a half-made file."""
        return self.root / "work" / f"{id}.{secrets.token_hex(6)}{suffix}"

    def forget_video(self, id: str) -> None:
        """Remove a video's bytes and stills."""
        for suffix in (".mp4", ".webp", ".jpg"):
            remove(self.video(id, suffix))

    def forget_inputs(self, id: str) -> None:
        for suffix in (".image", ".mp4"):
            remove(self.input(id, suffix))

    def forget_scratch(self, id: str) -> None:
        """Remove what workers that died left half-made of a job."""
        for path in (self.root / "work").glob(f"{id}.*"):
            remove(path)

    def sweep(self, wanted: Callable[[str, str], bool | None], older_than: float) -> None:
        """Remove files that are not wanted, and of those that nobody knows (None) the old ones."""
        for folder in _FOLDERS:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    answer = wanted(folder, entry.name.partition(".")[0])
                    with suppress(OSError):
                        if answer is False or (answer is None and entry.stat().st_mtime < older_than):
                            Path(entry.path).unlink()

    def videos(self) -> set[str]:
        """The ids of the videos of which anything is there."""
        return {path.name.partition(".")[0] for path in (self.root / "videos").iterdir()}

    def used(self) -> int:
        """How many bytes lie in the directory."""
        total = 0
        for folder in _FOLDERS:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    with suppress(OSError):  # removed meanwhile
                        total += entry.stat().st_size
        return total


def place(made: Path, final: Path) -> None:
    """Give a finished file its final name, once its bytes are on the disk."""
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    made.replace(final)


def share(source: Path, target: Path) -> None:
    """Keep a file's bytes under a second name, so that they stay when the first is removed."""
    remove(target)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        path.unlink()
