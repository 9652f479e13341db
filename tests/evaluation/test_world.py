"""Worlds are seeded, and each is what it says."""

from statistics import median

from appliance.evaluation.world import RATE_PER_S, WORLDS, World, draws


def world(name: str) -> World:
    return next(one for one in WORLDS if one.name == name)


def test_a_seed_gives_the_same_draws_and_another_one_others() -> None:
    for one in WORLDS:
        assert draws(one, 1, 50) == draws(one, 1, 50)
        assert draws(one, 1, 50) != draws(one, 2, 50)


def test_arrivals_are_as_dense_as_they_are_said_to_be() -> None:
    for one in WORLDS:
        found = draws(one, 3, 4000)
        assert 0.6 * 4000 / RATE_PER_S < found[-1].at_s < 1.6 * 4000 / RATE_PER_S, one.name
        assert [draw.at_s for draw in found] == sorted(draw.at_s for draw in found)


def test_flex_collapses_and_recovers() -> None:
    found = draws(world("collapse"), 1, 5000)
    middle = median(draw.tiers.flex_s for draw in found if 0.4 <= draw.phase < 0.6)
    around = median(draw.tiers.flex_s for draw in found if not 0.4 <= draw.phase < 0.6)
    assert middle > 20 * around


def test_slowness_is_shared_where_it_is_said_to_be() -> None:
    for name, expected in (("correlated", True), ("lognormal", False)):
        found = [draw.tiers for draw in draws(world(name), 1, 5000)]
        slow = [one.default_s for one in found if one.flex_s > 30]
        assert (median(slow) > 1.3 * median(one.default_s for one in found)) == expected


def test_an_outage_takes_both_and_ends() -> None:
    found = draws(world("outage"), 1, 5000)
    down = [draw.tiers for draw in found if 0.5 <= draw.phase < 0.55]
    assert sum(one.flex_lost for one in down) > 0.6 * len(down)
    assert sum(one.default_lost for one in down) > 0.6 * len(down)
    assert not any(draw.tiers.flex_lost for draw in found if not 0.5 <= draw.phase < 0.55)
