"""Draws of what was not seen: from the curve, given what was seen, and honest beyond where it ends."""

from math import inf, log, sqrt
from random import Random
from statistics import fmean

import pytest

from appliance.policy.backtest.imputation import ENOUGH, Draws, Pool, Seen, weights
from appliance.policy.survival import log_normal

TRUE = log_normal(8.0, 1.1)
PRIOR = log_normal(30.0, 1.5)


def seen(count: int, cut_s: float, seed: int = 1, lost: float = 0.0) -> list[Seen]:
    """Log-normal times of 8 s, cut off at `cut_s`."""
    random, found = Random(seed), []
    for nth in range(count):
        if random.random() < lost:
            found.append(Seen(nth, "lost", 0.4))
            continue
        age_s = random.lognormvariate(log(8.0), 1.1)
        found.append(Seen(nth, "started", age_s) if age_s <= cut_s else Seen(nth, "censored", cut_s))
    return found


def test_draws_follow_the_curve_given_what_was_seen() -> None:
    pool = Pool(seen(4000, 60.0), PRIOR, 4000)
    draws = Draws(pool.curve(), pool.support_s, "fear", Random(2).random)
    for age_s in (0.0, 3.0, 12.0):
        times = [draws.after(age_s)[0] for _ in range(4000)]
        assert min(times) >= age_s
        for at_s in (15.0, 30.0, 50.0):
            true = TRUE.silent_at(at_s) / (TRUE.silent_at(age_s) if age_s else 1.0)
            assert sum(time_s > at_s for time_s in times) / 4000 == pytest.approx(true, abs=0.03)


def test_the_lost_are_drawn_as_often_as_they_were_seen() -> None:
    pool = Pool(seen(4000, 60.0, lost=0.2), PRIOR, 4000)
    draws = Draws(pool.curve(), pool.support_s, "fear", Random(2).random)
    found = [draws.after(0.0) for _ in range(4000)]
    assert sum(lost for _, lost in found) / 4000 == pytest.approx(0.2, abs=0.025)
    assert all(time_s < 0.45 for time_s, lost in found if lost)


def test_beyond_what_was_seen_it_starts_at_once_or_never() -> None:
    pool = Pool(seen(1000, 20.0), PRIOR, 1000)
    assert pool.support_s == 20.0
    fear = Draws(pool.curve(), pool.support_s, "fear", Random(3).random)
    hope = Draws(pool.curve(), pool.support_s, "hope", Random(3).random)
    assert {fear.after(20.0) for _ in range(50)} == {(inf, False)}
    assert {hope.after(20.0) for _ in range(50)} == {(20.0, False)}
    assert (fear.drawn, fear.beyond) == (50, 50)
    prior = Draws(pool.curve(), pool.support_s, "prior", Random(3).random)
    assert len({prior.after(20.0)[0] for _ in range(50)}) > 40


def test_how_far_the_data_reach() -> None:
    """To the last age at which enough were watched; where few were cut off, to the last of all."""
    cut = seen(1000, 20.0)
    longer = [Seen(1000 + nth, "started", 40.0 + nth) for nth in range(ENOUGH)]
    assert Pool(cut + longer[1:], PRIOR, 1010).support_s == 20.0
    assert Pool(cut + longer, PRIOR, 1010).support_s == 40.0
    whole = seen(60, inf)
    assert Pool(whole, PRIOR, 60).support_s == max(one.age_s for one in whole)
    assert Pool([], PRIOR, 10).support_s == 0.0


def test_weights_move_the_curve_as_much_as_chance_does() -> None:
    """The spread over weights is that over samples (Rubin 1981)."""
    pool, random = Pool(seen(500, 60.0), PRIOR, 500), Random(4)
    drawn = [pool.curve(weights(500, random.random)).silent_at(20.0) for _ in range(60)]
    sampled = [Pool(seen(500, 60.0, seed), PRIOR, 500).curve().silent_at(20.0) for seed in range(60)]

    def spread(values: list[float]) -> float:
        return sqrt(fmean((value - fmean(values)) ** 2 for value in values))

    assert 0.7 < spread(drawn) / spread(sampled) < 1.4
    assert fmean(drawn) == pytest.approx(pool.curve().silent_at(20.0), abs=0.005)


def test_nothing_seen_is_the_prior() -> None:
    assert Pool([], PRIOR, 10).curve().silent_at(20.0) == pytest.approx(PRIOR.silent_at(20.0))


def test_what_has_changed_is_drawn_from_its_own_time() -> None:
    """Twice as slow in the second half; and what is as it was has one curve."""
    slower = [Seen(500 + one.request, one.cause, 2.0 * one.age_s) for one in seen(500, inf, 2)]
    pool = Pool(seen(500, inf) + slower, PRIOR, 1000)
    assert pool.changed
    first, *_, last = pool.curves([1.0] * 1000)
    assert first.quantile(0.5) == pytest.approx(8.8, rel=0.15)
    assert last.quantile(0.5) == pytest.approx(14.8, rel=0.15)
    steady = Pool(seen(1000, 60.0), PRIOR, 1000)
    assert not steady.changed
    assert len(steady.curves([1.0] * 1000)) == 1
