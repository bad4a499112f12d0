"""The root keys: what everything that this gateway seals or signs is derived from, one subkey for each purpose.

They lie in a file of the data directory that its owner alone may read:

    {"current": 1, "keys": {"0": "base64...", "1": "base64..."}}

Rotation adds a key and makes it the current one. The earlier ones stay: ids that were made with them go on working.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import stat
from pathlib import Path

from attrs import field, frozen
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callsheet import ConfigurationError

__all__ = ["RootKeys", "read_private", "write_private"]

_BYTES = 32
_MOST = 256
"""A key's number is one byte of an id."""


@frozen
class RootKeys:
    """The keys by their number, 0 to 255, and which of them makes what is new."""

    keys: dict[int, bytes] = field(factory=lambda: {0: secrets.token_bytes(_BYTES)}, repr=False)
    current: int = 0

    def derived(self, purpose: str) -> dict[int, bytes]:
        """The subkeys for a purpose, of 32 bytes, by number (HKDF with SHA-256, RFC 5869)."""
        return {number: _derive(key, purpose) for number, key in self.keys.items()}

    def rotated(self) -> RootKeys:
        """The same with a new key, which is the current one. Of 256 keys the one that follows is given up."""
        number = (self.current + 1) % _MOST
        return RootKeys({**self.keys, number: secrets.token_bytes(_BYTES)}, number)

    @classmethod
    def of_file(cls, file: Path) -> RootKeys:
        """The keys in a file, which is made when there is none. ConfigurationError if it can't be used."""
        if (content := read_private(file)) is None:
            cls().to_file(file, new=True)
            content = read_private(file) or b""  # another process may have been faster: its keys count
        try:
            document = json.loads(content)
            keys = {int(number): base64.b64decode(key, validate=True) for number, key in document["keys"].items()}
            current = int(document["current"])
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise ConfigurationError(f"{file} holds no root keys; put it back from a backup") from None
        good = all(0 <= number < _MOST and len(key) == _BYTES for number, key in keys.items())
        if not good or current not in keys:
            raise ConfigurationError(f"{file} holds root keys that can't be used; put it back from a backup")
        return cls(keys, current)

    def to_file(self, file: Path, *, new: bool = False) -> None:
        """Write the keys, so that the file is whole at any time. `new`: only if there is none yet."""
        keys = {str(number): base64.b64encode(key).decode() for number, key in self.keys.items()}
        write_private(file, json.dumps({"current": self.current, "keys": keys}).encode(), new=new)


def read_private(file: Path) -> bytes | None:
    """A file that only its owner may read; None if there is none. ConfigurationError when others may read it, too."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise ConfigurationError(f"others may read {file}, which holds a secret: chmod 600 {file}")
            return opened.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def write_private(file: Path, content: bytes, *, new: bool = False) -> None:
    """Write a file that only its owner may read. `new`: leave one that is there already. ConfigurationError if it fails."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(opened, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            if new:
                os.link(beside, file)
            else:
                beside.replace(file)
        except FileExistsError:
            pass
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be written: {error.strerror}") from None


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), _BYTES, salt=None, info=f"callsheet {purpose}".encode()).derive(key)
