"""Managed ids: properties 1 to 8 of the reliability programme."""

import base64
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from callsheet.errors import APIResponseValidationError, NotFoundError
from callsheet.ids import KINDS, MAX_UPSTREAM_BYTES, IdCodec, ManagedId

ALPHABET = set(string.ascii_letters + string.digits + "-_")
many = settings(max_examples=200, deadline=None)
kinds = st.sampled_from(KINDS)
tags = st.binary(min_size=8, max_size=8)
upstreams = st.text(st.characters(), min_size=1, max_size=512).filter(
    lambda text: len(text.encode("utf-8", "surrogatepass")) <= MAX_UPSTREAM_BYTES
)
TAG = b"12345678"
OPEN = IdCodec()
KEYED = IdCodec(keys={7: b"k" * 32}, current=7, owner="ann")


@many
@given(kinds, tags, upstreams)
@example("video", TAG, "a;b_c\0d")
@example("character", TAG, "\U0001f98a" * 87)
@example("rtc", TAG, "\ud800")
@example("resp", TAG, "x" * 350)
def test_round_trip_and_form(kind, tag, upstream):
    for codec in (OPEN, KEYED):
        id = codec.encode(kind, tag, upstream)
        assert codec.decode(id, kind) == ManagedId(kind, tag, upstream)
        assert len(id) <= 512
        assert set(id) <= ALPHABET
        assert id.startswith(f"{kind}_")


@many
@given(kinds, tags, upstreams)
def test_the_same_resource_has_the_same_id(kind, tag, upstream):
    assert IdCodec().encode(kind, tag, upstream) == IdCodec().encode(kind, tag, upstream)


@many
@given(kinds, tags, upstreams, st.text(max_size=20), st.text(max_size=20))
@example("video", TAG, "v", "", "a")
@example("video", TAG, "v", "a", "a\0")
@example("video", TAG, "v", "1", "")
def test_another_owner_cannot_read_it(kind, tag, upstream, ann, bob):
    assume(ann != bob)
    keys = {0: b"s" * 32}
    id = IdCodec(keys=keys, owner=ann).encode(kind, tag, upstream)
    with pytest.raises(NotFoundError):
        IdCodec(keys=keys, owner=bob).decode(id, kind)


def test_every_change_of_a_character_is_refused():
    """Exhaustively: every other character at every place, for 200 ids."""
    for number in range(200):
        id = KEYED.encode("video", TAG, f"up_{number}")
        place = number % len(id)
        for other in ALPHABET - {id[place]}:
            with pytest.raises(NotFoundError):
                KEYED.decode(id[:place] + other + id[place + 1 :], "video")


@many
@given(upstreams, st.data())
def test_every_change_of_a_bit_is_refused(upstream, data):
    raw = bytearray(base64.urlsafe_b64decode(_padded(OPEN.encode("video", TAG, upstream))))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotFoundError):
        OPEN.decode("video_" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), "video")


@many
@given(upstreams, kinds, kinds)
def test_kinds_are_not_confused(upstream, kind, other):
    assume(kind != other)
    id = OPEN.encode(kind, TAG, upstream)
    for wrong in (id, other + id[len(kind) :]):
        with pytest.raises(NotFoundError):
            OPEN.decode(wrong, other)


@many
@given(upstreams)
def test_an_upstream_id_that_looks_managed_is_wrapped(upstream):
    inner = OPEN.encode("video", TAG, upstream[:60])
    outer = OPEN.encode("video", TAG, inner)
    assert outer != inner
    assert OPEN.decode(outer, "video").upstream == inner


@many
@given(st.one_of(st.text(max_size=600), st.from_regex(r"video_[A-Za-z0-9_\-=]{0,200}", fullmatch=True)))
@example("video_")
@example("video_AQ")
@example("video_A")
@example("video_" + "A" * 600)
@example("video_\u00e9")
@example("")
def test_junk_is_not_found_and_nothing_else(text):
    with pytest.raises(NotFoundError, match="was not issued here"):
        KEYED.decode(text, "video")


@pytest.mark.parametrize("cut", range(1, 30))
def test_truncated_extended_and_padded_ids_are_refused(cut):
    id = OPEN.encode("video", TAG, "abc")
    for wrong in (id[:-cut], id + "A" * cut, id + "=" * cut, " " + id, id + "\n"):
        with pytest.raises(NotFoundError):
            OPEN.decode(wrong, "video")


def test_unknown_key_and_version_are_not_found():
    id = KEYED.encode("video", TAG, "abc")
    with pytest.raises(NotFoundError):
        IdCodec(keys={8: b"k" * 32}, current=8, owner="ann").decode(id, "video")
    raw = bytearray(base64.urlsafe_b64decode(_padded(id)))
    raw[0] = 2
    with pytest.raises(NotFoundError):
        KEYED.decode("video_" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), "video")


def test_an_old_key_still_reads_what_it_made():
    old = IdCodec(keys={1: b"old"}, current=1).encode("video", TAG, "abc")
    assert IdCodec(keys={1: b"old", 2: b"new"}, current=2).decode(old, "video").upstream == "abc"


@pytest.mark.parametrize("upstream", ["", "x" * 351, "\U0001f98a" * 88])
def test_ids_that_cannot_be_managed_are_refused_when_made(upstream):
    with pytest.raises(APIResponseValidationError, match="1 to 350 can be managed"):
        OPEN.encode("video", TAG, upstream)


def test_keys_are_not_shown():
    assert "kkkk" not in repr(KEYED)


def _padded(id: str) -> str:
    text = id.partition("_")[2]
    return text + "=" * (-len(text) % 4)
