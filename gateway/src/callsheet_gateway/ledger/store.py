"""The ledger's rows. Whatever is written, a charge that has come to its end stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

from callsheet_gateway.database import Database, Statement
from callsheet_gateway.ledger.charge import COLUMNS, Charge

__all__ = ["Charges"]

_SIZES = (64, 8, 1)
"""Rows in one statement: each statement lets go of the interpreter, and has to wait to get it back."""
_OPEN = "state IN ('begun', 'running', 'unknown')"
"""Word for word as the indexes say it: else they are not used."""
_WAITING = f"charges INDEXED BY charges_waiting WHERE settled_at IS NULL AND {_OPEN}"
"""Those that somebody still has to look at. There may be any number of others whose end nobody will ever know, and this is
asked every second: a database that does not know better would go through all of them."""
_NAMES = ", ".join(COLUMNS)
_ROW = f"({', '.join('?' * len(COLUMNS))})"
_NEW = f"INSERT INTO charges ({_NAMES}) VALUES "  # noqa: S608  our own words, here and below
_AGAIN = (
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
    " WHERE charges.state IN ('begun', 'running', 'unknown')"
)
_WRITES = {size: _NEW + ", ".join([_ROW] * size) + _AGAIN for size in _SIZES}


@frozen
class Charges:
    """The charges in a database."""

    database: Database

    @staticmethod
    def statements(charges: Sequence[Charge]) -> Iterator[Statement]:
        """What writes charges down as they are now: new ones, and those that are known but not at their end."""
        first = 0
        for size in _SIZES:
            while len(charges) - first >= size:
                yield _WRITES[size], [value for one in charges[first : first + size] for value in one.values()]
                first += size

    def by_id(self, id: str) -> Charge | None:
        return next(self._found("id = ?", id), None)

    def at(self, place: str) -> Iterator[Charge]:
        """Those at a place that have not come to their end."""
        return self._found(f"place = ? AND {_OPEN}", place)

    def claimed(self, *places: str) -> bool:
        """Whether something of ours is at one of some places, or was."""
        at = f"place IN ({_marks(places)})"
        sql = f"SELECT 1 FROM charges WHERE {at} UNION ALL SELECT 1 FROM resources WHERE {at} LIMIT 1"  # noqa: S608
        return bool(self.database.read(sql, *places, *places))

    def deleted(self, place: str) -> bool:
        """Whether what was at a place was deleted."""
        sql = "SELECT 1 FROM resources WHERE place = ? AND deleted_at IS NOT NULL LIMIT 1"
        return bool(self.database.read(sql, place))

    def model_at(self, place: str) -> str | None:
        """What the provider calls the model of what was made at a place; None if that is not known."""
        sql = "SELECT upstream_model FROM charges WHERE place = ? AND upstream_model IS NOT NULL ORDER BY rowid LIMIT 1"
        return next((str(model) for (model,) in self.database.read(sql, place)), None)

    def waiting(self, state: str, operations: Iterable[str], limit: int = 10_000) -> list[Charge]:
        """Those in a state that somebody still has to look at, the oldest first."""
        names = [*operations]
        condition = f"state = ? AND operation IN ({_marks(names)}) ORDER BY created_at, rowid LIMIT ?"
        return list(self._rows(f"{_WAITING} AND {condition}", state, *names, limit))

    def placed(self, operations: Iterable[str], since: float) -> list[Charge]:
        """Those begun from a time on of which it is known where their work is."""
        names = [*operations]
        condition = f"place IS NOT NULL AND created_at >= ? AND operation IN ({_marks(names)})"
        return list(self._found(condition, since, *names))

    def left_unknown(self, operations: Iterable[str], since: float) -> list[Charge]:
        """Those that nobody looks for any more, though nobody knows what became of them; begun from a time on."""
        names = [*operations]
        condition = "state = 'unknown' AND settled_at IS NOT NULL AND created_at >= ?"
        return list(self._found(f"{_OPEN} AND {condition} AND operation IN ({_marks(names)})", since, *names))

    def left_behind(self, process: str) -> list[Charge]:
        """Those that another run of the gateway had begun, and of which it has not said what became of them."""
        return list(self._rows(f"{_WAITING} AND state = 'begun' AND process <> ?", process))

    def open(self) -> dict[str, int]:
        """How many there are in each state that is not the end."""
        rows = self.database.read(f"SELECT state, count(*) FROM charges WHERE {_OPEN} GROUP BY state")  # noqa: S608
        return {"begun": 0, "running": 0, "unknown": 0} | dict[str, int]([(state, count) for state, count in rows])

    def _found(self, condition: str, *values: Any) -> Iterator[Charge]:
        return self._rows(f"charges WHERE {condition}", *values)

    def _rows(self, where: str, *values: Any) -> Iterator[Charge]:
        rows = self.database.read(f"SELECT {_NAMES} FROM {where}", *values)  # noqa: S608
        return (Charge.of_row(row) for row in rows)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
