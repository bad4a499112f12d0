"""What was spent, out of the ledger's rows: by key, model, day and so on. Nothing that is not known counts as 0 silently."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import anyio.to_thread
from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

from callsheet_gateway.amounts import dollars_text, seconds_of
from callsheet_gateway.database import Database
from callsheet_gateway.documents import JSONDocument
from callsheet_gateway.errors import Refused
from callsheet_gateway.face import Endpoint, Face
from callsheet_gateway.principal import principal_of

__all__ = ["GROUPS", "MOST", "ROUTES", "Asked", "Sum", "moment_of", "sums"]

GROUPS = {
    "key": "key", "owner": "owner", "model": "model", "operation": "operation", "provider": "provider",
    "account": "account", "day": "strftime('%Y-%m-%d', created_at, 'unixepoch')",
}  # fmt: skip
"""What can be summed up by, and how the rows say it. Days are UTC's."""
MOST = 10_000
"""Sums in one answer."""
_SUMS = """
    COUNT(*) AS calls,
    COALESCE(SUM(CASE WHEN state = 'settled' THEN cost END), 0) AS cost,
    COUNT(CASE WHEN state IN ('begun', 'running') THEN 1 END) AS running,
    COALESCE(SUM(CASE WHEN state IN ('begun', 'running') THEN reserved END), 0) AS reserved,
    COUNT(CASE WHEN state = 'unknown' THEN 1 END) AS unknown,
    COALESCE(SUM(CASE WHEN state = 'unknown' THEN reserved END), 0) AS unknown_at_most,
    COUNT(CASE WHEN state = 'settled' AND cost IS NULL THEN 1
               WHEN state IN ('begun', 'running', 'unknown') AND reserved IS NULL THEN 1 END) AS unpriced"""
_AMOUNTS = ("cost", "reserved", "unknown_at_most")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AT_ONCE = anyio.CapacityLimiter(2)
"""Sums over millions of rows take a second: nobody can have all threads at it."""


@frozen
class Asked:
    """What to sum up. Times are Unix time in seconds, of a call's beginning; `until` is not included any more."""

    by: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    owners: tuple[str, ...] = ()
    """All of them must be a call's owner: what somebody may see, and what he has asked for."""
    key: str | None = None


@frozen
class Sum:
    """The calls of one group. Amounts are micro-dollars.

    `cost` is that of calls that are over and have a price. `running` calls go on, and have `reserved` set aside; of `unknown`
    ones nobody knows what became of them, and they cost `unknown_at_most`. `unpriced` is how many of all are in none of
    the three amounts, since nobody knows the price.
    """

    group: dict[str, str | None]
    calls: int
    cost: int
    running: int
    reserved: int
    unknown: int
    unknown_at_most: int
    unpriced: int
    key_name: str | None = field(default=None)

    def document(self) -> dict[str, object]:
        """As answers and --json show it: amounts in dollars, as texts, exactly."""
        named = {"key_name": self.key_name} if "key" in self.group else {}
        return {**self.group, **named, **self.figures()}

    def figures(self) -> dict[str, object]:
        """The numbers of it."""
        names = ("calls", "cost", "running", "reserved", "unknown", "unknown_at_most", "unpriced")
        return {name: dollars_text(getattr(self, name)) if name in _AMOUNTS else getattr(self, name) for name in names}


def sums(database: Database, asked: Asked) -> tuple[list[Sum], Sum]:
    """The sums of each group, in the groups' order - one more than MOST where there are more - and of all. Takes long."""
    columns = [f"{GROUPS[name]} AS in_{name}" for name in asked.by]
    named = ["MAX(key_name) AS key_name"] if "key" in asked.by else []
    numbers = ", ".join(str(number + 1) for number in range(len(asked.by)))
    where, values = _where(asked)
    grouped = f" GROUP BY {numbers} ORDER BY {numbers} LIMIT {MOST + 1}" if numbers else ""
    each = f"SELECT {', '.join([*columns, *named, _SUMS])} FROM charges{where}{grouped}"  # noqa: S608  our own words
    found, [whole] = database.read_apart((each, values), (f"SELECT {_SUMS} FROM charges{where}", values))  # noqa: S608
    return [_sum(row, asked.by) for row in found], _sum(whole, ())


def moment_of(text: str, now: float, *, end: bool = False) -> float:
    """The Unix time that is meant by a length of time before now (7d), or by a day (2026-11-01, UTC).

    A day means its beginning, or its `end`. ValueError for anything else.
    """
    if not _DATE.fullmatch(text):
        try:
            return now - seconds_of(text)
        except ValueError:
            raise ValueError(
                f"{text!r:.40} is no time: write a day such as 2026-11-01, or 7d for as long ago"
            ) from None
    day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    return (day + timedelta(days=1) if end and day.year < 9999 else day).timestamp()


async def spend(face: Face, request: Request) -> Response:
    """GET /spend: what the caller's owner has spent. The master key sees everybody's."""
    principal, query = principal_of(request), request.query_params
    for name in query:
        if name not in {"group_by", "since", "until", "owner", "key"} or len(query.getlist(name)) > 1:
            raise Refused(400, f"{name!r:.80} is not known here, or comes twice", "invalid_value", name[:80])
    by = (
        tuple(name.strip() for name in query.get("group_by", "model").split(",")) if query.get("group_by") != "" else ()
    )
    if len(set(by)) < len(by) or set(by) - set(GROUPS):
        raise Refused(400, f"group_by takes names out of {', '.join(GROUPS)}, with commas", "invalid_value", "group_by")
    times: dict[str, float] = {}
    for name in ("since", "until"):
        try:
            if name in query:
                times[name] = moment_of(query[name], face.state.clock(), end=name == "until")
        except (ValueError, OverflowError) as error:
            raise Refused(400, f"{name}: {error}", "invalid_value", name) from None
    owners = [] if principal.admin else [principal.owner]
    owners += [query["owner"]] if "owner" in query else []
    asked = Asked(by, owners=tuple(owners), key=query.get("key"), **times)
    found, whole = await anyio.to_thread.run_sync(sums, face.state.database, asked, limiter=_AT_ONCE)
    return JSONDocument(
        {
            "object": "list",
            "data": [one.document() for one in found[:MOST]],
            "has_more": len(found) > MOST,
            "total": whole.document(),
        }
    )


def _where(asked: Asked) -> tuple[str, Sequence[str | float]]:
    conditions: list[str] = []
    values: list[str | float] = []
    wanted = [("created_at >= ?", asked.since), ("created_at < ?", asked.until), ("key = ?", asked.key)]
    for condition, value in [*wanted, *(("owner = ?", owner) for owner in asked.owners)]:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


def _sum(row: sqlite3.Row, by: tuple[str, ...]) -> Sum:
    names = row.keys()
    figures = {name: row[name] for name in names if not name.startswith("in_")}
    return Sum({name: row[f"in_{name}"] for name in by}, **figures)


ROUTES: dict[str, dict[str, Endpoint]] = {"/spend": {"GET": spend}}
