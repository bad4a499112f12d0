"""The root keys and what is derived from them: ids and tokens that go on working after a rotation, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet import AuthenticationError, ConfigurationError, NotFoundError
from callsheet_gateway.owned_ids import Codecs
from callsheet_gateway.root_keys import RootKeys
from callsheet_gateway.tokens import Claims, Tokens

TAG = b"12345678"
LATER = 4_000_000_000


def test_a_file_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "root-keys.json"
    made = RootKeys.of_file(file)
    assert RootKeys.of_file(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["root-keys.json"]
    assert all(part not in repr(made) for part in json.loads(file.read_text())["keys"].values())


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"current": 0, "keys": {}}', '{"current": 1, "keys": {"0": "AAAA"}}', "\0"]
)
def test_a_file_that_is_damaged(tmp_path: Path, content: str) -> None:
    file = tmp_path / "root-keys.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="put it back from a backup"):
        RootKeys.of_file(file)
    assert file.read_text() == content


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    file = tmp_path / "root-keys.json"
    RootKeys.of_file(file)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        RootKeys.of_file(file)


@given(st.integers(1, 300))
def test_rotations(times: int) -> None:
    root = RootKeys()
    for _ in range(times):
        before, root = root, root.rotated()
        assert root.current != before.current
        assert root.keys[before.current] == before.keys[before.current]
    assert len(root.keys) == min(256, times + 1)


def test_each_purpose_has_keys_of_its_own() -> None:
    root = RootKeys()
    derived = [root.derived(purpose)[0] for purpose in ("managed ids 1", "realtime token 1", "a", "b")]
    assert len({*derived, root.keys[0]}) == 5
    assert root.derived("a") == root.derived("a")
    assert root.derived("a") != RootKeys().derived("a")


def test_ids_and_tokens_outlive_a_rotation() -> None:
    root = RootKeys()
    old_id = Codecs.of(root).owned_by("a").encode("video", TAG, "v_1")
    old_token = Tokens.of(root).seal(Claims("acc", "ek_up", LATER))
    for _ in range(3):
        root = root.rotated()
    codec, tokens = Codecs.of(root).owned_by("a"), Tokens.of(root)
    assert codec.decode(old_id, "video").upstream == "v_1"
    assert tokens.open(old_token).secret == "ek_up"
    assert codec.encode("video", TAG, "v_1") != old_id
    stranger = RootKeys()
    with pytest.raises(NotFoundError):
        Codecs.of(stranger).owned_by("a").decode(old_id, "video")
    with pytest.raises(AuthenticationError):
        Tokens.of(stranger).open(old_token)


def test_a_key_of_one_purpose_opens_nothing_of_another() -> None:
    root = RootKeys()
    token = Tokens.of(root).seal(Claims("acc", "ek_up", LATER))
    for purpose in ("managed ids 1", "realtime token 2", ""):
        with pytest.raises(AuthenticationError):
            Tokens(root.derived(purpose), root.current).open(token)
    with pytest.raises(AuthenticationError):
        Tokens(root.keys, root.current).open(token)
    id = Codecs.of(root).owned_by("a").encode("video", TAG, "v_1")
    with pytest.raises(NotFoundError):
        Codecs(root.derived("realtime token 1")).owned_by("a").decode(id, "video")
    with pytest.raises(AuthenticationError):
        Tokens.of(root).open("ek_" + id.partition("_")[2])
