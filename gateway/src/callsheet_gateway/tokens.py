"""Ephemeral keys as browsers get them: the provider's own key, sealed, with the account that it belongs to.

    ek_ + base64url( version, nonce (12), AES-256-GCM( claims ) )

The gateway has to know where a call belongs, and the browser shall not learn the provider's key: so what the browser
holds is opaque, and only this server can open it. The key lives as long as the process: a restart ends all tokens.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from time import time

from attrs import asdict, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callsheet import AuthenticationError

__all__ = ["PREFIX", "Claims", "Tokens"]

PREFIX = "ek_"
"""Browser SDKs insist on it."""
VERSION = 1
PURPOSE = b"callsheet realtime key"
_AGAIN = "get a fresh one from POST /v1/realtime/client_secrets right before the call"


@frozen
class Claims:
    """What a token says. `model` is the name that the caller used; `expires_at` is Unix time in seconds."""

    account: str
    secret: str = field(repr=False)
    expires_at: int
    model: str | None = None


@frozen
class Tokens:
    """Seals and opens ephemeral keys. `now` gives Unix time in seconds."""

    key: bytes = field(factory=lambda: os.urandom(32), repr=False)
    now: Callable[[], float] = time

    def seal(self, claims: Claims) -> str:
        nonce = os.urandom(12)
        sealed = AESGCM(self.key).encrypt(nonce, json.dumps(asdict(claims)).encode(), PURPOSE)
        return PREFIX + base64.urlsafe_b64encode(bytes([VERSION]) + nonce + sealed).rstrip(b"=").decode()

    def open(self, token: str) -> Claims:
        """The claims of a token. AuthenticationError when it was not made here, or is over."""
        text = token.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
            if not token.startswith(PREFIX) or not canonical or len(raw) < 29 or raw[0] != VERSION:
                raise ValueError(token[:3])
            claims = Claims(**json.loads(AESGCM(self.key).decrypt(raw[1:13], raw[13:], PURPOSE)))
        except (binascii.Error, ValueError, InvalidTag):
            raise AuthenticationError(
                f"the ephemeral key was not issued by this server, or the server was started anew since: {_AGAIN}",
                code="invalid_ephemeral_key",
            ) from None
        if claims.expires_at <= self.now():
            raise AuthenticationError(f"Token expired: {_AGAIN}", code="token_expired")
        return claims
