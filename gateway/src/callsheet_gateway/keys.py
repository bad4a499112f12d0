"""Virtual keys: what programs show to the gateway. Only their hashes are kept.

A key is random (256 bits), so a plain hash of it can't be turned around. What is checked with each request is in memory; a
look at a counter, several times a second, tells whether keys were changed since, by whichever process.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence

from attrs import Factory, define, field, frozen

from callsheet import BadRequestError, NotFoundError
from callsheet_gateway.database import Database, Statement
from callsheet_gateway.key_limits import MOST, Caps

__all__ = ["PREFIX", "Keys", "VirtualKey", "hash_of", "new_secret"]

PREFIX = "sk-cs-"
_FRESH = 0.25
"""Seconds for which nobody looks whether keys have changed: a key that is disabled is refused within that time."""
_UNKNOWN = 0.01
"""The same for a key that is not known: it may have been made just now."""
_CHANGED: Statement = ("UPDATE counters SET value = value + 1 WHERE name = 'keys'", ())
_COLUMNS = "id, hash, shown, name, owner, models, created_at, expires_at, rpm, tpm, max_parallel_requests"
_NAME, _OWNER = 80, 200


@frozen
class VirtualKey:
    """A key, without the secret. Times are Unix time in seconds; `models` are the names that it may use, None for all.

    `owner` is the tenant that it belongs to; several keys may share one. `shown` is the secret's beginning; `caps` are its
    limits.
    """

    id: str
    name: str
    owner: str
    shown: str
    models: tuple[str, ...] | None
    created_at: int
    expires_at: int | None
    disabled_at: int | None
    caps: Caps = Factory(Caps)

    def usable(self, now: float) -> bool:
        """Whether it is neither disabled nor over."""
        return self.disabled_at is None and (self.expires_at is None or now < self.expires_at)

    def document(self) -> dict[str, object]:
        """As answers and `callsheet keys list --json` show it."""
        return {
            "id": self.id,
            "object": "key",
            "name": self.name,
            "owner": self.owner,
            "shown": self.shown,
            "models": None if self.models is None else list(self.models),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "disabled_at": self.disabled_at,
            **self.caps.document(),
        }


@define(eq=False)
class Keys:
    """The virtual keys in a database. `clock` tells the Unix time in seconds."""

    database: Database
    clock: Callable[[], float] = time.time
    _known: dict[str, VirtualKey] = field(factory=dict, init=False, repr=False)
    _counter: int = field(default=-1, init=False)
    _looked: float = field(default=float("-inf"), init=False)

    def find(self, secret: str) -> VirtualKey | None:
        """The key of a secret, if it is known and usable."""
        hash, age = hash_of(secret), time.monotonic() - self._looked
        if age >= _FRESH or (hash not in self._known and age >= _UNKNOWN):
            self._look()
        key = self._known.get(hash)
        return key if key is not None and key.usable(self.clock()) else None

    def by_id(self, id: str) -> VirtualKey | None:
        """A key by its id, as it is now."""
        rows = self.database.read("SELECT * FROM keys WHERE id = ?", id)
        return _key(rows[0]) if rows else None

    def every(self) -> list[VirtualKey]:
        """All keys, the oldest first."""
        return [_key(row) for row in self.database.read("SELECT * FROM keys ORDER BY created_at, id")]

    def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        models: Sequence[str] | None = None,
        expires_at: int | None = None,
        caps: Caps | None = None,
    ) -> tuple[VirtualKey, str]:
        """Make a key; the secret is told now and never again. Without an owner it is one of its own.

        Raises BadRequestError for a name, an owner, a time or a limit that can't be.
        """
        caps = caps or Caps()
        _check(caps)
        id = f"key_{secrets.token_hex(8)}"
        owner = id if owner is None else owner
        for field_name, text, most in (("name", name, _NAME), ("owner", owner, _OWNER)):
            if not text.strip() or len(text) > most or not text.isprintable():
                raise BadRequestError(f"{field_name}: 1 to {most} printable characters are wanted", param=field_name)
        now = int(self.clock())
        if expires_at is not None and expires_at <= now:
            raise BadRequestError("expires_at lies in the past", param="expires_at")
        if models is not None and (not models or not all(models)):
            raise BadRequestError("models: names of models are wanted", param="models")
        secret = new_secret()
        kept = None if models is None else json.dumps(list(models))
        values = (id, hash_of(secret), _shown(secret), name, owner, kept, now, expires_at)
        limits = (caps.rpm, caps.tpm, caps.max_parallel_requests)
        self._change(f"INSERT INTO keys ({_COLUMNS}) VALUES ({', '.join('?' * 11)})", *values, *limits)  # noqa: S608  our own words
        return self.sure(id), secret

    def limit(self, id: str, caps: Caps) -> VirtualKey:
        """Give a key other limits. NotFoundError if there is none; BadRequestError for a limit that can't be."""
        self.sure(id)
        _check(caps)
        sql = "UPDATE keys SET rpm = ?, tpm = ?, max_parallel_requests = ? WHERE id = ?"
        self._change(sql, caps.rpm, caps.tpm, caps.max_parallel_requests, id)
        return self.sure(id)

    def disable(self, id: str) -> VirtualKey:
        """Let a key be refused from now on. NotFoundError if there is none."""
        self.sure(id)
        self._change("UPDATE keys SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL", int(self.clock()), id)
        return self.sure(id)

    def rotate(self, id: str) -> tuple[VirtualKey, str]:
        """Give a key a new secret; the old one is refused from now on. NotFoundError if there is none, or it is disabled."""
        if self.sure(id).disabled_at is not None:
            raise NotFoundError(f"the key {id} is disabled; create a new one", code="key_disabled")
        secret = new_secret()
        self._change("UPDATE keys SET hash = ?, shown = ? WHERE id = ?", hash_of(secret), _shown(secret), id)
        return self.sure(id), secret

    def sure(self, id: str) -> VirtualKey:
        """A key by its id, as it is now. NotFoundError if there is none."""
        if (key := self.by_id(id)) is None:
            raise NotFoundError(f"there is no key {id!r:.80}; `callsheet keys list` shows them", code="key_not_found")
        return key

    def _change(self, sql: str, *values: object) -> None:
        self.database.write((sql, values), _CHANGED).result()
        self._looked = float("-inf")

    def _look(self) -> None:
        self._looked = time.monotonic()
        [[counter]] = self.database.read("SELECT value FROM counters WHERE name = 'keys'")
        if counter != self._counter:
            rows = self.database.read("SELECT * FROM keys WHERE disabled_at IS NULL")
            self._known = {row["hash"]: _key(row) for row in rows}
            self._counter = counter


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_secret() -> str:
    """A key that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def _shown(secret: str) -> str:
    return f"{secret[: len(PREFIX) + 4]}..."


def _check(caps: Caps) -> None:
    for name, value in caps.document().items():
        if value is not None and not 1 <= value <= MOST:
            raise BadRequestError(f"{name}: a number from 1 to {MOST} is wanted", param=name)


def _key(row: sqlite3.Row) -> VirtualKey:
    fields = {name: row[name] for name in row.keys() if name != "hash"}  # noqa: SIM118  a Row gives its values otherwise
    fields["models"] = None if row["models"] is None else tuple(json.loads(row["models"]))
    caps = Caps(*(fields.pop(name) for name in ("rpm", "tpm", "max_parallel_requests")))
    return VirtualKey(**fields, caps=caps)
