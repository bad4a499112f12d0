"""Ephemeral keys: a browser shows one and gets the session that it was made for. The index holds their hashes only."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from callsheet import AuthenticationError
from callsheet_local.index import Index

__all__ = ["Keys"]

DEFAULT_SECONDS = 600
_REMEMBERED_SECONDS = 24 * 3600
"""So long after its end a key is still known as an expired one."""


class Keys:
    """The keys of a data directory. One may open any number of sessions until it expires."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def mint(self, session: dict[str, Any], seconds: int, now: float) -> tuple[str, int]:
        """Make a key for a session. Returns it, and the Unix time in seconds when it ends."""
        value, ends = f"ek_{secrets.token_urlsafe(32)}", int(now) + seconds
        with self._index.write() as connection:
            connection.execute("DELETE FROM realtime_secrets WHERE expires_at < ?", (now - _REMEMBERED_SECONDS,))
            connection.execute(
                "INSERT INTO realtime_secrets (hash, session, expires_at) VALUES (?, ?, ?)",
                (_hash(value), json.dumps(session), ends),
            )
        return value, ends

    def session(self, value: str, now: float) -> dict[str, Any]:
        """The session that a key is for. AuthenticationError if there is no such key, or if it has expired."""
        rows = self._index.read("SELECT session, expires_at FROM realtime_secrets WHERE hash = ?", _hash(value))
        if not rows:
            raise AuthenticationError(
                "this ephemeral key was not made here: get one by mint_realtime_secret"
                " (POST /v1/realtime/client_secrets) from the same provider and data directory",
                code="invalid_ephemeral_key",
            )
        if now >= rows[0]["expires_at"]:
            raise AuthenticationError(
                f"Token expired {now - rows[0]['expires_at']:.0f} seconds ago: get a fresh one by mint_realtime_secret"
                " (POST /v1/realtime/client_secrets) for each connection, or ask for a longer life in expires_after",
                code="token_expired",
            )
        session: dict[str, Any] = json.loads(rows[0]["session"])
        return session


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
