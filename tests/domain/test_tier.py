"""The grammar of `start_within`, and what of a caller's words a record may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.tier import (
    KNOWN_TIERS,
    OTHER_TIER,
    TIER_WORDS,
    Window,
    canonical_tier,
    parse_start_target,
    parse_start_within,
    recorded_tier,
    start_within_text,
)


@pytest.mark.parametrize("word", sorted(TIER_WORDS))
def test_the_four_tier_words_are_themselves(word: str) -> None:
    assert parse_start_within(word) == word


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("00h-00m-30s", 30),
        ("00h-01m-30s", 90),
        ("30s", 30),
        ("1m30s", 90),
        ("15m", 900),
        ("2.5s", 2.5),
        ("90", 90),
        ("1.5", 1.5),
        (45, 45),
        (1.25, 1.25),
    ],
)
def test_every_way_to_write_a_duration(value: object, seconds: float) -> None:
    assert parse_start_within(value) == Window(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "standard",
        "0h-5m-0s",
        "00h-05m",
        "s",
        "1h30",
        "-5s",
        "+5",
        " 5s",
        "5 s",
        "5s ",
        "1e3",
        "٣s",
        "0.5s",
        "0",
        "901",
        "16m",
        "99h",
        0,
        -1,
        901,
        float("nan"),
        float("inf"),
        True,
        None,
        [30],
        {"seconds": 30},
    ],
)
def test_what_is_no_wish_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="start_within"):
        parse_start_within(value)


def test_the_limits_are_those_given() -> None:
    assert parse_start_within("1200", 1, 1800) == Window(1200)
    with pytest.raises(ValueError, match="between 5 and 10 seconds"):
        parse_start_within(4, 5, 10)


@given(st.text(max_size=20))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        parsed = parse_start_within(text)
    except ValueError:
        return
    assert parsed in TIER_WORDS or isinstance(parsed, Window)


@given(st.integers() | st.floats() | st.just(10**400) | st.just(-(10**400)))
def test_no_number_does_either(number: float) -> None:
    try:
        parsed = parse_start_within(number)
    except ValueError:
        return
    assert isinstance(parsed, Window) and 1 <= parsed.seconds <= 900


@given(st.integers(1, 900))
def test_a_window_written_out_reads_back(seconds: int) -> None:
    assert parse_start_within(start_within_text(Window(seconds))) == Window(seconds)


def test_providers_words_for_the_same_tier_are_the_same_tier() -> None:
    assert [canonical_tier(word) for word in ("fast", "standard", "on_demand", "flex", "scale")] == [
        "priority",
        "default",
        "default",
        "flex",
        "scale",
    ]


def test_a_strangers_word_is_not_kept() -> None:
    assert recorded_tier(None) is None
    assert all(recorded_tier(word) == word for word in KNOWN_TIERS)
    assert recorded_tier("my secret") == OTHER_TIER


@pytest.mark.parametrize(
    ("value", "target"),
    [("99%", 0.99), ("99.9 %", 0.999), (" 95% ", 0.95), ("0.9", 0.9), (".75", 0.75), (0.9999, 0.9999), (0.51, 0.51)],
)
def test_a_target_is_a_probability(value: object, target: float) -> None:
    assert parse_start_target(value) == pytest.approx(target)


@pytest.mark.parametrize(
    "value",
    ["", "%", "99", "100%", "50%", "1", 0.5, 1, 0, -1, 10**400, True, None, [0.9], "0.9.9", "nan", "9e-1", "٩٩%"],
)
def test_what_is_no_target_is_refused_in_a_sentence(value: object) -> None:
    with pytest.raises(ValueError, match="start_target must be"):
        parse_start_target(value)
