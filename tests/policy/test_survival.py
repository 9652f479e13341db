"""The estimator: a proper distribution whatever is counted, unbiased under censoring, pessimistic where it is blind."""

from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.buckets import COUNT, UPPER_S, bucket
from appliance.policy.histogram import Cause, Decay, Histogram
from appliance.policy.survival import Curve, InFlight, estimate, log_normal, worse

ALL = Decay(half_count=1e9, half_life_s=1e9)
FLEX = log_normal(8.0, 1.1)
"""The reference world of deadline-policy: median 8 s, sigma 1.1."""

causes = st.sampled_from(["started", "lost", "censored"])
events = st.lists(st.tuples(causes, st.integers(0, COUNT - 1)), max_size=80)
ages = st.lists(st.tuples(st.floats(0, 5000), st.floats(0.01, 1)), max_size=5).map(tuple)


def counted(told: list[tuple[Cause, float]]) -> Histogram:
    histogram = Histogram(ALL, 0.0)
    for cause, age_s in told:
        histogram.add(cause, bucket(age_s), 0.0)
    return histogram


def many(cause: Cause, age_s: float, count: int) -> list[tuple[Cause, float]]:
    return [(cause, age_s)] * count


def assert_proper(curve: Curve) -> None:
    before_silent, before_started, before_lost, before_variance = 1.0, 0.0, 0.0, 0.0
    for place in range(COUNT):
        silent, started, lost = curve.silent[place], curve.started[place], curve.lost[place]
        assert silent + started + lost == pytest.approx(1.0, abs=1e-9)
        assert -1e-12 <= silent <= before_silent + 1e-12
        assert started >= before_started - 1e-12
        assert lost >= before_lost - 1e-12
        assert curve.variance[place] >= before_variance
        before_silent, before_started, before_lost = silent, started, lost
        before_variance = curve.variance[place]


@given(events, ages, st.floats(0.1, 50))
def test_silence_falls_and_with_both_causes_it_makes_one(
    told: list[tuple[Cause, int]], in_flight: tuple[InFlight, ...], mass: float
) -> None:
    histogram = counted([(cause, UPPER_S[place]) for cause, place in told])
    assert_proper(estimate(histogram, log_normal(30.0, 1.5, 0.02), mass, 0.0, in_flight))


def test_without_data_it_is_the_prior_and_the_bound_says_how_little_that_is() -> None:
    prior = log_normal(30.0, 1.5, 0.02)
    curve = estimate(Histogram(ALL, 0.0), prior, 8.0, 0.0)
    for at_s in (0.5, 5.0, 30.0, 300.0):
        assert curve.silent_at(at_s) == pytest.approx(prior.silent_at(at_s))
        assert curve.late_at_most(at_s, 1.0) > prior.late_at(at_s)
    assert prior.late_at_most(30.0, 1.0) == prior.late_at(30.0), "what is simply true has no error"


def hedged(seed: int, kept_alive: float = 0.0, count: int = 4000) -> list[tuple[Cause, float]]:
    """Attempts hedged at 10 s with a default tier of median 1.2 s: whoever is still silent then is cut off."""
    random = Random(seed)
    told: list[tuple[Cause, float]] = []
    for _ in range(count):
        x = random.lognormvariate(2.0794415, 1.1)
        cut_s = 10.0 + random.lognormvariate(0.1823216, 0.5)
        if random.random() < kept_alive:
            cut_s = 60.0
        told.append(("started", x) if x <= cut_s else ("censored", cut_s))
    return told


def mean(curves: list[Curve], at_s: float) -> float:
    return sum(curve.silent_at(at_s) for curve in curves) / len(curves)


def test_censored_losers_do_not_bias_it_as_they_do_the_naive_ways() -> None:
    """The experiment of the policy's reference: hedge at 10 s, 4,000 attempts."""
    runs = [hedged(seed) for seed in range(8)]
    prior = log_normal(30.0, 1.5)
    ours = [estimate(counted(told), prior, 1.0, 0.0) for told in runs]
    dropped = [estimate(counted([one for one in told if one[0] == "started"]), prior, 1.0, 0.0) for told in runs]
    as_ends = [estimate(counted([("started", at_s) for _, at_s in told]), prior, 1.0, 0.0) for told in runs]
    table = {9.0: (0.120, 0.453), 12.0: (0.004, 0.061), 14.0: (0.0, 0.003)}
    for at_s, (if_dropped, if_ends) in table.items():
        assert mean(ours, at_s) == pytest.approx(FLEX.silent_at(at_s), abs=0.02)
        assert mean(dropped, at_s) == pytest.approx(if_dropped, abs=0.02)
        assert mean(as_ends, at_s) == pytest.approx(if_ends, abs=0.02)


def test_the_tail_is_known_only_where_some_losers_are_left_running() -> None:
    prior = log_normal(30.0, 1.5)
    blind = [estimate(counted(hedged(seed)), prior, 8.0, 0.0) for seed in range(6)]
    seeing = [estimate(counted(hedged(seed, kept_alive=0.05)), prior, 8.0, 0.0) for seed in range(6)]
    assert mean(blind, 30.0) > 1.5 * FLEX.silent_at(30.0), "no support: pessimistic, never optimistic"
    assert mean(seeing, 30.0) == pytest.approx(FLEX.silent_at(30.0), abs=0.025)
    assert all(curve.late_at_most(30.0, 1.0) > curve.late_at(30.0) for curve in blind)


def test_the_standard_error_is_the_spread_that_is_seen() -> None:
    prior = log_normal(30.0, 1.5)
    curves = [estimate(counted(hedged(seed, kept_alive=0.05, count=400)), prior, 1.0, 0.0) for seed in range(60)]
    for at_s in (5.0, 12.0, 20.0):
        values = [curve.late_at(at_s) for curve in curves]
        centre = sum(values) / len(values)
        spread = sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))
        told = sum(curve.error_at(at_s) for curve in curves) / len(curves)
        assert told == pytest.approx(spread, rel=0.35)


def test_attempts_in_flight_are_seen_before_they_end() -> None:
    """A collapse: twenty attempts that would all have started by now are silent for 60 s."""
    random = Random(1)
    histogram = counted([("started", random.lognormvariate(0.7, 0.3)) for _ in range(30)])
    prior = log_normal(2.0, 0.5)
    assert estimate(histogram, prior, 8.0, 0.0).late_at(60.0) < 0.01
    collapsed = estimate(histogram, prior, 8.0, 0.0, ((60.0, 1.0),) * 20)
    assert collapsed.late_at(60.0) > 0.3
    assert estimate(histogram, prior, 8.0, 0.0, ((0.5, 1.0),) * 20).late_at(60.0) < 0.02, "young ones say nothing yet"


def test_refusals_are_a_cause_of_their_own_and_not_a_long_latency() -> None:
    histogram = counted([*many("lost", 0.2, 30), *many("started", 2.0, 70)])
    curve = estimate(histogram, log_normal(2.0, 0.1), 0.1, 0.0)
    assert curve.lost_at(1.0) == pytest.approx(0.3, abs=0.01)
    assert curve.started_at(4.0) == pytest.approx(0.7, abs=0.01)
    assert curve.silent_at(4.0) == pytest.approx(0.0, abs=0.01)
    assert curve.late_at(4.0) == pytest.approx(0.3, abs=0.01)
    assert curve.quantile(0.5) == pytest.approx(2.0, rel=0.06)
    assert curve.quantile(0.9) is None, "so many never start"


def test_a_share_that_never_returns_is_not_extrapolated_away() -> None:
    """Nine of ten start at once, one never does: long past the last start a tenth is still silent."""
    histogram = counted([*many("started", 1.0, 450), *many("censored", 600.0, 50)])
    curve = estimate(histogram, log_normal(2.0, 0.5), 8.0, 0.0)
    assert curve.silent_at(500.0) == pytest.approx(0.1, abs=0.01)


def test_the_worse_of_two_is_believed_where_it_is_clearly_worse() -> None:
    good = estimate(counted(many("started", 2.0, 2000)), log_normal(30.0, 1.5), 8.0, 0.0)

    def lately(told: list[tuple[Cause, float]]) -> Curve:
        return estimate(counted(told), good, 8.0, 0.0)

    started: list[tuple[Cause, float]] = many("started", 2.0, 60)
    few_bad = lately([*started, ("censored", 30.0)])
    bad = lately([*started, *many("censored", 30.0, 60)])
    refusing = lately([*started, *many("lost", 0.2, 60)])
    assert worse(good, few_bad, 3.0) is good, "one in sixty may be chance"
    assert worse(good, bad, 3.0) is bad
    assert worse(good, refusing, 3.0) is refusing, "refusals too, although nobody is silent then"
    assert worse(bad, good, 3.0) is bad
