"""Shares as people read them."""

from appliance.cli.race_words import bounds, percent, told
from appliance.policy.binomial import share_of


def test_a_share_comes_with_its_bounds_and_with_how_many_it_is_of() -> None:
    share = share_of(198, 200)
    assert percent(share.share, 2) == "99.00 %"
    low, high = (float(part) for part in bounds(share).removesuffix(" %").split(" to "))
    assert low < 99.0 < high <= 100.0
    assert told(share) == f"99.00 % of 200 ({bounds(share)})"


def test_of_none_nothing_is_claimed() -> None:
    assert told(share_of(0, 0)) == "none that can be judged"
