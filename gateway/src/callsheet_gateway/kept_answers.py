"""What was answered to requests with an Idempotency-Key, for a day: so that who asks again gets the same answer.

A row says that a request was begun before any of it is done, and holds the answer before its last byte leaves. A row that
was begun by a process that is gone tells that nobody knows what became of it.

Answers hold prompts and secrets: they are sealed, AES-256-GCM under a subkey for this purpose alone, and a row's answer
opens in no other row. Texts that callers chose, and bodies, stand there as hashes only.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from attrs import define, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callsheet_gateway.database import Database, Statement
from callsheet_gateway.errors import Refused, not_writable
from callsheet_gateway.root_keys import RootKeys
from callsheet_gateway.spool import Memory

__all__ = ["Answer", "Answers", "Claim", "place_of"]

log = logging.getLogger("callsheet.gateway")

DAY = 24 * 3600
"""Seconds for which an answer is kept."""
MOST = 8 * 1024 * 1024
"""Bytes of one answer."""
MOST_ROWS, MOST_BYTES = 1_000_000, 1024**3
"""Of all answers. What is beyond is forgotten, the oldest of the owner who has most: rows altogether, bytes but for that
there was an answer. So nobody pushes out what others have."""
VERSION = 1
PURPOSE = "idempotent answer 1"
_FAILURES = (sqlite3.Error, OSError)
_ROW = "SELECT body, outcome, answer FROM answers WHERE id = ? AND began_at > ?"
_LATE = "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT 100) AND began_at <= ?"
_NEW = (
    "INSERT INTO answers (id, body, claim, outcome, began_at) VALUES (?, ?, ?, 'begun', ?) ON CONFLICT (id) DO NOTHING"
)
_OWNER = 16
"""Characters of an id that stand for whose it is."""
_FEWER = f"""
WITH theirs AS (
    SELECT number FROM answers WHERE answer IS NOT NULL AND substr(id, 1, {_OWNER}) = (
        SELECT substr(id, 1, {_OWNER}) FROM answers WHERE answer IS NOT NULL
        GROUP BY 1 ORDER BY sum(length(answer)) DESC LIMIT 1
    )
)
UPDATE answers SET outcome = 'lost', answer = NULL WHERE number IN (
    SELECT number FROM theirs ORDER BY number LIMIT (SELECT count(*) / 10 + 1 FROM theirs)
)"""  # noqa: S608  a number of ours
"""A tenth of theirs at once: to find the oldest takes its time."""
_FEWER_ROWS = f"""
DELETE FROM answers WHERE number IN (
    SELECT number FROM answers WHERE substr(id, 1, {_OWNER}) = (
        SELECT substr(id, 1, {_OWNER}) FROM answers GROUP BY 1 ORDER BY count(*) DESC LIMIT 1
    ) ORDER BY number LIMIT ?
)"""  # noqa: S608  a number of ours


@frozen
class Answer:
    """A whole answer."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)


@frozen
class Claim:
    """The right to do what a request asks for. `id` says who asked for what, under which key; `body` what it was."""

    id: str
    body: str
    token: str


@define(eq=False)
class Answers:
    """The answers in a database. `clock` tells the Unix time in seconds.

    Each claim that was given must come back, by one of `keep`, `free` and `leave`.
    """

    database: Database
    keys: Mapping[int, bytes] = field(repr=False)
    current: int = 0
    clock: Callable[[], float] = time.time
    room: Memory = field(factory=Memory, init=False)
    """What streams take that are recorded now."""
    _process: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _given: int = field(default=0, init=False)
    _under_way: dict[str, Claim] = field(factory=dict, init=False, repr=False)
    _bytes: int = field(init=False)
    """Of all answers; or more, since some may be deleted by now."""
    _rows: int = field(init=False)
    """The same of rows. What another process adds is seen when they are counted again."""

    def __attrs_post_init__(self) -> None:
        self._bytes, self._rows = self._sum(), self._count()

    @classmethod
    def of(cls, database: Database, root: RootKeys, clock: Callable[[], float] = time.time) -> Answers:
        return cls(database, root.derived(PURPOSE), root.current, clock)

    async def begin(self, id: str, body: str) -> Claim | Answer:
        """The claim of who asks first: it is on the disk by then. For all others, the answer to the first.

        Refused for another body (422), while the first is under way, or if its answer is not known (409), and where
        nothing can be written (503).
        """
        if (before := self._under_way.get(id)) is not None:
            raise _in_use() if before.body == body else _reused()
        late = int(self.clock()) - DAY
        if not (rows := self.database.read(_ROW, id, late)):
            self._given += 1
            claim = self._under_way[id] = Claim(id, body, f"{self._process}.{self._given}")
            if await self._first(claim, late):
                return claim
            rows = self.database.read(_ROW, id, late)  # another process was faster
        if not rows:
            raise _in_use()  # and gave it back
        if rows[0]["body"] != body:
            raise _reused()
        if rows[0]["outcome"] == "begun":
            raise _unknown()
        if (answer := self._opened(id, body, rows[0]["answer"])) is None:
            raise _lost()
        return answer

    async def keep(self, claim: Claim, answer: Answer | None) -> None:
        """Write down the answer; None for one that can't be kept. A failure is logged: the answer is good without it.

        What is to be written is handed over at once, whoever waits for it.
        """
        if answer is None or len(answer.body) > MOST:
            sealed, outcome = None, "lost"
        else:
            sealed, outcome = self._sealed(claim, answer), "kept"
        sql = "UPDATE answers SET outcome = ?, answer = ? WHERE id = ? AND claim = ?"
        statements: list[Statement] = [(sql, (outcome, sealed, claim.id, claim.token))]
        if sealed is not None and self._fills(len(sealed)):
            statements.append((_FEWER, ()))
        await self._told(self._end(claim, *statements))

    async def free(self, claim: Claim) -> None:
        """Nothing was done: whoever asks next is the first."""
        await self._told(self._freed(claim))

    def leave(self, claim: Claim) -> None:
        """Nobody knows what was done: that is what whoever asks next is told."""
        self._under_way.pop(claim.id, None)

    async def _first(self, claim: Claim, late: int) -> bool:
        """Write down that it begins. Whether nobody has done so before."""
        new = (_NEW, (claim.id, claim.body, claim.token, int(self.clock())))
        expired = ("DELETE FROM answers WHERE id = ? AND began_at <= ?", (claim.id, late))
        try:
            first = await self.database.written((_LATE, (late,)), *self._fewer_rows(), expired, new) == 1
        except _FAILURES as error:
            self.leave(claim)
            log.critical("the database can't be written: %s", type(error).__name__)
            raise not_writable() from None
        except asyncio.CancelledError:
            self._rows += 1
            self._freed(claim)  # it will have been written, and nothing is done
            raise
        if not first:
            self.leave(claim)
        self._rows += first
        return first

    def _fewer_rows(self) -> list[Statement]:
        """What makes room for one row more: for a hundredth of all, since to find out whose they are takes its time."""
        if self._rows < MOST_ROWS:
            return []
        self._rows = self._count()
        if (over := self._rows - MOST_ROWS + 1) <= 0:
            return []
        fewer = over + MOST_ROWS // 100
        self._rows -= fewer
        return [(_FEWER_ROWS, (fewer,))]

    def _freed(self, claim: Claim) -> Future[int]:
        self._rows -= 1
        return self._end(claim, ("DELETE FROM answers WHERE id = ? AND claim = ?", (claim.id, claim.token)))

    def _end(self, claim: Claim, *statements: Statement) -> Future[int]:
        written = self.database.write(*statements)
        written.add_done_callback(lambda _written: self.leave(claim))  # not before: the row says "begun" until then
        return written

    async def _told(self, writing: Future[int]) -> None:
        try:
            await asyncio.wrap_future(writing)
        except _FAILURES as error:
            log.critical("what became of an idempotent request was not written down: %s", type(error).__name__)

    def _fills(self, more: int) -> bool:
        """Count bytes. Whether there are too many then."""
        self._bytes += more
        if self._bytes <= MOST_BYTES:
            return False
        self._bytes = self._sum() + more
        return self._bytes > MOST_BYTES

    def _count(self) -> int:
        [[count]] = self.database.read("SELECT count(*) FROM answers")
        return int(count)

    def _sum(self) -> int:
        [[total]] = self.database.read("SELECT coalesce(sum(length(answer)), 0) FROM answers")
        return int(total)

    def _sealed(self, claim: Claim, answer: Answer) -> bytes:
        head, nonce = bytes([VERSION, self.current]), os.urandom(12)
        content = json.dumps([answer.status, [*answer.headers]]).encode() + b"\n" + answer.body
        return (
            head + nonce + AESGCM(self.keys[self.current]).encrypt(nonce, content, _bound(head, claim.id, claim.body))
        )

    def _opened(self, id: str, body: str, sealed: bytes | None) -> Answer | None:
        """None where there is none, or the root key is gone that it was sealed with."""
        if sealed is None or sealed[0] != VERSION or sealed[1] not in self.keys:
            return None
        try:
            content = AESGCM(self.keys[sealed[1]]).decrypt(sealed[2:14], sealed[14:], _bound(sealed[:2], id, body))
        except InvalidTag:
            return None
        head, _, body_of_answer = content.partition(b"\n")
        status, headers = json.loads(head)
        return Answer(status, [(name, value) for name, value in headers], body_of_answer)


def place_of(owner: str, text: str) -> str:
    """The id of what `text` says of a request. It begins with a sign of the owner, by which is counted what he has."""
    return _sha(owner)[:_OWNER] + _sha(text)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _bound(head: bytes, id: str, body: str) -> bytes:
    """What is authenticated with an answer: the place where it belongs."""
    return PURPOSE.encode() + head + f"{id}:{body}".encode()


def _reused() -> Refused:
    return Refused(
        422,
        "this Idempotency-Key came with another request before: use a new key for each request, and the same one only to"
        " ask the same again",
        "idempotency_key_reused",
    )


def _in_use() -> Refused:
    refusal = Refused(409, "the first request with this Idempotency-Key is still under way", "idempotency_key_in_use")
    refusal.retry_after = 1.0
    return refusal


def _lost() -> Refused:
    return Refused(
        409,
        "this was done for the first request with this Idempotency-Key, and the answer is not kept: it was too long, or"
        " broken off. Look for what it made; a new key does it once more",
        "idempotency_answer_lost",
    )


def _unknown() -> Refused:
    return Refused(
        409,
        "nobody knows what became of the first request with this Idempotency-Key: the gateway ended, or failed, before its"
        " answer, or its client left. Look whether it was done - GET /v1/videos lists jobs - before asking again with a new"
        " key",
        "idempotency_outcome_unknown",
    )
