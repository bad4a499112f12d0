"""What was made through this gateway: a row for each video job and character, with whose it is.

Rows are why lists, deletions, prompts and times work for providers that have none of it, and how the master key finds its
way into a tenant's things. An id needs no row to lead to its job.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from attrs import define, frozen

from callsheet.ids import ManagedId
from callsheet_gateway.database import Database, Statement
from callsheet_gateway.ledger.charge import place_of

__all__ = ["Resource", "Resources"]


_LATEST = 2**53


@frozen
class Resource:
    """A video job or a character, as it was seen last. `number` counts up; times are Unix time in seconds."""

    number: int
    id: str
    kind: str
    owner: str
    place: str
    model: str | None
    document: Mapping[str, Any]
    created_at: int
    deleted_at: int | None


@define(eq=False)
class Resources:
    """The rows in a database. `clock` tells the Unix time in seconds."""

    database: Database
    clock: Callable[[], float] = time.time

    def of(self, managed: ManagedId, owner: str | None) -> Resource | None:
        """What this id is of, also if it was deleted; with an `owner`, only if it is his.

        An id's text will not do: after the root key was rotated, one job has two.
        """
        sql = "SELECT * FROM resources WHERE place = ? AND kind = ?"
        rows = self.database.read(sql, _place(managed), managed.kind)
        return next((_resource(row) for row in rows if owner in {None, row["owner"]}), None)

    async def probe(self) -> None:
        """Raises sqlite3.Error or OSError if nothing can be written."""
        await self.database.written(("UPDATE counters SET value = value WHERE name = 'keys'", ()))

    async def keep(
        self,
        managed: ManagedId,
        owner: str,
        model: str | None,
        document: Mapping[str, Any],
        also: Iterable[Statement] = (),
    ) -> None:
        """Write down what was made, and what else has to be known from then on. Returns when it is on the disk."""
        await self.database.written(self.kept(managed, owner, model, document), *also)

    def kept(self, managed: ManagedId, owner: str, model: str | None, document: Mapping[str, Any]) -> Statement:
        """What writes down something that was made."""
        made_at = document.get("created_at")
        values = (
            document["id"],
            managed.kind,
            owner,
            _place(managed),
            model,
            json.dumps(document),
            made_at if isinstance(made_at, int) and 0 <= made_at < _LATEST else int(self.clock()),
        )
        sql = (
            "INSERT INTO resources (id, kind, owner, place, model, document, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET document = excluded.document, deleted_at = NULL"
        )
        return sql, values

    async def see(self, id: str, document: Mapping[str, Any]) -> None:
        """Write down how something looks now, if it is known."""
        sql = "UPDATE resources SET document = ? WHERE id = ?"
        await self.database.written((sql, (json.dumps(document), id)))

    async def delete(self, id: str) -> None:
        """Let it be gone for those who ask by its id, and from lists."""
        sql = "UPDATE resources SET deleted_at = ? WHERE id = ?"
        await self.database.written((sql, (int(self.clock()), id)))

    def page(
        self,
        kind: str,
        owner: str | None,
        *,
        limit: int,
        after: Resource | None = None,
        newest_first: bool = True,
        models: Collection[str] | None = None,
    ) -> tuple[list[Resource], bool]:
        """Up to `limit` of an owner's, and whether there are more. `after` is where to go on.

        `owner` and `models` are None for those of everybody, and of all models.
        """
        conditions, values = ["kind = ?", "deleted_at IS NULL"], [kind]
        if models is not None:
            conditions.append(f"model IN ({', '.join('?' * len(models))})")
            values += models
        if owner is not None:
            conditions.append("owner = ?")
            values.append(owner)
        if after is not None:
            conditions.append(f"number {'<' if newest_first else '>'} ?")
            values.append(str(after.number))
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT * FROM resources WHERE {' AND '.join(conditions)} ORDER BY number {order} LIMIT ?"  # noqa: S608  our own words
        rows = self.database.read(sql, *values, limit + 1)
        return [_resource(row) for row in rows[:limit]], len(rows) > limit


def _place(managed: ManagedId) -> str:
    return place_of(managed.account, managed.upstream)


def _resource(row: sqlite3.Row) -> Resource:
    fields = {name: row[name] for name in row.keys()}  # noqa: SIM118  a Row gives its values otherwise
    return Resource(**{**fields, "document": json.loads(row["document"])})
