"""The database: what was acknowledged is there after a kill -9, and one bad write takes no other along."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callsheet import ConfigurationError
from callsheet_gateway.database import _VERSIONS, Database
from callsheet_gateway.state import State

ADD = "INSERT INTO spent_tokens VALUES (?, 1)"
WRITER = """
import sys
from pathlib import Path
from callsheet_gateway.database import Database
database = Database(Path(sys.argv[1]))
for number in range(10**9):
    database.write(("INSERT INTO spent_tokens VALUES (?, 1)", (f"{sys.argv[2]}-{number}",))).result()
    print(number, flush=True)
"""


@pytest.mark.parametrize("run", range(3))
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, run: int) -> None:
    file = tmp_path / "gateway.db"
    acknowledged = []
    for round in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), str(round)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged.append(f"{round}-{writer.stdout.readline().strip()}")  # it works
        time.sleep(0.02 * (run + 1))
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [f"{round}-{line.strip()}" for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        writer.stdout.close()
    database = Database(file)
    kept = {row["id"] for row in database.read("SELECT id FROM spent_tokens")}
    database.close()
    assert len(acknowledged) > 3
    assert set(acknowledged) <= kept


def test_a_bad_write_takes_no_other_along(tmp_path: Path) -> None:
    database = Database(tmp_path / "gateway.db")
    waiting = [database.write((ADD, (f"{number % 40}",))) for number in range(50)]  # ten of them twice
    ended = [future.exception() for future in waiting]
    assert [type(error) for error in ended if error] == [sqlite3.IntegrityError] * 10
    assert len(database.read("SELECT * FROM spent_tokens")) == 40
    half = database.write((ADD, ("new",)), (ADD, ("1",)))  # one transaction: all or nothing
    assert half.exception() is not None
    assert not database.read("SELECT * FROM spent_tokens WHERE id = 'new'")
    database.close()


def test_it_is_for_its_owners_eyes(tmp_path: Path) -> None:
    database = Database(tmp_path / "new" / "gateway.db")
    database.write((ADD, ("1",))).result()
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "new").iterdir()} == {0o600}
    database.close()


def test_many_threads(tmp_path: Path) -> None:
    database = Database(tmp_path / "gateway.db")

    def one(number: int) -> int:
        database.write((ADD, (f"{number}",))).result()
        return len(database.read("SELECT * FROM spent_tokens WHERE id = ?", f"{number}"))

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(300))) == {1}
    database.close()


@pytest.mark.parametrize("content", [b"no database at all, but a text that is long enough to be one" * 20])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gateway.db").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"gateway\.db can't be used"):
        Database(tmp_path / "gateway.db")


def test_nothing_that_is_handed_over_ends_the_writer(tmp_path: Path) -> None:
    """Neither who does not wait any longer, nor what no database can hold."""
    database = Database(tmp_path / "gateway.db")

    async def leave() -> None:
        for number in range(50):
            task = asyncio.ensure_future(asyncio.wrap_future(database.write((ADD, (f"left-{number}",)))))
            await asyncio.sleep(0)
            task.cancel()

    asyncio.run(leave())
    with pytest.raises(OverflowError):
        database.write(("INSERT INTO spent_tokens VALUES ('x', ?)", (10**30,))).result(5)
    database.write((ADD, ("after",))).result(5)
    assert len(database.read("SELECT * FROM spent_tokens")) == 51
    database.close()


def test_a_lock_of_another_process_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsheet_gateway.database._WAIT", 0.3)
    database = Database(tmp_path / "gateway.db")
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = database.write((ADD, ("0",)))
    time.sleep(0.05)  # it waits for the lock; the others are a batch after it
    began = time.monotonic()
    waiting = [first, *(database.write((ADD, (f"{number}",))) for number in range(1, 40))]
    assert all(isinstance(one.exception(10), sqlite3.OperationalError) for one in waiting)
    assert time.monotonic() - began < 3
    other.close()
    database.write((ADD, ("after",))).result(5)
    database.close()


def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "gateway.db")
    connection.executescript(f"{_VERSIONS[0]} PRAGMA user_version = 1;")
    connection.execute("INSERT INTO spent_tokens VALUES ('spent', 9999999999)")
    connection.execute("INSERT INTO keys VALUES ('key_1', 'hash', 'sk', 'shop', 'acme', NULL, 1, NULL, NULL)")
    row = ("video_1", "video", "acme", "place", '{"prompt": "A fox"}', 1)
    connection.execute(
        "INSERT INTO resources (id, kind, owner, place, document, created_at) VALUES (?, ?, ?, ?, ?, ?)", row
    )
    connection.commit()
    connection.close()
    for _ in range(2):
        state = State(tmp_path)
        assert [key.owner for key in state.keys.every()] == ["acme"]
        [[video], _] = state.resources.page("video", "acme", limit=5)
        assert (video.id, video.document) == ("video_1", {"prompt": "A fox"})
        assert not asyncio.run(state.spend("spent", 9999999999))
        assert state.database.read("SELECT * FROM answers") == []
        [[version]] = state.database.read("PRAGMA user_version")
        assert version == len(_VERSIONS)
        state.close()
