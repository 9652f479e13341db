"""The slope and its interval: right about lines, unsure about noise."""

from random import Random

import pytest

from tests.soak.slope import slope, student


def test_a_line_has_its_slope_and_no_doubt() -> None:
    found = slope(range(100), [3.0 * x + 7 for x in range(100)])
    assert (found.each, found.low, found.high) == pytest.approx((3, 3, 3))
    assert found.grows(100, 299) and not found.grows(100, 301)


def test_noise_has_a_slope_that_may_be_none() -> None:
    rng = Random(1)
    surely = 0
    for _ in range(200):
        found = slope(range(240), [rng.gauss(50, 5) for _ in range(240)])
        surely += found.low > 0 or found.high < 0
    assert surely <= 20, "one in twenty is the promise"


def test_a_leak_under_noise_is_found() -> None:
    rng = Random(2)
    found = slope(range(240), [50 + 0.05 * x + rng.gauss(0, 5) for x in range(240)])
    assert found.low < 0.05 < found.high and found.grows(240, 5)


def test_what_falls_does_not_grow() -> None:
    assert not slope(range(100), [-x for x in range(100)]).grows(100, 0)


def test_samples_of_one_moment_are_no_slope() -> None:
    with pytest.raises(ValueError, match="few"):
        slope([1, 2], [1, 2])


def test_the_quantiles_of_student_fall() -> None:
    values = [student(freedom) for freedom in range(1, 80)]
    assert values == sorted(values, reverse=True) and values[9] == 2.228 and values[-1] == 2.0
