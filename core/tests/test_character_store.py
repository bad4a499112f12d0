"""Characters kept on disk: whole or not at all, for their owner only, and nowhere else than in their folder."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callsheet import ConfigurationError, NotFoundError, ProviderSettings
from callsheet.account import Account
from callsheet.character_store import CharacterStore, KeptCharacter, default_data_dir, fair_share
from callsheet.reference_frames import Frame

FRAMES = [Frame(b"\xff\xd8\xff one", 1280, 720), Frame(b"\xff\xd8\xff two", 720, 1280)]


@pytest.fixture
def store(tmp_path: Path) -> CharacterStore:
    return CharacterStore(tmp_path / "characters" / "one")


def test_what_is_kept_is_found_again(store: CharacterStore) -> None:
    names = ["Luna", "Ünïcode 🦊", "../../x", "a\nb", '"', "\udc80", "x" * 80]
    made = [store.create(name, FRAMES) for name in names]
    assert [one.name for one in made] == names
    for one in made:
        assert CharacterStore(store.folder).get(one.id) == one
        assert one.frames == tuple(FRAMES)
        assert one.created_at > 1_700_000_000
    assert len({one.id for one in made}) == len(names)
    assert {path.name for path in store.folder.iterdir()} == {one.id for one in made}


def test_a_second_attempt_makes_no_second_one(store: CharacterStore) -> None:
    one = store.create("Luna", FRAMES)
    (store.folder / one.id / "character.json").write_text(
        json.dumps({"name": "Luna", "created_at": 1, "frames": [[1280, 720], [720, 1280]]})
    )
    again = store.create("Luna", FRAMES)
    assert (again.id, again.created_at) == (one.id, 1)
    assert [path.name for path in store.folder.iterdir()] == [one.id]
    others = [store.create("Mia", FRAMES), store.create("Luna", FRAMES[:1]), store.create("Luna", FRAMES[::-1])]
    assert len({one.id, *(other.id for other in others)}) == 4


def test_a_damaged_one_is_made_anew(store: CharacterStore) -> None:
    one = store.create("Luna", FRAMES)
    (store.folder / one.id / "1.jpg").unlink()
    assert store.create("Luna", FRAMES).frames == one.frames
    assert store.get(one.id).frames == one.frames
    assert [path.name for path in store.folder.iterdir()] == [one.id]


def test_only_its_owner_may_read_it(store: CharacterStore) -> None:
    one = store.create("Luna", FRAMES)
    place = store.folder / one.id
    assert [stat.S_IMODE(path.stat().st_mode) for path in (store.folder, place)] == [0o700] * 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}


def test_accounts_do_not_see_each_other(tmp_path: Path) -> None:
    accounts = [
        Account.of(provider, ProviderSettings, {"base_url": url}, environ={})
        for provider in ("a", "b")
        for url in ("https://one.example", "https://two.example")
    ]
    stores = [CharacterStore.of(account, tmp_path) for account in accounts]
    assert len({store.folder for store in stores}) == 4
    id = stores[0].create("Luna", FRAMES).id
    assert CharacterStore.of(accounts[0], tmp_path).get(id).name == "Luna"
    for store in stores[1:]:
        with pytest.raises(NotFoundError):
            store.get(id)


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"char_[0-9a-f]{31,33}", fullmatch=True),
        st.from_regex(r"(\.\./){1,4}[a-z.]{0,9}", fullmatch=True),
    )
)
@example("char_" + "0" * 32 + "\n")
@example("../secret")
@example(".")
@example("")
@example("char_\0" + "0" * 31)
@example("char_" + "٣" * 32)
@example("/etc")
def test_an_id_that_was_never_given(tmp_path_factory: pytest.TempPathFactory, id: str) -> None:
    root = tmp_path_factory.getbasetemp() / "with-a-secret"
    secret = root / "secret"
    if not secret.exists():
        secret.mkdir(parents=True)
        (secret / "character.json").write_text('{"name": "secret", "created_at": 1, "frames": []}')
    with pytest.raises(NotFoundError) as refused:
        CharacterStore(root / "store").get(id)
    assert (refused.value.code, refused.value.param) == ("character_not_found", "character_id")
    assert "on this machine" in str(refused.value)
    assert str(root) not in str(refused.value)  # where a server keeps its files is nobody's business


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"name": "a"}', b'{"name": "a", "created_at": "x", "frames": []}',
        b'{"name": "a", "created_at": 1, "frames": [[1]]}', b'{"name": "a", "created_at": 1, "frames": [[1, 2], [1, 2], [1, 2]]}',
    ],
)  # fmt: skip
def test_a_damaged_one_is_not_there(store: CharacterStore, damage: bytes) -> None:
    one = store.create("Luna", FRAMES)
    (store.folder / one.id / "character.json").write_bytes(damage)
    with pytest.raises(NotFoundError):
        store.get(one.id)


def test_half_made_ones_are_not_there(store: CharacterStore) -> None:
    one = store.create("Luna", FRAMES)
    (store.folder / one.id).rename(store.folder / f".{one.id}")  # as a process that died leaves it
    for id in (one.id, f".{one.id}"):
        with pytest.raises(NotFoundError):
            store.get(id)


def test_what_can_t_be_written_leaves_nothing(store: CharacterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the second picture is on its way."""
    calls = []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        store.create("Luna", FRAMES)
    assert list(store.folder.iterdir()) == []


def test_a_folder_that_can_t_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CharacterStore(tmp_path / "file" / "characters")
    with pytest.raises(ConfigurationError) as refused:
        store.create("Luna", FRAMES)
    assert (refused.value.code, refused.value.param) == ("data_dir_unusable", "data_dir")
    assert "CALLSHEET_DATA_DIR" in str(refused.value)
    with pytest.raises(NotFoundError):
        store.get("char_" + "0" * 32)


WRITER = """
import sys
from pathlib import Path
from callsheet.character_store import CharacterStore
from callsheet.reference_frames import Frame
store = CharacterStore(Path(sys.argv[1]))
for number in range(20):
    print(store.create(str(number), [Frame(bytes([number]) * 50_000, 1, 1)] * 3).id, flush=True)  # all the same ones
"""


def test_several_writers_and_a_reader(store: CharacterStore) -> None:
    """Whatever is there is whole, at any moment."""
    command = [sys.executable, "-c", WRITER, str(store.folder)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    over, seen = threading.Event(), set()

    def watch() -> None:
        while not over.is_set():
            for path in store.folder.glob("char_*"):
                one = store.get(path.name)
                assert [frame.jpeg for frame in one.frames] == [bytes([int(one.name)]) * 50_000] * 3
                seen.add(one.id)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = [writer.communicate()[0].split() for writer in writers]
    over.set()
    watcher.join()
    assert [writer.returncode for writer in writers] == [0] * 3
    ids = {id for lines in said for id in lines}
    assert len(ids) == 20
    assert {path.name for path in store.folder.iterdir()} == ids
    assert seen <= ids
    assert all(store.get(id).id == id for id in ids)


@pytest.mark.parametrize(
    ("platform", "environ", "wanted"),
    [
        ("linux", {}, "/people/a/.local/share/callsheet"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/callsheet"),
        ("linux", {"XDG_DATA_HOME": "data"}, "/people/a/.local/share/callsheet"),
        ("darwin", {}, "/people/a/Library/Application Support/callsheet"),
        ("win32", {}, "/people/a/AppData/Local/callsheet"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/callsheet"),
        ("linux", {"CALLSHEET_DATA_DIR": "/mine", "XDG_DATA_HOME": "/data"}, "/mine"),
        ("win32", {"CALLSHEET_DATA_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_default_folder(platform: str, environ: dict[str, str], wanted: str) -> None:
    assert default_data_dir(platform, environ, Path("/people/a")) == Path(wanted)


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_data_dir(environ={"CALLSHEET_DATA_DIR": "mine"}) == tmp_path / "mine"


def kept(name: str, count: int) -> KeptCharacter:
    return KeptCharacter(name, name, 1, tuple(Frame(f"{name}{n}".encode(), 1, 1) for n in range(count)))


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ([3], "a0 a1 a2"), ([1], "a0"), ([2], "a0 a1"), ([5], "a0 a2 a4"), ([3, 3], "a0 a2 b1"), ([1, 3], "a0 b0 b2"),
        ([3, 3, 3], "a1 b1 c1"), ([], ""), ([1, 1, 1], "a0 b0 c0"), ([2, 2], "a0 a1 b1"),
    ],
)  # fmt: skip
def test_a_fair_share(counts: list[int], wanted: str) -> None:
    characters = [kept("abc"[number], count) for number, count in enumerate(counts)]
    assert " ".join(frame.jpeg.decode() for frame in fair_share(characters, 3)) == wanted


@given(st.lists(st.integers(1, 6), max_size=5), st.integers(5, 9))
def test_shares_are_fair(counts: list[int], most: int) -> None:
    characters = [kept("abcde"[number], count) for number, count in enumerate(counts)]
    shared = fair_share(characters, most)
    assert len(shared) == min(most, sum(counts))
    assert len(set(shared)) == len(shared)
    shares = [sum(frame in one.frames for frame in shared) for one in characters]
    assert [frame for one in characters for frame in one.frames if frame in shared] == shared
    for share, count in zip(shares, counts, strict=True):
        assert share >= min(count, max(1, max(shares) - 1))


def test_more_characters_than_pictures() -> None:
    with pytest.raises(ValueError, match="can't share"):
        fair_share([kept(name, 1) for name in "abcd"], 3)


def test_its_file_is_readable_by_people(store: CharacterStore) -> None:
    one = store.create("Luna", FRAMES)
    facts = json.loads((store.folder / one.id / "character.json").read_text())
    assert facts == {"name": "Luna", "created_at": one.created_at, "frames": [[1280, 720], [720, 1280]]}
