"""The back-test's bounds hold the truth about as often as they say.

Of twenty seeds with 800 requests each (tests/policy/backtest/coverage.py) the share met was held in 19 and 20 and the
cost in 20 and 19, in the two cases here; where default slows down to a third of its speed, 6 and 6 of eight. This takes
fewer and shorter runs.
"""

from collections import Counter

import pytest

from tests.policy.backtest.coverage import count

SEEDS = 4


@pytest.mark.slow
def test_the_truth_lies_within_the_bounds_in_about_95_percent_of_seeds() -> None:
    held: Counter[str] = Counter()
    for case in ("queueing", "lognormal"):
        found = count(case, range(SEEDS), 450)
        assert found["width"] / SEEDS < 200, "bounds that hold everything say nothing"
        held += found
    assert held["seeds"] == 2 * SEEDS
    # Of sixteen at 95 % twelve or fewer are held in one of a hundred and forty tries.
    assert held["met"] + held["cost"] >= 13, held
