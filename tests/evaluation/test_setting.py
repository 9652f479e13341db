"""The settings are a covering design: fixed, 24, every pair of values of two factors."""

from itertools import combinations, product

from appliance.evaluation.setting import BILLED, PRICES, SETTINGS, TARGETS, WINDOWS_S


def test_each_value_meets_each_other_one() -> None:
    assert len(SETTINGS) == 24
    factors = {"window_s": WINDOWS_S, "target": TARGETS, "billed": BILLED, "price": PRICES}
    for a, b in combinations(factors, 2):
        seen = {(getattr(one, a), getattr(one, b)) for one in SETTINGS}
        assert seen == set(product(factors[a], factors[b])), (a, b)
