"""Ephemeral keys: what they are for, how long they last, where they work."""

import json
import sqlite3
from typing import Any

import pytest
from pydantic import SecretStr

from callsheet import AuthenticationError, BadRequestError, NotFoundError
from callsheet.io import IO
from callsheet_local.realtime.sessions import merge, session_of

from .conftest import Hooks
from .peer import Peer
from .test_realtime_sdp import offer


def test_a_key_tells_its_whole_session(hooks: Hooks) -> None:
    given = {"type": "realtime", "instructions": "be brief", "audio": {"output": {"voice": "cedar"}}, "mine": [1]}
    made = hooks("mint_realtime_secret", session=given)
    assert made.value.startswith("ek_")
    assert len(made.value) > 40
    session = made.session
    assert session["id"].startswith("sess_")
    assert (session["object"], session["model"], session["mine"]) == ("realtime.session", "realtime-1", [1])
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "cedar",
        "speed": 1.0,
    }
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert made.value not in repr(made)


def test_a_transcription_session(hooks: Hooks) -> None:
    given = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
    session = hooks("mint_realtime_secret", session=given).session
    assert session["object"] == "realtime.transcription_session"
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe"}
    assert "output_modalities" not in session


def test_its_life(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(IO, "now", lambda self: now)
    assert hooks("mint_realtime_secret").expires_at == now + 600
    assert hooks("mint_realtime_secret", expires_after={"anchor": "created_at", "seconds": 10}).expires_at == now + 10
    made = hooks("mint_realtime_secret", expires_after=7200)
    assert made.expires_at == now + 7200
    with Peer() as peer:
        offer = peer.offer()
        now += 7199
        assert hooks("relay_sdp", sdp=offer, ephemeral_key=SecretStr(made.value)).id
        assert hooks("relay_sdp", sdp=offer, ephemeral_key=SecretStr(made.value)).id  # several sessions by one key
        now += 1
        with pytest.raises(AuthenticationError, match=r"Token expired 0 seconds ago: get a fresh one") as caught:
            hooks("relay_sdp", sdp=offer, ephemeral_key=SecretStr(made.value))
    assert caught.value.code == "token_expired"
    assert made.value not in str(caught.value)


def test_an_unknown_key(hooks: Hooks) -> None:
    with pytest.raises(AuthenticationError, match="not made here") as caught:
        hooks("relay_sdp", sdp=offer(), ephemeral_key="ek_\ud800")
    assert caught.value.code == "invalid_ephemeral_key"


def test_a_key_works_in_another_provider_and_is_kept_as_a_hash(hooks: Hooks) -> None:
    made = hooks("mint_realtime_secret", session={"type": "realtime", "instructions": "kept"})
    other = Hooks(data_dir=hooks.root)
    try:
        with Peer() as peer:
            peer.accept(other("relay_sdp", sdp=peer.offer(), ephemeral_key=made.value).sdp)
            session = peer.wait("session.created")["session"]
        assert session["instructions"] == "kept"
        assert session["id"] != made.session["id"]  # each call is a session of its own
        assert session["expires_at"] > 0
    finally:
        other.provider.close()
    for file in hooks.root.glob("index.sqlite3*"):
        assert made.value.encode() not in file.read_bytes()


def test_expired_keys_are_swept_after_a_day(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(IO, "now", lambda self: now)
    old = hooks("mint_realtime_secret")
    now += 600 + 24 * 3600 + 1
    hooks("mint_realtime_secret")
    with pytest.raises(AuthenticationError) as caught:
        hooks("relay_sdp", sdp=offer(), ephemeral_key=old.value)
    assert caught.value.code == "invalid_ephemeral_key"
    with sqlite3.connect(hooks.root / "index.sqlite3") as connection:
        [count] = connection.execute("SELECT count(*) FROM realtime_secrets").fetchone()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(realtime_secrets)")]
    connection.close()
    assert count == 1
    assert columns == ["hash", "session", "expires_at"]  # no more than is read


@pytest.mark.parametrize(
    "fields", [{"model": "gpt-realtime"}, {"session": {"type": "realtime", "model": "gpt-realtime"}}]
)
def test_another_model(hooks: Hooks, fields: dict[str, Any]) -> None:
    for name, more in (("mint_realtime_secret", {}), ("relay_sdp", {"sdp": offer()})):
        with pytest.raises(
            NotFoundError, match=r"it has one: realtime-1 \(as a model name: local/realtime-1\)"
        ) as caught:
            hooks(name, **fields, **more)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"type": "song"}, "invalid_session"),
        ({"type": ["realtime"]}, "invalid_session"),
        ({"x": float("nan")}, "invalid_session"),
        ({"x": object()}, "invalid_session"),
        ({"x": "y" * 200_000}, "session_too_big"),
    ],
)
def test_sessions_that_are_none(hooks: Hooks, session: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        hooks("mint_realtime_secret", session=session)
    assert caught.value.code == code


def test_odd_sessions_are_kept_as_they_are() -> None:
    odd = {"audio": 5, "tools": "x", "turn": None, "instructions": 7}
    assert odd.items() <= session_of(odd).items()
    json.dumps(session_of(odd))


def test_an_object_of_another_type_replaces() -> None:
    under = {"a": {"type": "server_vad", "threshold": 0.5}, "b": {"x": {"y": 1}}}
    assert merge(under, {"a": {"type": "semantic_vad"}}) == {"a": {"type": "semantic_vad"}, "b": {"x": {"y": 1}}}
    assert merge(under, {"a": {"threshold": 1}, "b": {"x": {"z": 2}}}) == {
        "a": {"type": "server_vad", "threshold": 1},
        "b": {"x": {"y": 1, "z": 2}},
    }
    assert merge(under, {"a": None})["a"] is None


@pytest.mark.parametrize("levels", [100, 900, 100_000])
def test_a_session_that_is_too_deep(levels: int) -> None:
    deep: dict[str, Any] = {}
    for _ in range(levels):
        deep = {"d": deep}
    with pytest.raises(BadRequestError, match="nested too deep"):
        session_of(deep)
