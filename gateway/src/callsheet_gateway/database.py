"""The gateway's database: SQLite in WAL mode, read where one stands, written by one thread.

What has been written is on the disk when `write` is done (synchronous=FULL). Writes that wait together are committed
together. Another process, such as `callsheet keys`, may read and write at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from attrs import define, field

from callsheet import ConfigurationError

__all__ = ["Database"]

_VERSIONS = (
    """
CREATE TABLE keys (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, shown TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
    models TEXT, created_at INTEGER NOT NULL, expires_at INTEGER, disabled_at INTEGER
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counters VALUES ('keys', 0);
CREATE TABLE resources (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, owner TEXT NOT NULL,
    place TEXT NOT NULL, model TEXT, document TEXT NOT NULL, created_at INTEGER NOT NULL, deleted_at INTEGER
);
CREATE INDEX resources_of_owner ON resources (owner, kind, number);
CREATE INDEX resources_of_place ON resources (place, kind);
CREATE TABLE spent_tokens (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL);
""",
    """
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, claim TEXT NOT NULL,
    outcome TEXT NOT NULL, answer BLOB, began_at INTEGER NOT NULL
);
""",
    """
CREATE TABLE charges (
    id TEXT PRIMARY KEY, created_at REAL NOT NULL, settled_at REAL, state TEXT NOT NULL, operation TEXT NOT NULL,
    model TEXT, provider TEXT, account TEXT, upstream_model TEXT, key TEXT, key_name TEXT, owner TEXT NOT NULL,
    request_id TEXT, resource TEXT, place TEXT, reserved INTEGER, cost INTEGER, usage TEXT, asked TEXT,
    process TEXT NOT NULL
);
CREATE INDEX charges_of_owner ON charges (owner, created_at);
CREATE INDEX charges_of_key ON charges (key, created_at);
CREATE INDEX charges_open ON charges (state, created_at) WHERE state IN ('begun', 'running', 'unknown');
CREATE INDEX charges_of_place ON charges (place) WHERE place IS NOT NULL;
""",
    """
ALTER TABLE keys ADD COLUMN rpm INTEGER;
ALTER TABLE keys ADD COLUMN tpm INTEGER;
ALTER TABLE keys ADD COLUMN max_parallel_requests INTEGER;
CREATE TABLE budgets (
    subject TEXT NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL, period INTEGER, started_at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
);
INSERT INTO counters VALUES ('budgets', 0);
""",
    """
UPDATE charges SET reserved = NULL WHERE reserved > 1000000000000000;
UPDATE charges SET cost = NULL WHERE cost > 1000000000000000;
CREATE INDEX charges_waiting ON charges (state, created_at)
    WHERE settled_at IS NULL AND state IN ('begun', 'running', 'unknown');
""",
)
"""What each version adds to the one before. They stay as they are: there are files of each."""
_WAIT = 5.0
"""Seconds to wait for another process that writes."""
_TOGETHER = 200
"""How many writes are committed at once."""

Statement = tuple[str, Sequence[Any]]


@define(eq=False)
class Database:
    """An open database. Safe to use from several threads. ConfigurationError if the file can't be used."""

    file: Path
    _reading: sqlite3.Connection = field(init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _waiting: queue.SimpleQueue[tuple[list[Statement], Future[int]] | None] = field(
        factory=queue.SimpleQueue, init=False, repr=False
    )
    _writer: threading.Thread = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))  # prompts stand in it: for its owner's eyes
            writing = self._connect()
            _prepare(writing, self.file)
            self._reading = self._connect()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"the database {self.file} can't be used: {error}") from None
        self._writer = threading.Thread(target=self._write, args=(writing,), name="callsheet database", daemon=True)
        self._writer.start()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """The rows that a query gives. Takes some ten microseconds."""
        with self._lock:
            return self._reading.execute(sql, values).fetchall()

    def read_apart(self, *queries: Statement) -> list[list[sqlite3.Row]]:
        """The rows that several queries give, all of one moment, over a connection of its own.

        For what takes long: in a thread, where nobody has to wait for it.
        """
        with contextlib.closing(self._connect()) as connection:
            connection.execute("BEGIN")
            return [connection.execute(sql, values).fetchall() for sql, values in queries]

    def write(self, *statements: Statement) -> Future[int]:
        """Do statements in one transaction. The future gives how many rows the last of them changed, once it is kept.

        It can't be cancelled: what was handed over is written, whoever still waits for it.
        """
        done: Future[int] = Future()
        done.set_running_or_notify_cancel()
        self._waiting.put((list(statements), done))
        return done

    @property
    def waiting(self) -> int:
        """How many writes have not begun."""
        return self._waiting.qsize()

    async def written(self, *statements: Statement) -> int:
        """`write` for async code: returns when it is kept."""
        return await asyncio.wrap_future(self.write(*statements))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody writes as long as the context lasts, not in another process either."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()

    def close(self) -> None:
        """Finish what is to be written, and close."""
        self._waiting.put(None)
        self._writer.join()
        with self._lock:
            self._reading.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _write(self, connection: sqlite3.Connection) -> None:
        over = False
        while not over:
            batch = [self._waiting.get()]
            while batch[-1] is not None and len(batch) < _TOGETHER:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            over = batch[-1] is None
            _commit(connection, [one for one in batch if one is not None])
        connection.close()


def _commit(connection: sqlite3.Connection, batch: list[tuple[list[Statement], Future[int]]]) -> None:
    """Write a batch in one transaction; if that fails, each on its own, so that one bad write takes no other along.

    Whatever goes wrong is told to who waits: the thread goes on for all others.
    """
    if not batch:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:  # another process writes, or nobody can: each on its own would wait as long again
        for _, done in batch:
            done.set_exception(error)
        return
    try:
        changed = [_do(connection, statements) for statements, _ in batch]
        connection.execute("COMMIT")
    except Exception as error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        if len(batch) == 1:
            batch[0][1].set_exception(error)
            return
        for one in batch:
            _commit(connection, [one])
        return
    for (_, done), count in zip(batch, changed, strict=True):
        done.set_result(count)


def _do(connection: sqlite3.Connection, statements: list[Statement]) -> int:
    return [connection.execute(sql, values).rowcount for sql, values in statements][-1]


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    """Make the tables that a file does not have yet. ConfigurationError for a file of a newer gateway."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        [(version,)] = connection.execute("PRAGMA user_version")
        if version > len(_VERSIONS):
            raise ConfigurationError(f"{file} was written by a newer callsheet-gateway: install that one again")
        for schema in _VERSIONS[version:]:
            for statement in schema.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_VERSIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
