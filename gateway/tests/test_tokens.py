"""Ephemeral keys: sealed, for a time, and for nobody else to make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet import AuthenticationError
from callsheet_gateway.tokens import Claims, Tokens

NOW = 1_800_000_000
claims_of = st.builds(
    Claims,
    account=st.text(max_size=40),
    secret=st.text(max_size=200),
    expires_at=st.integers(NOW + 1, NOW + 7200),
    model=st.none() | st.text(max_size=40),
)


@given(claims_of)
def test_what_was_sealed_is_what_is_opened(claims):
    tokens = Tokens(now=lambda: NOW)
    token = tokens.seal(claims)
    assert token.startswith("ek_")
    assert token.isascii()
    assert tokens.open(token) == claims
    assert tokens.seal(claims) != token


def test_a_token_is_over_in_its_last_second():
    time = [NOW]
    tokens = Tokens(now=lambda: time[0])
    token = tokens.seal(Claims("a", "ek_upstream", NOW + 60))
    time[0] = NOW + 59.9
    assert tokens.open(token).secret == "ek_upstream"
    for late in (NOW + 60, NOW + 61, NOW + 10_000):
        time[0] = late
        with pytest.raises(AuthenticationError, match="Token expired: get a fresh one") as caught:
            tokens.open(token)
        assert caught.value.code == "token_expired"


def test_every_changed_character_is_noticed():
    tokens = Tokens(now=lambda: NOW)
    token = tokens.seal(Claims("a", "ek_upstream", NOW + 60))
    for place in range(len(token)):
        for other in {"A", "B", "_", "="} - {token[place]}:
            changed = token[:place] + other + token[place + 1 :]
            with pytest.raises(AuthenticationError, match="not issued by this server"):
                tokens.open(changed)


@pytest.mark.parametrize("change", ["", "=", "==", "A", "\n", " "])
def test_a_token_has_one_spelling(change):
    tokens = Tokens(now=lambda: NOW)
    token = tokens.seal(Claims("a", "ek_upstream", NOW + 60))
    if change:
        with pytest.raises(AuthenticationError):
            tokens.open(token + change)
    with pytest.raises(AuthenticationError):
        tokens.open(token[:-1])


@given(st.text(max_size=300))
def test_any_text_is_refused_in_the_same_words(text):
    with pytest.raises(AuthenticationError, match="not issued by this server"):
        Tokens().open("ek_" + text)


def test_another_server_cant_open_it_and_nothing_shows_it():
    tokens, token = Tokens(now=lambda: NOW), None
    claims = Claims("a", "ek_the_upstreams_own", NOW + 60)
    token = tokens.seal(claims)
    with pytest.raises(AuthenticationError):
        Tokens(now=lambda: NOW).open(token)
    assert "ek_the_upstreams_own" not in repr(claims) + repr(tokens) + token
