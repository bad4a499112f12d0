"""The SQLite index: one connection for a process, used under a lock, in WAL mode so that processes can share it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from callsheet import ConfigurationError
from callsheet_local.files import Files, unusable

__all__ = ["Closed", "Index"]

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of creation
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,                        -- generate, edit or extend (a remix is generated)
    status TEXT NOT NULL,
    progress INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    completed_at REAL,
    expires_at REAL,
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    seconds REAL NOT NULL,                     -- of the whole video
    remixed_from TEXT,
    error_code TEXT,
    error_message TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    plan TEXT NOT NULL DEFAULT '{}',           -- what the worker needs to know besides: see plans.py
    expected_bytes INTEGER NOT NULL DEFAULT 0, -- counted against the quota until the video is there
    lease_owner TEXT,                          -- the worker that renders it now
    lease_until REAL,                          -- ... and until when it must have renewed its claim
    starts INTEGER NOT NULL DEFAULT 0          -- how many workers have begun it
);
CREATE INDEX IF NOT EXISTS videos_by_status ON videos (status, number);
CREATE TABLE IF NOT EXISTS characters (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    clip_width INTEGER NOT NULL,
    clip_height INTEGER NOT NULL,
    frames INTEGER NOT NULL,                   -- how many are in its picture, one below the other
    rate REAL NOT NULL,                        -- ... and how many of them go by in a second
    cut TEXT NOT NULL                          -- moving or oval: how it was cut out
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    document TEXT NOT NULL,                    -- how it ends if nobody cancels it
    input TEXT NOT NULL,                       -- the items that it was asked
    rate REAL NOT NULL,                        -- tokens in a second; 0: all at once
    cancelled_at REAL,
    bytes INTEGER NOT NULL                     -- of document and input
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (created_at, id, bytes);
CREATE TABLE IF NOT EXISTS response_items (
    id TEXT NOT NULL,                          -- an item of the input or the output: an item_reference may name it
    response_id TEXT NOT NULL,
    PRIMARY KEY (id, response_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS response_items_by_response ON response_items (response_id);
CREATE TABLE IF NOT EXISTS realtime_secrets (
    hash TEXT PRIMARY KEY,                     -- of the ephemeral key: it is not kept itself
    session TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Closed(ConfigurationError):
    """Something that outlived its client wants the index."""


class Index:
    """Reads and writes, each a transaction. Anything that SQLite can't do is a ConfigurationError naming the directory."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._closed = False

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._guarded() as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else's writing can come between."""
        with self._guarded() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def change(self, sql: str, *values: object) -> int:
        """Run one statement and return how many rows it changed."""
        with self.write() as connection:
            return connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Close it for good: what comes later, from a stream that outlived its client, gets Closed."""
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None and self._pid == os.getpid():
                connection.close()

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise Closed("the client that this belongs to was closed")
            try:
                # A connection must not be used in a forked child: each process opens its own.
                if self._connection is None or self._pid != os.getpid():
                    self._connection, self._pid = self._open(), os.getpid()
                yield self._connection
            except sqlite3.Error as error:
                raise unusable(self._files.root, f"{error} ({self._files.index.name})") from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._files.index, timeout=15, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut, too
            [found] = connection.execute("PRAGMA user_version").fetchone()
            if found > _VERSION:
                raise sqlite3.DatabaseError("it was made by a newer callsheet-local: upgrade this one")
            if found < _VERSION:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection
