"""Quantiles, verdicts and their direction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Budget, median, quantile, quantiles, spread


def test_quantile_is_the_nearest_rank() -> None:
    hundred = list(range(100, 0, -1))
    assert [quantile(hundred, share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [1, 50, 99, 100, 100]


def test_quantile_of_one_value_is_that_value() -> None:
    assert [quantile([7.0], share) for share in (0.0, 0.5, 1.0)] == [7.0, 7.0, 7.0]


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_quantile_refuses_what_has_none(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"no values|0\.\.1"):
        quantile(values, share)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_enough_values_do_not_exceed_a_quantile(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_quantiles_tell_how_many_values_they_are_of() -> None:
    found = quantiles([1.0, 2.0, 3.0])
    assert found == {"p50": 2.0, "p99": 3.0, "p99.9": 3.0, "max": 3.0, "number": 3}


def test_spread_is_relative_to_the_median() -> None:
    assert (spread([8.0, 10.0, 13.0]), spread([5.0]), median([1.0, 9.0, 2.0])) == (0.5, 0.0, 2.0)


@pytest.mark.parametrize(
    ("budget", "figure", "verdict"),
    [
        (Budget(0.125, 0.25, more_is_better=True), 0.25, "aim met"),
        (Budget(0.125, 0.25, more_is_better=True), 0.2, "floor met"),
        (Budget(0.125, 0.25, more_is_better=True), 0.125, "floor met"),
        (Budget(0.125, 0.25, more_is_better=True), 0.12, "NOT MET"),
        (Budget(4.0, 2.5), 2.5, "aim met"),
        (Budget(4.0, 2.5), 3.9, "floor met"),
        (Budget(4.0, 2.5), 4.1, "NOT MET"),
        (Budget(4.0, 2.5), -1.0, "aim met"),
        (Budget(4.0, 2.5), None, "not run"),
    ],
)
def test_verdict(budget: Budget, figure: float | None, verdict: str) -> None:
    assert budget.verdict(figure) == verdict
