"""Durations and moments as people type them."""

import contextlib

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.durations import parse_duration_s, parse_moment


@pytest.mark.parametrize(
    ("text", "wanted_s"),
    [("30s", 30), ("15m", 900), ("12h", 43_200), ("90d", 7_776_000), ("1h30m", 5400), ("0.5s", 0.5)],
)
def test_a_duration(text: str, wanted_s: float) -> None:
    assert parse_duration_s(text) == wanted_s
    assert parse_moment(text, 10_000_000) == 10_000_000 - wanted_s


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:01", 60),
    ],
)
def test_a_moment(text: str, unix_s: float) -> None:
    assert parse_moment(text, 0) == unix_s


@given(st.text())
def test_anything_else_is_wrong_usage(text: str) -> None:
    for parse in (parse_duration_s, lambda it: parse_moment(it, 1e10)):
        with contextlib.suppress(click.BadParameter):
            assert isinstance(parse(text), float)
