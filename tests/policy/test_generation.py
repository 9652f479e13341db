"""The time from the start of an answer to its end: a bound that holds and is not far off, made once while it holds."""

import gc
from array import array
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.buckets import COUNT, UPPER_S
from appliance.policy.generation import Generation, Generations
from appliance.policy.lengths import PACE_TOKENS
from appliance.policy.survival import Curve, log_normal


def paces(a_second: float, sigma: float = 0.1, never: float = 0.0) -> Curve:
    """So many tokens a second."""
    return log_normal(PACE_TOKENS / a_second, sigma, never)


def tokens(median: float, sigma: float = 0.3) -> Curve:
    return log_normal(median / 1000.0, sigma)


class Drawn:
    """Generation times as they are."""

    def __init__(self, random: Random, median: float, a_second: float, spread: float, most: int | None) -> None:
        self.random, self.median, self.a_second, self.spread, self.most = random, median, a_second, spread, most

    def __call__(self) -> float:
        length = self.median * self.random.lognormvariate(0.0, 0.3)
        pace = self.random.lognormvariate(0.0, self.spread) / self.a_second
        return (length if self.most is None else min(length, self.most)) * pace


@settings(max_examples=40, deadline=None)
@given(
    st.floats(20, 3000), st.floats(5, 500), st.floats(0.05, 1.0), st.none() | st.integers(1, 4000), st.integers(0, 99)
)
def test_the_time_after_the_start_is_bounded_from_above_and_not_by_much(
    median: float, a_second: float, spread: float, most: int | None, seed: int
) -> None:
    drawn = Drawn(Random(seed), median, a_second, spread, most)
    took = sorted(drawn() for _ in range(2000))
    found = Generation(tokens(median), paces(a_second, spread), most)
    for share in (0.5, 0.1, 0.02):
        true_s = took[round(len(took) * (1.0 - share)) - 1]
        bound_s = found.within(share)
        assert bound_s >= 0.9 * true_s, "0.9 for the noise of 2,000 draws"
        assert bound_s <= 2.0 * true_s + 0.002
        assert found.late_at(bound_s) <= share
    ends = [found.late_at(seconds) for seconds in (0.0001, 0.1, 1.0, 10.0, 100.0, 1000.0)]
    assert ends == sorted(ends, reverse=True)


@given(st.floats(5, 5000), st.floats(2, 500), st.floats(0, 0.3), st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_time_for_a_miss_is_the_least_whatever_was_asked_before(
    median: float, a_second: float, never: float, misses: list[float]
) -> None:
    found = Generation(tokens(median), paces(a_second, 0.2, never))
    for miss in misses:
        ends = [place for place in range(COUNT) if found.late_after(place) <= miss]
        assert found.within(miss) == (UPPER_S[ends[0]] if ends else inf)


def test_the_estimate_is_below_the_bound_and_has_its_limit() -> None:
    sure = tokens(500)
    vague = Curve(sure.silent, sure.started, sure.lost, array("d", [0.04]) * COUNT, 20.0)
    found = Generation(vague, paces(50), 2000)
    assert found.estimate.late_at(20.0) < found.late_at(20.0) < 1.2 * found.estimate.late_at(20.0)
    assert found.estimate.late_at(80.0) <= found.late_at(80.0) < 1e-5, "2,000 tokens take 40 s"
    assert found.estimate is found.estimate is found.estimate.estimate


def test_the_same_object_stands_for_the_same_curves_while_it_is_held() -> None:
    known, length, pace = Generations(1.0), tokens(100), paces(50)
    first = known.of(length, pace, 1000)
    assert known.of(length, pace, 1001) is first, "it comes to the same"
    others = [known.of(length, pace, 500), known.of(length, pace, None), known.of(length, paces(50), 1000)]
    assert len({*others, first}) == len(known) == 4
    assert others[2].late_at(2.0) == first.late_at(2.0)
    others.clear()
    gc.collect()
    assert len(known) == 1
