"""Keys round-trip, verify only themselves, and tell a mistyped text from an unknown one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.identity import ApiKey, KeyKind
from appliance.store.keys import (
    TOKEN_CHARS,
    MalformedKey,
    TruncatedKey,
    check_token,
    digest,
    make_token,
    parse_key,
    verify,
)

KINDS: st.SearchStrategy[KeyKind] = st.sampled_from(("inference", "management"))
RANDOM = st.binary(min_size=41, max_size=41)


def key_of(kind: KeyKind, public_id: str, token: str, salt: bytes = b"s" * 16) -> ApiKey:
    return ApiKey("key_1", public_id, kind, "org_1", "name", salt, digest(salt, token), 0)


@given(KINDS, RANDOM)
def test_round_trip(kind: KeyKind, random: bytes) -> None:
    public_id, token = make_token(kind, random)
    assert len(token) == TOKEN_CHARS == 68
    assert token.startswith({"inference": "sk-sl-", "management": "mk-sl-"}[kind] + public_id + "-")
    assert parse_key(token) == (kind, public_id)
    check_token(token)
    assert verify(token, key_of(kind, public_id, token))


@given(RANDOM, RANDOM)
def test_only_the_very_text_verifies(one: bytes, other: bytes) -> None:
    public_id, token = make_token("inference", one)
    _, different = make_token("inference", other)
    assert verify(different, key_of("inference", public_id, token)) == (different == token)
    assert not verify(token, None)


@given(RANDOM, st.integers(0, TOKEN_CHARS - 1), st.characters(codec="utf-8"))
def test_a_mistyped_character_is_noticed(random: bytes, at: int, character: str) -> None:
    _, token = make_token("inference", random)
    mistyped = token[:at] + character + token[at + 1 :]
    if mistyped == token or mistyped.startswith("mk-sl-"):
        return
    with pytest.raises((MalformedKey, TruncatedKey)):
        check_token(mistyped)
    assert not verify(mistyped, key_of("inference", token[6:18], token))


@given(RANDOM, st.integers(6, TOKEN_CHARS - 1))
def test_a_key_cut_short_says_so(random: bytes, size: int) -> None:
    _, token = make_token("inference", random)
    for wrong in (token[:size], token + "0"):
        with pytest.raises(TruncatedKey):
            parse_key(wrong)


@given(st.text())
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises((MalformedKey, TruncatedKey)):
        check_token(text)
    with pytest.raises((MalformedKey, TruncatedKey)):
        check_token("sk-sl-" + text)
    assert not verify(text, None)


def test_a_lone_surrogate_is_no_crash() -> None:
    assert not verify("\ud800", None)
    with pytest.raises(MalformedKey):
        check_token("sk-sl-" + "\ud800" * 12 + "-" + "0" * 49)


def test_random_bytes_must_suffice() -> None:
    with pytest.raises(ValueError, match="41"):
        make_token("inference", bytes(40))


def test_a_key_shows_nothing_of_its_secret() -> None:
    public_id, token = make_token("inference", bytes(range(41)))
    shown = repr(msgspec.structs.asdict(key_of("inference", public_id, token)))
    assert token[19:62] not in shown
    for wrong in (token[:-1], token[:-1] + "!"):
        with pytest.raises(ValueError) as caught:
            check_token(wrong)
        assert token[19:60] not in str(caught.value)
