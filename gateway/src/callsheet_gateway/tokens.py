"""Ephemeral keys as browsers get them: the provider's own key, sealed, with where it leads and in whose name.

    ek_ + base64url( version, key number, nonce (12), AES-256-GCM( claims ) )

The gateway has to know where a call belongs, and the browser shall not learn the provider's key: so what the browser
holds is opaque, and only a gateway with the same root keys can open it. The subkey is derived for this purpose alone, and
purpose, version and key number are authenticated with the claims.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from collections.abc import Callable, Mapping
from time import time

from attrs import asdict, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callsheet import AuthenticationError
from callsheet_gateway.root_keys import RootKeys

__all__ = ["PREFIX", "Claims", "Tokens"]

PREFIX = "ek_"
"""Browser SDKs insist on it."""
VERSION = 2
PURPOSE = "realtime token 1"
_AGAIN = "get a fresh one from POST /v1/realtime/client_secrets right before the call"
_SHORTEST = 1 + 1 + 12 + 16


@frozen
class Claims:
    """What a token says. `model` is the name that the caller used; `expires_at` is Unix time in seconds.

    `session_type` is the session's, such as "realtime"; `key` the id of the virtual key that asked for it, None for the
    master key; `owner` that key's owner; `place` says which account at which address it was; `id` is the token's own, by
    which it is known when it comes a second time.
    """

    account: str
    secret: str = field(repr=False)
    expires_at: int
    model: str | None = None
    session_type: str = "realtime"
    key: str | None = None
    owner: str = ""
    place: str = ""
    id: str = field(factory=lambda: secrets.token_urlsafe(12))


@frozen
class Tokens:
    """Seals and opens ephemeral keys. `now` gives Unix time in seconds."""

    keys: Mapping[int, bytes] = field(factory=lambda: {0: os.urandom(32)}, repr=False)
    current: int = 0
    now: Callable[[], float] = time

    @classmethod
    def of(cls, root: RootKeys, now: Callable[[], float] = time) -> Tokens:
        return cls(root.derived(PURPOSE), root.current, now)

    def seal(self, claims: Claims) -> str:
        head, nonce = bytes([VERSION, self.current]), os.urandom(12)
        content = json.dumps(asdict(claims)).encode()
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, content, PURPOSE.encode() + head)
        return PREFIX + base64.urlsafe_b64encode(head + nonce + sealed).rstrip(b"=").decode()

    def open(self, token: str) -> Claims:
        """The claims of a token. AuthenticationError when it was not made here, or is over."""
        text = token.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
            good = token.startswith(PREFIX) and canonical and len(raw) >= _SHORTEST and raw[0] == VERSION
            if not good or raw[1] not in self.keys:
                raise ValueError(token[:3])
            opened = AESGCM(self.keys[raw[1]]).decrypt(raw[2:14], raw[14:], PURPOSE.encode() + raw[:2])
            claims = Claims(**json.loads(opened))
        except (binascii.Error, ValueError, InvalidTag):
            raise AuthenticationError(
                f"the ephemeral key was not issued by this server: {_AGAIN}", code="invalid_ephemeral_key"
            ) from None
        if claims.expires_at <= self.now():
            raise AuthenticationError(f"Token expired: {_AGAIN}", code="token_expired")
        return claims
