"""Times as buckets: each in the one that holds it; a curve known at their ends is read between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.buckets import COUNT, GROWTH, LEAST_S, UPPER_S, bucket, read


@given(st.floats(0.0, 1e5))
def test_a_time_lies_within_its_bucket(seconds: float) -> None:
    place = bucket(seconds)
    assert 0 <= place < COUNT
    if place < COUNT - 1:
        assert seconds <= UPPER_S[place] * (1 + 1e-9)
    if place > 0:
        assert seconds > UPPER_S[place - 1] * (1 - 1e-9)


def test_the_ends_of_buckets_belong_to_them() -> None:
    assert [bucket(end_s) for end_s in UPPER_S] == list(range(COUNT))
    assert UPPER_S[0] == LEAST_S
    assert UPPER_S[-1] > 5400.0, "90 minutes and more"
    assert UPPER_S[-1] / UPPER_S[-2] == pytest.approx(GROWTH)


def test_a_curve_is_exact_at_the_ends_and_straight_between() -> None:
    ends = [float(place) for place in range(COUNT)]
    assert [read(ends, end_s, -1.0) for end_s in UPPER_S] == pytest.approx(ends)
    assert read(ends, LEAST_S / 2, -1.0) == -1.0
    assert read(ends, 1e9, -1.0) == COUNT - 1
    assert read(ends, (UPPER_S[100] * UPPER_S[101]) ** 0.5, 0.0) == pytest.approx(100.5)
