"""Managed ids: what callers hold instead of a provider's own ids. They say where a resource lives, and can't be mixed up.

    character_AQA3...   =   kind _ base64url( version, key id, account tag (8), upstream id, MAC (12) )

The same resource has the same id in every answer. Kind and owner are under the MAC though they are not in the id. With
no key (the library's default) the MAC is an integrity check only: it tells a mistyped or truncated id from a good one,
and does not keep anybody from making ids. The gateway has a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import get_args

from attrs import field, frozen

from callsheet.errors import APIResponseValidationError, NotFoundError
from callsheet.models.base import IdKind

__all__ = ["IdCodec", "ManagedId"]

VERSION = 1
MAC_BYTES = 12
TAG_BYTES = 8
MAX_UPSTREAM_BYTES = 350
NO_KEY = b"callsheet: integrity only"
KINDS: tuple[IdKind, ...] = get_args(IdKind)


@frozen
class ManagedId:
    """What an id says: of what kind the resource is, at which account it lives, what the provider calls it."""

    kind: IdKind
    account: bytes
    """The account's 8-byte tag (see `Account.tag`)."""
    upstream: str


@frozen
class IdCodec:
    """Makes and reads managed ids. `keys` maps a key id (0-255) to a key; ids are made with the key `current`.

    `owner` is the tenant that the ids belong to: those of another one can't be read.
    """

    keys: Mapping[int, bytes] = field(factory=lambda: {0: NO_KEY}, repr=False)
    current: int = 0
    owner: str = ""

    def encode(self, kind: IdKind, account: bytes, upstream: str) -> str:
        """The managed id of a resource.

        Raises APIResponseValidationError when the provider's id is empty or longer than 350 bytes.
        """
        raw = upstream.encode("utf-8", "surrogatepass")
        if not 0 < len(raw) <= MAX_UPSTREAM_BYTES:
            raise APIResponseValidationError(
                f"the provider's {kind} id has {len(raw)} bytes; 1 to {MAX_UPSTREAM_BYTES} can be managed: {upstream[:80]!r}"
            )
        content = bytes([VERSION, self.current]) + account + raw
        return f"{kind}_{_text(content + self._mac(kind, content, self.keys[self.current]))}"

    def decode(self, id: str, kind: IdKind) -> ManagedId:
        """Read an id. Raises NotFoundError, always the same, for one that was not made here, for this owner and kind."""
        content, mac = self._parts(id, kind)
        known = len(content) > 2 + TAG_BYTES and content[0] == VERSION and content[1] in self.keys
        # An unknown key costs the same as a wrong MAC: how long it takes must not tell which it was.
        key = self.keys[content[1]] if known else NO_KEY
        matches = hmac.compare_digest(self._mac(kind, content, key), mac)
        managed = _read(content, kind) if known and matches else None
        if managed is None:
            raise _not_found(id, kind)
        return managed

    def unverified(self, id: str, kind: IdKind) -> ManagedId | None:
        """What an id says, whoever made it; None if it says nothing. For finding out whose it could be, and then `decode`."""
        content, _ = self._parts(id, kind)
        return _read(content, kind)

    def _mac(self, kind: str, content: bytes, key: bytes) -> bytes:
        owner = self.owner.encode("utf-8", "surrogatepass")
        message = b"\0".join([kind.encode(), str(len(owner)).encode(), owner, content])
        return hmac.new(key, message, hashlib.sha256).digest()[:MAC_BYTES]

    @staticmethod
    def _parts(id: str, kind: IdKind) -> tuple[bytes, bytes]:
        text = id[len(kind) + 1 :] if id.startswith(f"{kind}_") else ""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(id) > 512 or _text(raw) != text:  # one id, one spelling: no padding, no loose bits
            raw = b""
        return raw[:-MAC_BYTES], raw[-MAC_BYTES:]


def _read(content: bytes, kind: IdKind) -> ManagedId | None:
    """What stands before the MAC; None for what can't be an id."""
    try:
        upstream = content[2 + TAG_BYTES :].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return ManagedId(kind, content[2 : 2 + TAG_BYTES], upstream) if upstream else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _not_found(id: str, kind: str) -> NotFoundError:
    what = {"resp": "response", "rtc": "call"}.get(kind, kind)
    return NotFoundError(
        f"there is no {what} {id[:60]!r}: the id was not issued here, or it is damaged or of another kind."
        " A provider's own id can be used with provider='...' in the library.",
        code="not_found",
    )
