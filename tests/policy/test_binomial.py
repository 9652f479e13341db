"""Bounds of a share: against published values, and by counting how often they hold the truth."""

from math import comb

import pytest

from appliance.policy.binomial import share_of


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Newcombe, Statistics in Medicine 1998, method 3 (the score interval without correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_bounds(hits: int, count: int, low: float, high: float) -> None:
    found = share_of(hits, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert found.share == hits / count


@pytest.mark.parametrize("probability", [0.9, 0.97, 0.99])
def test_it_holds_the_truth_about_as_often_as_it_says(probability: float) -> None:
    """Summed over all outcomes, not sampled."""
    for count in (50, 200, 500):
        held = sum(
            comb(count, hits) * probability**hits * (1 - probability) ** (count - hits)
            for hits in range(count + 1)
            if share_of(hits, count).holds(probability)
        )
        assert 0.9 < held <= 1.0


def test_of_nothing_nothing_is_known_and_of_all_hits_the_end_is_possible() -> None:
    assert (share_of(0, 0).low, share_of(0, 0).high) == (0.0, 1.0)
    assert share_of(500, 500).high == 1.0
    assert 0.99 < share_of(500, 500).low < 1.0
