"""The data directory of a gateway: its root keys, its database, the master key that it made for itself, and what is under
way over it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, field, frozen
from pydantic import SecretStr

from callsheet import ConfigurationError
from callsheet.data_home import data_home
from callsheet.file_lock import locked
from callsheet_gateway.budgets import Budgets
from callsheet_gateway.database import Database
from callsheet_gateway.kept_answers import Answers
from callsheet_gateway.keys import Keys, new_secret
from callsheet_gateway.limits import Limits
from callsheet_gateway.owned_ids import Codecs
from callsheet_gateway.resources import Resources
from callsheet_gateway.root_keys import RootKeys, read_private, write_private
from callsheet_gateway.spool import Spool

__all__ = ["MasterKey", "State", "alone_in", "default_folder"]

_KEPT = 3600
"""Seconds for which a token that is over is remembered still: clocks may jump."""
_ROOT, _DATABASE = "root-keys.json", "gateway.db"
_LOCK, _LOOK = "serving.lock", 0.05


def default_folder() -> Path:
    """Where a gateway keeps its things if nobody says so."""
    return data_home() / "gateway"


@contextlib.contextmanager
def alone_in(folder: Path, patience: float, waits: Callable[[], None]) -> Iterator[None]:
    """Be the only gateway that serves a data directory, as long as the context lasts.

    Another one gets `patience` seconds to end; `waits` is called before it is waited for. ConfigurationError if it goes on.
    The lock goes with its process, however that ends. Nothing is locked where the system knows no such locks.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the data directory {folder} can't be used: {error.strerror}") from None
    try:
        if not _locked(file):
            waits()
            until = time.monotonic() + patience
            while not _locked(file):
                if time.monotonic() >= until:
                    raise ConfigurationError(
                        f"another gateway serves the data directory {folder}, and has not ended within {patience:g} s: end"
                        " it, or give this one a directory of its own with --data-dir"
                    )
                time.sleep(_LOOK)
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        return locked(file)
    except OSError as error:
        raise ConfigurationError(f"the data directory can't be locked: {error.strerror}") from None


@frozen
class MasterKey:
    """A master key that was made here, and its file. `fresh`: just now, so it is to be shown, once."""

    key: SecretStr
    file: Path
    fresh: bool


@define(eq=False)
class State:
    """An open data directory. ConfigurationError if it can't be used. `clock` tells the Unix time in seconds."""

    folder: Path
    clock: Callable[[], float] = time.time
    root: RootKeys = field(init=False)
    database: Database = field(init=False)
    keys: Keys = field(init=False)
    resources: Resources = field(init=False)
    answers: Answers = field(init=False)
    codecs: Codecs = field(init=False)
    limits: Limits = field(init=False)
    budgets: Budgets = field(init=False)
    _temporary: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.root = RootKeys.of_file(self.folder / _ROOT)
        self.database = Database(self.folder / _DATABASE)
        self.keys = Keys(self.database, self.clock)
        self.resources = Resources(self.database, self.clock)
        self.answers = Answers.of(self.database, self.root, self.clock)
        self.codecs = Codecs.of(self.root)
        self.limits = Limits(Spool(self.folder))
        self.budgets = Budgets(self.database, self.clock)

    @classmethod
    def passing(cls) -> State:
        """One that is gone when it is closed."""
        folder = tempfile.TemporaryDirectory(prefix="callsheet-gateway-")
        state = cls(Path(folder.name))
        state._temporary = folder
        return state

    def master_key(self) -> MasterKey:
        """The master key of this directory; it is made when there is none."""
        file, fresh = self.folder / "master-key", False
        if (kept := read_private(file)) is None:
            write_private(file, f"{new_secret()}\n".encode(), new=True)
            kept, fresh = read_private(file) or b"", True
        return MasterKey(SecretStr(kept.decode().strip()), file, fresh)

    async def spend(self, token: str, expires_at: int) -> bool:
        """Write down that a token was used. Whether it was the first time."""
        late = ("DELETE FROM spent_tokens WHERE expires_at < ?", (int(self.clock()) - _KEPT,))
        sql = "INSERT INTO spent_tokens VALUES (?, ?) ON CONFLICT DO NOTHING"
        return await self.database.written(late, (sql, (token, expires_at))) == 1

    def rotate_root(self) -> int:
        """Let a new root key make what is new. Its number. A gateway that runs takes it up when it is started again."""
        with self.database.alone():  # two at once would both make the same number
            self.root = RootKeys.of_file(self.folder / _ROOT).rotated()
            self.root.to_file(self.folder / _ROOT)
        self.codecs = Codecs.of(self.root)
        return self.root.current

    def close(self) -> None:
        self.database.close()
        if self._temporary is not None:
            self._temporary.cleanup()
