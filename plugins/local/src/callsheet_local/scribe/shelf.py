"""Responses that are kept, in SQLite. What one is like at a moment follows from the clock: no process works on it."""

from __future__ import annotations

import json
import sqlite3
import time
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from callsheet_local.index import Index
from callsheet_local.scribe.script import Beat, Script

__all__ = ["QUEUED_SECONDS", "Kept", "Shelf"]

QUEUED_SECONDS = 0.2
_SWEEP_SECONDS = 60.0
JSON = dict[str, Any]


@frozen
class Kept:
    """A kept response. `whole` is how it ends when nobody cancels it; `script` is how it ends as things are."""

    whole: Script
    input: list[JSON]
    created_at: float
    rate: float
    """Tokens in a second; 0: all at once."""
    cancelled_at: float | None = None

    @classmethod
    def of(cls, row: sqlite3.Row) -> Kept:
        return cls(
            Script(json.loads(row["document"])),
            json.loads(row["input"]),
            row["created_at"],
            row["rate"],
            row["cancelled_at"],
        )

    @property
    def background(self) -> bool:
        return bool(self.whole.document.get("background"))

    @property
    def begins(self) -> float:
        """When it leaves the queue: only background responses that take their time are in one."""
        return self.created_at + (QUEUED_SECONDS if self.background and self.rate else 0.0)

    @property
    def ends(self) -> float:
        return self.begins + (self.whole.length / self.rate if self.rate else 0.0)

    def count(self, now: float) -> int:
        """How many tokens there are at a moment; -1 while it is queued."""
        if now >= self.ends:
            return self.whole.length
        return int((now - self.begins) * self.rate) if now >= self.begins else -1

    def due(self, beat: Beat) -> float:
        """When an event happens."""
        if self.cancelled_at is not None or not self.rate:
            return self.created_at
        return self.created_at if beat.due < 0 else self.begins + beat.due / self.rate

    @property
    def script(self) -> Script:
        return self.ended(0)

    def ended(self, given: int) -> Script:
        """The script as things are, with an end for somebody who has seen so many of its events already."""
        if self.cancelled_at is None or self.cancelled_at >= self.ends:
            return self.whole
        seen = list(islice(self.whole.beats(), given))
        count = max(0, self.count(self.cancelled_at), *(beat.due for beat in seen[-1:]))
        script = self.whole.cancelled(count)
        # What was seen stays: a reader may have got a little further than the clock had when somebody cancelled.
        if [beat.type for beat in islice(script.beats(), given)] != [beat.type for beat in seen]:
            script = self.whole.cancelled(count + 1)
        return script

    def document(self, now: float) -> JSON:
        """What the response looks like at a moment."""
        script = self.script
        if script.document["status"] == "cancelled" or now >= self.ends:
            return script.document
        count = self.count(now)
        return self.whole.begun("queued") if count < 0 else self.whole.under_way(count)


class Shelf:
    """The tables `responses` and `response_items`."""

    def __init__(self, index: Index, keep_seconds: float, most_bytes: float) -> None:
        self._index, self._keep_seconds, self._most_bytes = index, keep_seconds, most_bytes
        self._next_sweep, self._added = 0.0, 0

    def add(self, id: str, kept: Kept) -> None:
        """Keep a response, and make room first."""
        document = json.dumps(kept.whole.document, separators=(",", ":"))
        items = json.dumps(kept.input, separators=(",", ":"))
        found = [*kept.input, *kept.whole.document["output"]]
        size = len(document) + len(items)
        self._added += size
        self._sweep()
        names = {item["id"] for item in found if isinstance(item.get("id"), str)}
        with self._index.write() as connection:
            connection.execute(
                "INSERT INTO responses (id, created_at, document, input, rate, bytes) VALUES (?, ?, ?, ?, ?, ?)",
                (id, kept.created_at, document, items, kept.rate, size),
            )
            connection.executemany("INSERT INTO response_items VALUES (?, ?)", [(name, id) for name in names])

    def get(self, id: str) -> Kept | None:
        rows = self._index.read("SELECT * FROM responses WHERE id = ?", id)
        if not rows or rows[0]["created_at"] < time.time() - self._keep_seconds:
            return None
        return Kept.of(rows[0])

    def item(self, id: str) -> JSON | None:
        """An item of any kept response: what was asked, or what was answered."""
        sql = (
            "SELECT r.* FROM response_items i JOIN responses r ON r.id = i.response_id WHERE i.id = ?"
            " ORDER BY r.created_at DESC LIMIT 1"
        )
        for row in self._index.read(sql, id):
            kept = Kept.of(row)
            items: list[JSON] = [*kept.input, *kept.document(time.time())["output"]]
            for item in items:
                if item.get("id") == id:
                    return item
        return None

    def cancel(self, id: str, kept: Kept, now: float) -> Kept:
        """Stop a response that is not done, for good. What was there first counts: a done one stays done."""
        if now >= kept.ends:
            return kept
        if self._index.change("UPDATE responses SET cancelled_at = ? WHERE id = ? AND cancelled_at IS NULL", now, id):
            return evolve(kept, cancelled_at=now)
        return self.get(id) or kept

    def remove(self, id: str) -> bool:
        with self._index.write() as connection:
            connection.execute("DELETE FROM response_items WHERE response_id = ?", (id,))
            return bool(connection.execute("DELETE FROM responses WHERE id = ?", (id,)).rowcount)

    def _sweep(self) -> None:
        """Remove what is too old, and the oldest of what is too much: each minute, and when much was added meanwhile."""
        if time.monotonic() < self._next_sweep and self._added <= self._most_bytes / 10:
            return
        self._next_sweep, self._added = time.monotonic() + _SWEEP_SECONDS, 0
        with self._index.write() as connection:
            old = connection.execute(
                "SELECT id FROM responses WHERE created_at < ?1 OR id IN (SELECT id FROM (SELECT id, sum(bytes) OVER"
                " (ORDER BY created_at DESC, id) AS total FROM responses) WHERE total > ?2)",
                (time.time() - self._keep_seconds, self._most_bytes),
            ).fetchall()
            for row in old:
                connection.execute("DELETE FROM response_items WHERE response_id = ?", (row["id"],))
                connection.execute("DELETE FROM responses WHERE id = ?", (row["id"],))
