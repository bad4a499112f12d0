"""Videos in the index: making, finding, and the leases by which exactly one worker renders each.

A worker claims a job by writing its name and a time into the row, and renews that time while it works. When the time
is past, the worker is dead (or its machine slept), and the next one to look may claim the job. A worker that finds its
claim gone drops what it made.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from attrs import frozen

from callsheet_local.index import Index

__all__ = ["LEASE_SECONDS", "MAX_STARTS", "Job", "Jobs"]

LEASE_SECONDS = 4.0
MAX_STARTS = 3
_CLAIMABLE = "(status = 'queued' OR (status = 'in_progress' AND lease_until < :now))"


@frozen
class Job:
    """A row of the table `videos`: see index.py for the columns."""

    id: str
    kind: str
    prompt: str
    width: int
    height: int
    seconds: float
    plan: dict[str, Any]
    model: str = "motion-1"
    status: str = "queued"
    progress: int = 0
    created_at: float = 0.0
    completed_at: float | None = None
    expires_at: float | None = None
    remixed_from: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    warnings: tuple[str, ...] = ()
    expected_bytes: int = 0
    lease_until: float | None = None
    starts: int = 0

    @classmethod
    def of(cls, row: sqlite3.Row) -> Job:
        values = {name: row[name] for name in row.keys() if name not in {"number", "lease_owner"}}  # noqa: SIM118  a Row iterates over its values
        values["plan"] = json.loads(values["plan"])
        values["warnings"] = tuple(json.loads(values["warnings"]))
        return cls(**values)

    @property
    def finished(self) -> bool:
        return self.status in {"completed", "failed"}

    def claimable(self, now: float) -> bool:
        """Whether a worker is wanted: nobody has begun, or the one who had is dead."""
        return self.status == "queued" or (
            self.status == "in_progress" and self.lease_until is not None and self.lease_until < now
        )

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@frozen
class Jobs:
    """The table `videos`."""

    index: Index

    def add(self, job: Job) -> None:
        columns = {
            "id": job.id,
            "kind": job.kind,
            "status": "queued",
            "created_at": job.created_at,
            "model": job.model,
            "prompt": job.prompt,
            "width": job.width,
            "height": job.height,
            "seconds": job.seconds,
            "remixed_from": job.remixed_from,
            "warnings": json.dumps(job.warnings),
            "plan": json.dumps(job.plan),
            "expected_bytes": job.expected_bytes,
        }
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.index.change(f"INSERT INTO videos ({names}) VALUES ({marks})", *columns.values())  # noqa: S608  our own names

    def get(self, id: str) -> Job | None:
        rows = self.index.read("SELECT * FROM videos WHERE id = ?", id)
        return Job.of(rows[0]) if rows else None

    def page(self, *, newest_first: bool, limit: int, after: str | None) -> list[Job] | None:
        """Some jobs in the order of creation, from the one behind `after` on; None when there is no such job."""
        sign, direction = ("<", "DESC") if newest_first else (">", "ASC")
        where, values = "", []
        if after is not None:
            found = self.index.read("SELECT number FROM videos WHERE id = ?", after)
            if not found:
                return None
            where, values = f"WHERE number {sign} ?", [found[0]["number"]]
        sql = f"SELECT * FROM videos {where} ORDER BY number {direction} LIMIT ?"  # noqa: S608  our own words
        return [Job.of(row) for row in self.index.read(sql, *values, limit)]

    def remove_finished(self, id: str) -> bool:
        """Forget a job unless it is still to be done."""
        return bool(self.index.change("DELETE FROM videos WHERE id = ? AND status IN ('completed', 'failed')", id))

    def expected_bytes(self) -> int:
        """How much the jobs that are not done yet will probably weigh."""
        sql = "SELECT coalesce(sum(expected_bytes), 0) AS total FROM videos WHERE status IN ('queued', 'in_progress')"
        return int(self.index.read(sql)[0]["total"])

    def expired(self, now: float) -> list[str]:
        return [row["id"] for row in self.index.read("SELECT id FROM videos WHERE expires_at <= ?", now)]

    def claim(self, owner: str) -> Job | None:
        """Take the oldest job that wants a worker. Jobs whose workers keep dying are failed on the way."""
        now = time.time()
        with self.index.write() as connection:
            connection.execute(
                "UPDATE videos SET status = 'failed', lease_owner = NULL, lease_until = NULL,"
                " error_code = 'worker_died', error_message = 'the process that rendered this video died '"
                " || starts || ' times, so it is not tried again; make the video anew, smaller or shorter'"
                " WHERE status = 'in_progress' AND lease_until < :now AND starts >= :most",
                {"now": now, "most": MAX_STARTS},
            )
            row = connection.execute(
                f"SELECT * FROM videos WHERE {_CLAIMABLE} ORDER BY number LIMIT 1",  # noqa: S608
                {"now": now},
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE videos SET status = 'in_progress', progress = 0, lease_owner = ?, lease_until = ?,"
                " starts = starts + 1 WHERE id = ?",
                (owner, now + LEASE_SECONDS, row["id"]),
            )
            return Job.of(row)

    def renew(self, id: str, owner: str, progress: int) -> bool:
        """Keep a claim and tell how far the work is. False when the claim is lost."""
        sql = "UPDATE videos SET progress = ?, lease_until = ? WHERE id = ? AND lease_owner = ?"
        return bool(self.index.change(sql, progress, time.time() + LEASE_SECONDS, id, owner))

    def complete(self, id: str, owner: str, *, keep_seconds: float, seconds: float, warnings: tuple[str, ...]) -> bool:
        now = time.time()
        sql = (
            "UPDATE videos SET status = 'completed', progress = 100, completed_at = ?, expires_at = ?, seconds = ?,"
            " warnings = ?, lease_owner = NULL, lease_until = NULL WHERE id = ? AND lease_owner = ?"
        )
        return bool(self.index.change(sql, now, now + keep_seconds, seconds, json.dumps(warnings), id, owner))

    def fail(self, id: str, owner: str, code: str, message: str) -> bool:
        sql = (
            "UPDATE videos SET status = 'failed', error_code = ?, error_message = ?,"
            " lease_owner = NULL, lease_until = NULL WHERE id = ? AND lease_owner = ?"
        )
        return bool(self.index.change(sql, code, message, id, owner))

    def release(self, id: str, owner: str) -> None:
        """Give a job back, as if it had not been begun."""
        sql = (
            "UPDATE videos SET status = 'queued', progress = 0, lease_owner = NULL, lease_until = NULL,"
            " starts = max(0, starts - 1) WHERE id = ? AND lease_owner = ?"
        )
        self.index.change(sql, id, owner)
