"""Characters kept on this machine, for providers whose vendor has none: their names and their reference pictures.

    store = CharacterStore.of(io.account, settings.data_dir)
    kept = await io.run(store.create, request.name, frames)
    kept = await io.run(store.get, request.character_id)            # NotFoundError on another machine

One folder an account, one below it a character. A character is written beside its place and appears there whole, by one
renaming: several processes may share the folder. What is in it only its owner may read.

Characters are bound to the machine (or the shared disk) where they were made: another one does not have them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from callsheet.account import Account
from callsheet.data_home import data_home
from callsheet.errors import ConfigurationError, NotFoundError
from callsheet.reference_frames import Frame

__all__ = ["CharacterStore", "KeptCharacter", "default_data_dir", "fair_share"]

DATA_DIR = "CALLSHEET_DATA_DIR"
"""The environment variable that names the data directory of all providers that keep characters."""
_ID = re.compile(r"char_[0-9a-f]{32}")


def default_data_dir(
    platform: str = sys.platform, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Path:
    """The folder for such data: what CALLSHEET_DATA_DIR names, else the one that the platform has for it."""
    if chosen := environ.get(DATA_DIR):
        return Path(chosen).expanduser().absolute()
    return data_home(platform, environ, home)


@frozen
class KeptCharacter:
    """A character, and its pictures."""

    id: str
    name: str
    created_at: int
    """Unix time in seconds."""
    frames: tuple[Frame, ...]


@frozen
class CharacterStore:
    """The characters of one account. All methods block: hooks call them by `io.run`."""

    folder: Path

    @classmethod
    def of(cls, account: Account, data_dir: Path | None = None) -> CharacterStore:
        """The account's own folder below a data directory. Accounts are told apart as managed ids tell them apart."""
        return cls((data_dir or default_data_dir()) / "characters" / account.tag.hex())

    def create(self, name: str, frames: Sequence[Frame]) -> KeptCharacter:
        """Keep a character. ConfigurationError if the folder can't be used.

        Its id is made of its name and its pictures, so that a second attempt makes no second one: it gets the first.
        """
        one = KeptCharacter(_id(name, frames), name, int(time.time()), tuple(frames))
        sizes = [[frame.width, frame.height] for frame in one.frames]
        facts = {"name": one.name, "created_at": one.created_at, "frames": sizes}
        draft = self.folder / f".{one.id}.{secrets.token_hex(6)}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.mkdir(mode=0o700)
            try:
                for number, frame in enumerate(one.frames):
                    _write(draft / f"{number}.jpg", frame.jpeg)
                _write(draft / "character.json", json.dumps(facts).encode())
                return one if self._placed(draft, one.id) else self.get(one.id)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def _placed(self, draft: Path, id: str) -> bool:
        """Give a character its place. False if it is there already, and whole."""
        try:
            draft.rename(self.folder / id)
            return True
        except OSError:
            with suppress(NotFoundError):
                self.get(id)
                return False
        shutil.rmtree(self.folder / id, ignore_errors=True)  # damaged
        draft.rename(self.folder / id)
        return True

    def get(self, id: str, param: str = "character_id") -> KeptCharacter:
        """A character with its pictures. NotFoundError (naming `param`) if it is not kept here, or is damaged."""
        if not _ID.fullmatch(id):  # a path is made of it
            raise _not_found(id, param)
        place = self.folder / id
        try:
            facts = json.loads((place / "character.json").read_bytes())
            frames = [
                Frame((place / f"{number}.jpg").read_bytes(), int(width), int(height))
                for number, (width, height) in enumerate(facts["frames"])
            ]
            return KeptCharacter(id, str(facts["name"]), int(facts["created_at"]), tuple(frames))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            raise _not_found(id, param) from None
        except OSError as error:
            raise _unusable(self.folder, error) from error


def fair_share(characters: Sequence[KeptCharacter], most: int) -> list[Frame]:
    """At most so many pictures, taken in turns, so that each character has one before any has two. In their order.

    Raises ValueError when there are more characters than pictures may be.
    """
    if len(characters) > most:
        raise ValueError(f"{len(characters)} characters can't share {most} pictures")
    shares = [0] * len(characters)
    for turn in range(most):
        for number, one in enumerate(characters):
            if turn < len(one.frames) and sum(shares) < most:
                shares[number] += 1
    return [
        one.frames[_spread(number, share, len(one.frames))]
        for one, share in zip(characters, shares, strict=True)
        for number in range(share)
    ]


def _spread(number: int, share: int, total: int) -> int:
    """Which of a character's pictures: of one, the middle one; of several, evenly spread ones."""
    return (2 * number + 1) * total // (2 * share)


def _id(name: str, frames: Sequence[Frame]) -> str:
    """Nobody guesses it who has not the clip."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass"))
    for frame in frames:
        digest.update(b"\0" + hashlib.sha256(frame.jpeg).digest())
    return f"char_{digest.hexdigest()[:32]}"


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, down to the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _not_found(id: str, param: str) -> NotFoundError:
    return NotFoundError(
        f"there is no character {id!r:.60} on this machine. This provider's characters are kept where they were made:"
        " make it here, from its clip, or share the data directory with the machine that has it",
        code="character_not_found",
        param=param,
    )


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"characters can't be kept in {folder}: {error.strerror or error}. Make it a folder that you may write to, or name"
        f" another one: the environment variable {DATA_DIR} or the setting data_dir",
        code="data_dir_unusable",
        param="data_dir",
    )
